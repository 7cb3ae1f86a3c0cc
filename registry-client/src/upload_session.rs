//! One upload session at a registry (distribution-spec, "Pushing blobs").

use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use oci::Digest;
use url::Url;

use crate::Result;
use crate::auth::{Access, Scopes};
use crate::client::{Client, InRepository};
use crate::content_range::parse_upload_range;
use crate::error::{Call, Error};
use crate::host::Host;
use crate::origin::{self, Pointer};
use crate::payload::{BodySource, Payload};
use crate::transport::{Answer, Request, Target, form};
use crate::unfinished::SavedSession;

/// The largest minimum of a chunk that we heed, in bytes.
const MAX_CHUNK_MINIMUM: u64 = 1 << 30;
const CHUNK_MINIMUM: HeaderName = HeaderName::from_static("oci-chunk-min-length");
const OCTETS: &str = "application/octet-stream";

/// The place that a registry gave us for one blob.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// Always the newest location.
    location: Url,
    /// How many bytes the registry has.
    pub(crate) offset: u64,
    /// The least size of a chunk that is not the last, in bytes.
    pub(crate) chunk_minimum: u64,
}

impl Session {
    /// What another process needs to go on.
    pub(crate) fn saved(&self) -> SavedSession {
        let location = self.location.to_string();
        SavedSession { location, chunk_minimum: self.chunk_minimum }
    }

    /// A session that was saved; nobody knows yet how far it is.
    pub(crate) fn restored(saved: &SavedSession) -> Option<Session> {
        let chunk_minimum = saved.chunk_minimum.min(MAX_CHUNK_MINIMUM);
        Some(Session { location: saved.location.parse().ok()?, offset: 0, chunk_minimum })
    }
}

/// What a registry answers to the wish to upload.
pub(crate) enum Opened {
    /// It has the blob by now.
    Present,
    /// It waits for the bytes.
    Session(Session),
}

/// Where a blob may be taken from that need not be sent.
#[derive(Clone, Copy)]
pub(crate) enum Mount<'a> {
    /// Another repository of the registry.
    From(&'a Digest, &'a str),
    /// Any repository that the registry lets us pull from (distribution-spec, "Mounting a blob
    /// from another repository": `from` may be left out).
    Anywhere(&'a Digest),
}

/// What the calls of one upload have in common.
pub(crate) struct UploadCalls<'a> {
    pub(crate) client: &'a Client,
    pub(crate) host: &'a Host,
    pub(crate) place: InRepository<'a>,
    pub(crate) call: Call,
}

impl UploadCalls<'_> {
    /// Opens a session, or mounts the blob from another repository of the registry.
    pub(crate) async fn open(&self, mount: Option<Mount<'_>>) -> Result<Opened> {
        let mut rest = "blobs/uploads/".to_owned();
        let mut scopes = self.place.scopes();
        match mount {
            None => {}
            Some(Mount::Anywhere(digest)) => {
                rest = format!("{rest}?{}", form(&[("mount", &digest.to_string())]));
            }
            Some(Mount::From(digest, from)) => {
                let query = form(&[("mount", &digest.to_string()), ("from", from)]);
                rest = format!("{rest}?{query}");
                scopes = scopes.and(&Scopes::repository_access(from, Access::Pull));
            }
        }
        let mut request = self.place.request(self.call.clone(), Method::POST, &rest);
        request.scopes = scopes;
        let transport = &self.client.transport;
        let answer = match mount {
            Some(Mount::From(..)) => transport.send(self.host, &request).await?,
            // The upload as a whole is tried again.
            _ => transport.send_once(self.host, &request).await?,
        };
        if answer.response.status() == StatusCode::CREATED {
            return Ok(Opened::Present);
        }
        let location = self
            .location(&answer)?
            .ok_or_else(|| Error::protocol(&self.call, "opens an upload without a location"))?;
        let chunk_minimum = answer
            .response
            .headers()
            .get(CHUNK_MINIMUM)
            .and_then(|minimum| minimum.to_str().ok()?.parse().ok())
            .unwrap_or(0)
            .min(MAX_CHUNK_MINIMUM);
        Ok(Opened::Session(Session { location, offset: 0, chunk_minimum }))
    }

    /// Sends a whole blob and ends the upload.
    pub(crate) async fn put_whole(
        &self,
        session: &Session,
        digest: &Digest,
        source: &dyn BodySource,
        size: u64,
    ) -> Result<()> {
        let payload = Payload::Stream { source, offset: 0, length: size };
        self.put(session, digest, payload).await
    }

    /// Ends the upload of a blob that was sent in chunks.
    pub(crate) async fn put_end(&self, session: &Session, digest: &Digest) -> Result<()> {
        self.put(session, digest, Payload::Nothing).await
    }

    async fn put(&self, session: &Session, digest: &Digest, payload: Payload<'_>) -> Result<()> {
        let mut url = session.location.clone();
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let request =
            self.request(Method::PUT, url).header(header::CONTENT_TYPE, OCTETS).payload(payload);
        self.client.transport.send_once(self.host, &request).await?;
        Ok(())
    }

    /// Sends `length` bytes more, and moves the session on by what the registry took.
    pub(crate) async fn patch(
        &self,
        session: &mut Session,
        source: &dyn BodySource,
        length: u64,
    ) -> Result<()> {
        let offset = session.offset;
        let end = offset + length;
        let request = self
            .request(Method::PATCH, session.location.clone())
            .header(header::CONTENT_TYPE, OCTETS)
            .header(header::CONTENT_RANGE, &format!("{offset}-{}", end - 1))
            .payload(Payload::Stream { source, offset, length });
        let answer = self.client.transport.send_once(self.host, &request).await?;
        // Some registries say nothing, or nonsense: then all of it was taken. The digest tells.
        session.offset = match uploaded(answer.response.headers()) {
            Some(taken) if offset < taken && taken < end => taken,
            _ => end,
        };
        if let Some(location) = self.location(&answer)? {
            session.location = location;
        }
        Ok(())
    }

    /// Asks how far an upload has come; `None` if the registry knows nothing of it any more.
    pub(crate) async fn status(&self, mut session: Session) -> Result<Option<Session>> {
        // Where a registry forgot the session, or says how far it is by an error.
        const GONE: &[StatusCode] = &[
            StatusCode::NOT_FOUND,
            StatusCode::BAD_REQUEST,
            StatusCode::METHOD_NOT_ALLOWED,
            StatusCode::GONE,
            StatusCode::RANGE_NOT_SATISFIABLE,
        ];
        let request = self.request(Method::GET, session.location.clone()).expects(GONE);
        let answer = self.client.transport.send(self.host, &request).await?;
        let location = self.location(&answer)?;
        let known = answer.response.status().is_success() || location.is_some();
        let Some(offset) = uploaded(answer.response.headers()).filter(|_| known) else {
            return Ok(None);
        };
        session.offset = offset;
        session.location = location.unwrap_or(session.location);
        Ok(Some(session))
    }

    fn request<'r>(&self, method: Method, url: Url) -> Request<'r> {
        Request::new(self.call.clone(), method, Target::Url(url), self.place.scopes())
    }

    /// Where to go on, by the answer's `Location`: relative to the request, or another host.
    fn location(&self, answer: &Answer) -> Result<Option<Url>> {
        let Some(value) = answer.response.headers().get(header::LOCATION) else { return Ok(None) };
        let location = value.to_str().ok().and_then(|to| resolve(&answer.url, to));
        let location = location
            .ok_or_else(|| Error::protocol(&self.call, "names a location that is no address"))?;
        origin::check(&answer.url, &location, Pointer::Upload).map_err(|reason| {
            Error::RefusedTarget {
                call: self.call.clone(),
                kind: Pointer::Upload.as_str(),
                target: origin::printable(&location),
                reason,
            }
        })?;
        Ok(Some(location))
    }
}

fn resolve(request: &Url, location: &str) -> Option<Url> {
    let mut url = request.join(location).ok()?;
    // A registry behind a proxy that ends TLS writes `http` and does not mean it.
    let same_host = url.host() == request.host() && matches!(url.port(), None | Some(80));
    if request.scheme() == "https" && url.scheme() == "http" && same_host {
        url.set_scheme("https").ok()?;
        url.set_port(request.port()).ok()?;
    }
    Some(url)
}

fn uploaded(headers: &HeaderMap) -> Option<u64> {
    parse_upload_range(headers.get(header::RANGE)?.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved_against_the_request() {
        let request: Url = "https://r.io:8443/v2/x/blobs/uploads/".parse().unwrap();
        for (location, expected) in [
            ("/v2/x/blobs/uploads/1?_state=a", "https://r.io:8443/v2/x/blobs/uploads/1?_state=a"),
            ("1", "https://r.io:8443/v2/x/blobs/uploads/1"),
            ("//s.io/up", "https://s.io/up"),
            ("https://s.io/up?a=b", "https://s.io/up?a=b"),
            ("http://r.io/up", "https://r.io:8443/up"),
            ("http://s.io/up", "http://s.io/up"),
            ("?a", "https://r.io:8443/v2/x/blobs/uploads/?a"),
        ] {
            assert_eq!(resolve(&request, location).unwrap().as_str(), expected, "{location}");
        }
        assert_eq!(resolve(&request, "http://[::1"), None);
    }
}
