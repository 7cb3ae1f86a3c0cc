//! A file behind any URL, through the connections of registries: one policy of trust, proxies
//! and retries for all that is fetched.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use reqwest::Response;
use url::Url;

use crate::client::Client;
use crate::error::{Call, Error};
use crate::http_client::Security;
use crate::origin::{printable, same_origin};
use crate::retry::{Tries, classify};
use crate::{Result, transport};

/// As many as curl and browsers follow before they suspect a loop.
const MAX_REDIRECTS: usize = 10;

/// A file that begins to come. It is not tried again once it does.
pub struct Download {
    client: Client,
    call: Call,
    url: Url,
    response: Response,
}

/// What is asked of a server that is no registry.
#[derive(Clone, Default)]
pub struct FileRequest<'a> {
    /// Where: an `http` or `https` URL.
    pub url: &'a str,
    /// What `Authorization` says. It goes to the URL's own origin, and nowhere that it redirects
    /// to.
    pub authorization: Option<&'a str>,
    /// Further headers.
    pub headers: &'a [(String, String)],
    /// What is posted; nothing is for asking. What is posted is not redirected.
    pub body: Option<Vec<u8>>,
}

impl std::fmt::Debug for FileRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileRequest").finish_non_exhaustive()
    }
}

/// A request that has been looked at.
struct Ask {
    url: Url,
    headers: HeaderMap,
    authorization: Option<HeaderValue>,
    body: Option<Bytes>,
}

impl Client {
    /// Asks for the file behind a URL.
    ///
    /// # Errors
    /// If the URL is none, the server cannot be reached, or its answer is not 200.
    pub async fn download(&self, request: FileRequest<'_>) -> Result<Download> {
        let ask = Ask::of(request)?;
        let call =
            Call { operation: "download", object: String::new(), place: printable(&ask.url) };
        let mut tries = Tries::new(&self.transport.clients.config().retry);
        let (url, response) = loop {
            let error = match self.follow_to_file(&call, &ask).await {
                Ok(found) => break found,
                Err(error) => error,
            };
            let Some(delay) = tries.next(classify(&error, false)) else { return Err(error) };
            tracing::debug!(%error, ?delay, "trying again");
            tokio::time::sleep(delay).await;
        };
        Ok(Download { client: self.clone(), call, url, response })
    }

    async fn follow_to_file(&self, call: &Call, ask: &Ask) -> Result<(Url, Response)> {
        let mut url = ask.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.ask_for_file(call, &url, ask).await?;
            let status = response.status();
            if status == StatusCode::OK {
                return Ok((url, response));
            }
            if !transport::is_redirect(status) || ask.body.is_some() {
                return Err(self.transport.status_error(call, response).await);
            }
            let location = response.headers().get(header::LOCATION);
            let next = location.and_then(|to| to.to_str().ok()).and_then(|to| url.join(to).ok());
            let next = next.ok_or_else(|| protocol(call, "redirects to no address"))?;
            if !matches!(next.scheme(), "http" | "https") {
                return Err(protocol(call, "redirects to what is not http"));
            }
            url = next;
        }
        Err(protocol(call, &format!("redirects more than {MAX_REDIRECTS} times")))
    }

    async fn ask_for_file(&self, call: &Call, url: &Url, ask: &Ask) -> Result<Response> {
        let transport = &self.transport;
        let security = match url.scheme() {
            "http" => Security::Plain,
            _ if transport.clients.config().hosts.all_insecure => Security::Unverified,
            _ => Security::Verified,
        };
        let mut request = transport
            .clients
            .get(security)?
            .request(if ask.body.is_some() { Method::POST } else { Method::GET }, url.clone())
            .headers(ask.headers.clone())
            // What is packed for the way would have another digest.
            .header(header::ACCEPT_ENCODING, "identity");
        let authorization = ask.authorization.as_ref();
        if let Some(authorization) = authorization.filter(|_| same_origin(&ask.url, url)) {
            request = request.header(header::AUTHORIZATION, authorization.clone());
        }
        if let Some(body) = &ask.body {
            request = request.body(body.clone());
        }
        match tokio::time::timeout(transport.idle(), request.send()).await {
            Ok(sent) => sent.map_err(|error| Error::connection(call, error)),
            Err(_) => Err(Error::Idle { call: call.clone(), after: transport.idle() }),
        }
    }
}

fn protocol(call: &Call, reason: &str) -> Error {
    Error::Protocol { call: call.clone(), reason: reason.to_owned() }
}

impl Ask {
    fn of(request: FileRequest<'_>) -> Result<Ask> {
        let wrong = |source: Box<dyn std::error::Error + Send + Sync>| Error::Setup {
            what: "the address of the file",
            source,
        };
        let url = Url::parse(request.url).map_err(|e| wrong(Box::new(e)))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(format!("`{}` is not http", url.scheme()).into()));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| wrong(Box::new(e)))?;
            headers.insert(name, HeaderValue::from_str(value).map_err(|e| wrong(Box::new(e)))?);
        }
        let authorization = request.authorization.map(|value| {
            let mut value = HeaderValue::from_str(value).map_err(|e| wrong(Box::new(e)))?;
            value.set_sensitive(true);
            Ok(value)
        });
        let body = request.body.map(Bytes::from);
        Ok(Ask { url, headers, authorization: authorization.transpose()?, body })
    }
}

impl Download {
    /// Where it comes from, after redirects.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// `Content-Type`.
    pub fn content_type(&self) -> Option<&str> {
        self.text(header::CONTENT_TYPE)
    }

    /// `ETag`, as the server wrote it.
    pub fn etag(&self) -> Option<&str> {
        self.text(header::ETAG)
    }

    /// `Last-Modified`, in seconds since 1970.
    pub fn last_modified(&self) -> Option<i64> {
        let date = jiff::fmt::rfc2822::parse(self.text(header::LAST_MODIFIED)?).ok()?;
        Some(date.timestamp().as_second())
    }

    /// How many bytes will come, if the server says so.
    pub fn size(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// If they stop coming before the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.client.transport.next_chunk(&self.call, &mut self.response).await
    }

    fn text(&self, name: header::HeaderName) -> Option<&str> {
        let headers: &HeaderMap = self.response.headers();
        headers.get(name)?.to_str().ok()
    }
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("call", &self.call).finish_non_exhaustive()
    }
}
