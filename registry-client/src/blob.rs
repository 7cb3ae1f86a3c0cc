//! One blob on its way in, resumed where a connection breaks.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use oci::{Descriptor, Hasher, Reference};
use reqwest::Response;
use tokio::task::JoinHandle;

use crate::Result;
use crate::ahead::Ahead;
use crate::auth::Access;
use crate::blobs::content_length;
use crate::client::InRepository;
use crate::content_range::parse_content_range;
use crate::error::{Call, Error};
use crate::host::Host;
use crate::origin::{self, Pointer};
use crate::places::{Located, Places};
use crate::retry::Tries;
use crate::spool::Spool;
use crate::transport::{Request, Transport};

/// A blob on its way in. Where the connection breaks, it goes on from there.
/// A large one comes in parts, over several connections at once.
pub struct Blob {
    origin: Origin,
    /// That one, and what can be asked after it.
    places: Places,
    /// How many bytes were passed on.
    offset: u64,
    /// How many bytes of the present answer were passed on already, by an earlier one.
    skip: u64,
    response: Option<Response>,
    /// Where the present answer ends.
    end: u64,
    ahead: Ahead,
    /// What came as a part, and was not passed on yet.
    ready: VecDeque<Bytes>,
    spool: Spool,
    tries: Tries,
    /// Checks the digest, unless the reader does.
    pub(crate) hasher: Option<Hasher>,
}

/// Where a blob comes from.
#[derive(Clone)]
struct Origin {
    transport: Transport,
    host: Arc<Host>,
    call: Call,
    repository: Reference,
    blob: Descriptor,
}

impl Blob {
    pub(crate) fn new(transport: Transport, places: Places, blob: &Descriptor) -> Blob {
        let spool = Spool::open(transport.unfinished.as_deref(), blob);
        let tries = transport.tries(&places.here().host);
        let origin = Origin::new(transport, places.here(), blob);
        Blob {
            offset: 0,
            skip: 0,
            response: None,
            end: blob.size,
            ahead: Ahead::new(blob.size),
            ready: VecDeque::new(),
            spool,
            tries,
            hasher: None,
            origin,
            places,
        }
    }

    /// What is being done, for errors.
    pub(crate) fn call(&self) -> &Call {
        &self.origin.call
    }

    /// The next bytes; `None` when all have come and were right.
    ///
    /// # Errors
    /// If the blob is not there, is not what its descriptor says, or does not come after all
    /// tries. What was passed on before an error is not to be trusted.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.step().await {
                Ok(Step::Bytes(bytes)) => return Ok(Some(bytes)),
                Ok(Step::Skipped) => {}
                Ok(Step::End) => return self.finish().map(|()| None),
                Err(error) => self.failed(error).await?,
            }
        }
    }

    /// Waits for the answer to the first request, unless there are bytes without it.
    pub(crate) async fn connect(&mut self) -> Result<()> {
        if self.spool.has_kept() {
            return Ok(());
        }
        while self.response.is_none() && self.origin.blob.size > 0 {
            match self.request().await {
                Ok(response) => self.response = Some(response),
                Err(error) => self.failed(error).await?,
            }
        }
        Ok(())
    }

    async fn failed(&mut self, error: Error) -> Result<()> {
        self.response = None;
        let Origin { transport, host, blob, .. } = &self.origin;
        let ended = transport.wait_after(host, &mut self.tries, error).await;
        match ended {
            Err(error) if self.places.go_on(&error) => {
                self.tries = transport.tries(&self.places.here().host);
                self.origin = Origin::new(transport.clone(), self.places.here(), blob);
                Ok(())
            }
            ended => ended,
        }
    }

    async fn step(&mut self) -> Result<Step> {
        if let Some(bytes) = self.ready.pop_front() {
            return self.pass_new(bytes);
        }
        let size = self.origin.blob.size;
        let mut response = match self.response.take() {
            Some(response) => response,
            None if self.offset == size && size > 0 => return Ok(Step::End),
            None => {
                if let Some(kept) = self.spool.read() {
                    return self.pass(kept);
                }
                if let Some(part) = self.ahead.next(self.offset).await {
                    self.ready = part.into();
                    let end = self.offset + self.ready.iter().map(|c| c.len() as u64).sum::<u64>();
                    let room = Arc::clone(&self.origin.transport.room);
                    self.ahead.fill(end, size, &room, |range| self.origin.clone().spawn(range));
                    return Ok(Step::Skipped);
                }
                self.request().await?
            }
        };
        let chunk = self.origin.transport.next_chunk(&self.origin.call, &mut response).await?;
        let Some(mut bytes) = chunk else {
            return match self.offset {
                offset if offset == size => Ok(Step::End),
                offset if offset == self.end => Ok(Step::Skipped),
                offset => Err(self.origin.cut(offset)),
            };
        };
        self.response = Some(response);
        let skipped = self.skip.min(bytes.len() as u64);
        self.skip -= skipped;
        let bytes = bytes.split_off(usize::try_from(skipped).unwrap_or(usize::MAX));
        if bytes.is_empty() {
            return Ok(Step::Skipped);
        }
        if self.end - self.offset < bytes.len() as u64 {
            return Err(self.origin.wrong_size(self.offset + bytes.len() as u64));
        }
        self.pass_new(bytes)
    }

    /// Passes on what came from the registry.
    fn pass_new(&mut self, bytes: Bytes) -> Result<Step> {
        let Origin { blob, transport, .. } = &self.origin;
        self.spool.pass(transport.unfinished.as_deref(), blob, self.offset, &bytes);
        self.pass(bytes)
    }

    fn pass(&mut self, bytes: Bytes) -> Result<Step> {
        self.offset += bytes.len() as u64;
        self.tries.moved_on();
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes);
        }
        Ok(Step::Bytes(bytes))
    }

    /// Asks for what is missing, up to where it comes as a part. A redirect is asked for anew each
    /// time: the address that it led to may have expired.
    async fn request(&mut self) -> Result<Response> {
        let (size, room) = (self.origin.blob.size, &self.origin.transport.room);
        let end = self.ahead.end_from(self.offset, size, room);
        let response = self.origin.request(self.offset..end).await?;
        let begins_at = if response.status() == StatusCode::PARTIAL_CONTENT {
            self.origin.check_range(self.offset, response.headers())?;
            self.end = end;
            self.offset
        } else {
            // The whole again: what was passed on already is left out, and the digest will tell
            // whether it was the same.
            self.ahead.give_up();
            self.end = size;
            0
        };
        self.skip = self.offset - begins_at;
        if let Some(length) = content_length(response.headers())
            && begins_at.checked_add(length) != Some(self.end)
        {
            // It may be a shorter part than was asked for, and is no other blob for that.
            return Err(self.origin.wrong_size(begins_at.saturating_add(length)));
        }
        let room = Arc::clone(&self.origin.transport.room);
        self.ahead.fill(self.end, size, &room, |range| self.origin.clone().spawn(range));
        Ok(response)
    }

    fn finish(&mut self) -> Result<()> {
        self.spool.end();
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let actual = hasher.finish();
        if actual == self.origin.blob.digest {
            return Ok(());
        }
        let expected = self.origin.blob.digest.clone();
        Err(Error::content(&self.origin.call, oci::Error::DigestMismatch { expected, actual }))
    }
}

impl Origin {
    fn new(transport: Transport, at: &Located, blob: &Descriptor) -> Origin {
        let place = InRepository { name: &at.name, access: Access::Pull };
        let call = place.call("pull blob", &blob.digest);
        let (host, repository) = (Arc::clone(&at.host), at.name.clone());
        Origin { transport, host, call, repository, blob: blob.clone() }
    }

    /// Asks for a range; the answer may be the whole blob all the same.
    async fn request(&self, range: Range<u64>) -> Result<Response> {
        let digest = &self.blob.digest;
        let place = InRepository { name: &self.repository, access: Access::Pull };
        let mut request = place.request(self.call.clone(), Method::GET, &format!("blobs/{digest}"));
        if range.end < self.blob.size {
            let text = format!("bytes={}-{}", range.start, range.end - 1);
            request = request.header(header::RANGE, &text);
        } else if range.start > 0 {
            request = request.header(header::RANGE, &format!("bytes={}-", range.start));
        }
        let response = match self.transport.send_once(&self.host, &request).await {
            Ok(answer) => answer.response,
            Err(error) if error.is_not_found() => self.elsewhere(&request, error).await?,
            Err(error) => return Err(error),
        };
        if response.headers().get(header::CONTENT_ENCODING).is_some_and(|e| e != "identity") {
            return Err(Error::protocol(&self.call, "compresses the blob on its way"));
        }
        Ok(response)
    }

    /// Asks the places that the descriptor names, if that is wanted: over TLS, as nobody.
    async fn elsewhere(&self, request: &Request<'_>, absent: Error) -> Result<Response> {
        let clients = &self.transport.clients;
        if !clients.config().foreign_urls {
            return Err(absent);
        }
        let base = self.host.base(clients).await?.url.clone();
        for url in self.blob.urls.iter().filter_map(|url| url.parse::<url::Url>().ok()) {
            if url.scheme() != "https" || origin::check(&base, &url, Pointer::Upload).is_err() {
                tracing::debug!(url = origin::printable(&url), "not asked for a foreign layer");
                continue;
            }
            match self.transport.follow(&self.host, request, url, None).await {
                Ok(answer) if answer.response.status().is_success() => return Ok(answer.response),
                Ok(answer) => {
                    tracing::debug!(status = %answer.response.status(), "no foreign layer");
                }
                Err(error) => tracing::debug!(%error, "no foreign layer"),
            }
        }
        Err(absent)
    }

    /// Fetches a part, in one try.
    fn spawn(self, range: Range<u64>) -> JoinHandle<Result<Vec<Bytes>>> {
        tokio::spawn(async move {
            let mut response = self.request(range.clone()).await?;
            if response.status() != StatusCode::PARTIAL_CONTENT {
                return Err(Error::protocol(&self.call, "sends a blob now in parts and now not"));
            }
            self.check_range(range.start, response.headers())?;
            let (mut chunks, mut left) = (Vec::new(), range.end - range.start);
            while let Some(chunk) = self.transport.next_chunk(&self.call, &mut response).await? {
                left = left
                    .checked_sub(chunk.len() as u64)
                    .ok_or_else(|| Error::protocol(&self.call, "sends more than a part"))?;
                chunks.push(chunk);
            }
            if left > 0 {
                return Err(self.cut(range.end - left));
            }
            Ok(chunks)
        })
    }

    fn check_range(&self, offset: u64, headers: &HeaderMap) -> Result<()> {
        let value = headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
        match value.and_then(parse_content_range) {
            Some((start, whole))
                if start == offset && whole.is_none_or(|whole| whole == self.blob.size) =>
            {
                Ok(())
            }
            _ => Err(Error::protocol(
                &self.call,
                format!("sends another part of the blob than from byte {offset} on"),
            )),
        }
    }

    fn wrong_size(&self, actual: u64) -> Error {
        let digest = self.blob.digest.clone();
        let source = oci::Error::SizeMismatch { digest, expected: self.blob.size, actual };
        Error::content(&self.call, source)
    }

    /// The answer ended too early, without an error of the connection.
    fn cut(&self, offset: u64) -> Error {
        Error::Connection {
            call: self.call.clone(),
            connecting: false,
            source: format!("the blob ends after {offset} of {} bytes", self.blob.size).into(),
        }
    }
}

enum Step {
    Bytes(Bytes),
    Skipped,
    End,
}
