//! The git protocol over a [`Web`].

use std::any::Any;
use std::io::{self, BufRead, BufReader, Cursor, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gix::protocol::transport::Protocol;
use gix_transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse, Transport,
};

use crate::error::{Error, Result};
use crate::web::{Response, Web, WebError};

/// The largest request, in bytes: it holds the names of some commits.
const MAX_REQUEST: usize = 16 << 20;

/// The longest list of references that is read, in bytes: a million of them.
const MAX_LIST: u64 = 128 << 20;

/// How a request for references begins, behind its length.
const LIST: &[u8] = b"command=ls-refs";

/// A transport to the repository at `url`.
///
/// # Errors
/// If it is no URL of a web server.
pub(crate) fn transport<'w>(web: &'w dyn Web, url: &str) -> Result<Transport<Carried<'w>>> {
    Ok(Transport::new_http(Carried { web, base: None }, parsed(url)?, Protocol::V2, false))
}

/// The URL as the library has it, without a name and password: those are for the [`Web`].
pub(crate) fn parsed(url: &str) -> Result<gix::Url> {
    let scheme = url.split_once("://").map_or("ssh", |(scheme, _)| scheme);
    if !matches!(scheme, "http" | "https") {
        return Err(Error::Scheme { scheme: scheme.to_owned() });
    }
    let mut url = gix::url::parse(url).map_err(Error::git("read the URL"))?;
    url.set_user(None);
    url.set_password(None);
    Ok(url)
}

/// Requests of the library, as requests of ours.
pub(crate) struct Carried<'w> {
    web: &'w dyn Web,
    /// Where the server redirected to, if it did.
    base: Option<String>,
}

impl<'w> Http for Carried<'w> {
    type Headers = Cursor<Vec<u8>>;
    type ResponseBody = Body<'w>;
    type PostBody = Request;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Self::Headers, Self::ResponseBody>> {
        let response = self.web.get(url, &pairs(headers)).map_err(gix::Error::from_boxed)?;
        let tail = url.strip_prefix(base_url).unwrap_or_default();
        if let Some(base) = response.url.strip_suffix(tail).filter(|base| *base != base_url) {
            self.base = Some(base.to_owned());
        }
        let headers = Cursor::new(header_text(&response));
        let body = Body::Here(BufReader::new(Box::new(response.body.take(MAX_LIST))));
        Ok(GetResponse { headers, body })
    }

    fn post(
        &mut self,
        url: &str,
        _: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Self::Headers, Self::ResponseBody, Self::PostBody>> {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let pending = Pending {
            web: self.web,
            url: url.to_owned(),
            headers: pairs(headers),
            sent: Arc::clone(&sent),
        };
        // The library looks at the type of the content first: it is looked at when the answer
        // is there.
        let headers = Cursor::new(expected_type(&pending.headers));
        let body = Body::Pending(Some(pending));
        Ok(PostResponse { post_body: Request { sent }, headers, body })
    }

    fn configure(&mut self, _: &dyn Any) -> gix::Result {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.base.clone()
    }
}

fn pairs(headers: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<(String, String)> {
    let pair = |header: &str| {
        let (name, value) = header.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    headers.into_iter().filter_map(|header| pair(header.as_ref())).collect()
}

fn header_text(response: &Response) -> Vec<u8> {
    let content_type = response.content_type.as_deref().unwrap_or_default();
    format!("Content-Type: {content_type}\n").into_bytes()
}

/// The type that a request accepts, as a header of its answer.
fn expected_type(headers: &[(String, String)]) -> Vec<u8> {
    let accepted = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("accept"));
    let accepted = accepted.map_or("", |(_, value)| value.as_str());
    format!("Content-Type: {accepted}\n").into_bytes()
}

/// What is sent: collected, since it is short, until somebody reads the answer.
pub(crate) struct Request {
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Write for Request {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = lock(&self.sent);
        if sent.len() + bytes.len() > MAX_REQUEST {
            return Err(io::Error::other("the request is larger than any should be"));
        }
        sent.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A request that goes out when its answer is read.
pub(crate) struct Pending<'w> {
    web: &'w dyn Web,
    url: String,
    headers: Vec<(String, String)>,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Pending<'_> {
    fn send(self) -> std::result::Result<Response, WebError> {
        let body = std::mem::take(&mut *lock(&self.sent));
        let is_list = body.get(4..).is_some_and(|body| body.starts_with(LIST));
        let expected = expected_type(&self.headers);
        let response = self.web.post(&self.url, &self.headers, body)?;
        if header_text(&response) != expected {
            return Err("the answer is not in git's protocol".into());
        }
        Ok(match is_list {
            true => Response { body: Box::new(response.body.take(MAX_LIST)), ..response },
            // Packs are written to a file as they come.
            false => response,
        })
    }
}

/// What comes back.
pub(crate) enum Body<'w> {
    /// An answer.
    Here(BufReader<Box<dyn Read + Send>>),
    /// A request that is still to be sent; none if that failed.
    Pending(Option<Pending<'w>>),
}

impl Body<'_> {
    fn reader(&mut self) -> io::Result<&mut BufReader<Box<dyn Read + Send>>> {
        if let Body::Pending(pending) = self {
            let gone = || io::Error::other("the request has failed");
            let response = pending.take().ok_or_else(gone)?.send().map_err(io::Error::other)?;
            *self = Body::Here(BufReader::new(response.body));
        }
        match self {
            Body::Here(reader) => Ok(reader),
            Body::Pending(_) => Err(io::Error::other("the request was not sent")),
        }
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader()?.read(buffer)
    }
}

impl BufRead for Body<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader()?.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if let Body::Here(reader) = self {
            reader.consume(count);
        }
    }
}

fn lock(sent: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}
