//! Manifests and indexes: get, ask for, put, delete.

use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use oci::{Descriptor, Digest, Document, MediaType, Reference};

use crate::Result;
use crate::auth::Access;
use crate::client::{Client, InRepository};
use crate::error::{Call, Error};
use crate::payload::Payload;
use crate::places::Located;
use crate::transport::Request;

/// How large a manifest may be, in bytes.
pub(crate) const MAX_MANIFEST: u64 = 8 << 20;
/// How much of the answer to a push is read, in bytes.
const MAX_ANSWER: u64 = 64 << 10;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// What a registry says to a manifest that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The digest that it is known by.
    pub digest: Digest,
    /// Whether the registry listed it among the referrers of its subject; if not, the client has
    /// to (distribution-spec, "Pushing Manifests with Subject").
    pub subject_listed: bool,
}

impl Client {
    /// Gets the manifest or index that a name means, by its digest if the name has one.
    ///
    /// # Errors
    /// If there is none (see [`Error::is_not_found`]), it is larger than 8 MiB, or it is not
    /// what its digest or media type says.
    pub async fn manifest(&self, name: &Reference) -> Result<Document> {
        let mut places = self.places_to_read(name)?;
        loop {
            match self.manifest_at(places.here()).await {
                Err(error) if places.go_on(&error) => {}
                ended => return ended,
            }
        }
    }

    async fn manifest_at(&self, at: &Located) -> Result<Document> {
        let Located { host, name } = at;
        let target = name.target();
        let place = InRepository { name, access: Access::Pull };
        let call = place.call("pull manifest", &target);
        let request = place.request(call.clone(), Method::GET, &format!("manifests/{target}"));
        let request = accept_manifests(request);
        let (headers, _, body) = self.transport.fetch(host, &request, MAX_MANIFEST).await?;
        let content_type = content_type(&headers);
        if content_type.as_ref().is_some_and(|sent| sent.as_str() == "text/html") {
            return Err(Error::protocol(&call, "answers with a web page"));
        }
        Document::parse(body, content_type.as_ref(), name.digest())
            .map_err(|source| Error::content(&call, source))
    }

    /// Asks what a name means, without getting it where the registry allows that.
    ///
    /// # Errors
    /// As for [`manifest`](Client::manifest).
    pub async fn resolve(&self, name: &Reference) -> Result<Descriptor> {
        let mut places = self.places_to_read(name)?;
        loop {
            match self.resolve_at(places.here()).await {
                Err(error) if places.go_on(&error) => {}
                ended => return ended,
            }
        }
    }

    async fn resolve_at(&self, at: &Located) -> Result<Descriptor> {
        match self.head_manifest(at, Access::Pull).await? {
            Some(descriptor) => Ok(descriptor),
            None => Ok(self.manifest_at(at).await?.descriptor()),
        }
    }

    /// As [`resolve`](Client::resolve), before a push: `None` if there is nothing or it takes a
    /// second request to know.
    pub(crate) async fn present_manifest(&self, name: &Reference) -> Result<Option<Descriptor>> {
        match self.head_manifest(&self.place_to_write(name)?, Access::Push).await {
            Err(error) if error.is_not_found() => Ok(None),
            other => other,
        }
    }

    /// `None` if the registry has no useful answer to HEAD; GET will tell.
    async fn head_manifest(&self, at: &Located, access: Access) -> Result<Option<Descriptor>> {
        const MAYBE: &[StatusCode] = &[
            StatusCode::METHOD_NOT_ALLOWED,
            StatusCode::NOT_IMPLEMENTED,
            StatusCode::BAD_REQUEST,
            StatusCode::FORBIDDEN,
        ];
        let Located { host, name } = at;
        let target = name.target();
        let place = InRepository { name, access };
        let call = place.call("resolve", &target);
        let request = place.request(call, Method::HEAD, &format!("manifests/{target}"));
        let request = accept_manifests(request).expects(MAYBE);
        let answer = self.transport.send(host, &request).await?;
        if !answer.response.status().is_success() {
            return Ok(None);
        }
        let headers = answer.response.headers();
        let size = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let (Some(media_type), Some(digest), Some(size)) =
            (content_type(headers), content_digest(headers), size)
        else {
            return Ok(None);
        };
        let known = media_type.is_manifest() || media_type.is_index();
        if !known || size > MAX_MANIFEST || name.digest().is_some_and(|asked| *asked != digest) {
            return Ok(None);
        }
        Ok(Some(Descriptor::new(media_type, digest, size)))
    }

    /// Puts a manifest or index under a name: under its digest if the name has one, else its tag.
    ///
    /// # Errors
    /// If the registry refuses it or stores something else.
    pub async fn put_manifest(
        &self,
        name: &Reference,
        bytes: Vec<u8>,
        media_type: &MediaType,
    ) -> Result<Pushed> {
        let host = self.place_to_write(name)?.host;
        let target = name.target();
        let algorithm = name.digest().map_or(oci::Algorithm::Sha256, Digest::algorithm);
        let digest = algorithm.digest(&bytes);
        let place = InRepository { name, access: Access::Push };
        let call = place.call("push manifest", &target);
        if let Some(expected) = name.digest()
            && *expected != digest
        {
            let source = oci::Error::DigestMismatch { expected: expected.clone(), actual: digest };
            return Err(Error::content(&call, source));
        }
        let request = place
            .request(call.clone(), Method::PUT, &format!("manifests/{target}"))
            .header(header::CONTENT_TYPE, media_type.as_str())
            .payload(Payload::Bytes(bytes.into()));
        let (headers, _, _) = self.transport.fetch(&host, &request, MAX_ANSWER).await?;
        if let Some(stored) = content_digest(&headers)
            && stored.algorithm() == digest.algorithm()
            && stored != digest
        {
            return Err(stored_other(&call, &digest, &stored));
        }
        Ok(Pushed { digest, subject_listed: headers.contains_key(OCI_SUBJECT) })
    }

    /// Deletes what a name means: the manifest if the name has a digest, else the tag.
    ///
    /// # Errors
    /// If the registry does not do that.
    pub async fn delete_manifest(&self, name: &Reference) -> Result<()> {
        let host = self.place_to_write(name)?.host;
        let target = name.target();
        let place = InRepository { name, access: Access::Delete };
        let call = place.call("delete", &target);
        let request = place.request(call, Method::DELETE, &format!("manifests/{target}"));
        self.transport.send(&host, &request).await?;
        Ok(())
    }
}

fn accept_manifests(request: Request<'_>) -> Request<'_> {
    let types = MediaType::MANIFESTS.map(|media_type| media_type.to_string());
    request.header(header::ACCEPT, &types.join(", "))
}

fn content_type(headers: &HeaderMap) -> Option<MediaType> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(MediaType::new(text)).filter(|media_type| !media_type.as_str().is_empty())
}

fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}

fn stored_other(call: &Call, sent: &Digest, stored: &Digest) -> Error {
    Error::protocol(call, format!("was sent {sent} and stored {stored}"))
}
