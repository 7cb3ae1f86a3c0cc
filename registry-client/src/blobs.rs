//! Blobs: whether they are there, their bytes, and their end.

use http::{HeaderMap, Method, StatusCode, header};
use oci::{Descriptor, Digest, Reference};

use crate::Result;
use crate::auth::Access;
use crate::blob::Blob;
use crate::client::{Client, InRepository};
use crate::error::Error;
use crate::places::Located;

impl Client {
    /// The size of a blob in a repository, in bytes; `None` if it is not there.
    ///
    /// # Errors
    /// If the registry does not say.
    pub async fn blob_size(&self, repository: &Reference, digest: &Digest) -> Result<Option<u64>> {
        let mut places = self.places_of_blob(repository, digest)?;
        loop {
            match self.head_blob_at(places.here(), digest, Access::Pull).await {
                Ok(None) if places.has_more() => places.next(),
                Err(error) if places.go_on(&error) => {}
                ended => return ended,
            }
        }
    }

    /// Whether a repository has a blob.
    ///
    /// # Errors
    /// If the registry does not say.
    pub async fn has_blob(&self, repository: &Reference, digest: &Digest) -> Result<bool> {
        Ok(self.blob_size(repository, digest).await?.is_some())
    }

    pub(crate) async fn head_blob(
        &self,
        repository: &Reference,
        digest: &Digest,
        access: Access,
    ) -> Result<Option<u64>> {
        self.head_blob_at(&self.place_to_write(repository)?, digest, access).await
    }

    async fn head_blob_at(
        &self,
        at: &Located,
        digest: &Digest,
        access: Access,
    ) -> Result<Option<u64>> {
        let place = InRepository { name: &at.name, access };
        let call = place.call("look for blob", digest);
        let request = place
            .request(call, Method::HEAD, &format!("blobs/{digest}"))
            .expects(&[StatusCode::NOT_FOUND]);
        let answer = self.transport.send(&at.host, &request).await?;
        if answer.response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(content_length(answer.response.headers()).unwrap_or(0)))
    }

    /// Opens a blob: its bytes arrive checked against size and digest.
    ///
    /// # Errors
    /// If it is not there or has another size.
    pub async fn blob(&self, repository: &Reference, blob: &Descriptor) -> Result<Blob> {
        let mut opened = self.unverified_blob(repository, blob)?;
        opened.hasher = Some(blob.digest.algorithm().hasher());
        opened.connect().await?;
        Ok(opened)
    }

    /// The bytes of a small blob.
    ///
    /// # Errors
    /// As for [`blob`](Client::blob), and if it is larger than `limit` bytes.
    pub async fn blob_bytes(
        &self,
        repository: &Reference,
        blob: &Descriptor,
        limit: u64,
    ) -> Result<Vec<u8>> {
        let mut opened = self.unverified_blob(repository, blob)?;
        opened.hasher = Some(blob.digest.algorithm().hasher());
        if blob.size > limit {
            return Err(Error::TooLarge { call: opened.call().clone(), limit });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = opened.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// A blob whose reader checks the digest itself.
    pub(crate) fn unverified_blob(
        &self,
        repository: &Reference,
        blob: &Descriptor,
    ) -> Result<Blob> {
        Ok(Blob::new(self.transport.clone(), self.places_of_blob(repository, &blob.digest)?, blob))
    }

    /// Deletes a blob from a repository.
    ///
    /// # Errors
    /// If the registry does not do that.
    pub async fn delete_blob(&self, repository: &Reference, digest: &Digest) -> Result<()> {
        let host = self.place_to_write(repository)?.host;
        let place = InRepository { name: repository, access: Access::Delete };
        let call = place.call("delete blob", digest);
        let request = place.request(call, Method::DELETE, &format!("blobs/{digest}"));
        self.transport.send(&host, &request).await?;
        Ok(())
    }
}

pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
