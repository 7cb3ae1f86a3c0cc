//! Blobs: whether they are there, and their bytes, resumed where a connection breaks.

use std::sync::Arc;

use bytes::Bytes;
use http::header;
use http::{HeaderMap, Method, StatusCode};
use oci::{Descriptor, Digest, Hasher, Reference};
use reqwest::Response;

use crate::Result;
use crate::auth::Access;
use crate::client::{Client, InRepository};
use crate::content_range::parse_content_range;
use crate::error::{Call, Error};
use crate::host::Host;
use crate::retry::Tries;
use crate::transport::Transport;

impl Client {
    /// The size of a blob in a repository, in bytes; `None` if it is not there.
    ///
    /// # Errors
    /// If the registry does not say.
    pub async fn blob_size(&self, repository: &Reference, digest: &Digest) -> Result<Option<u64>> {
        self.head_blob(repository, digest, Access::Pull).await
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
        let host = self.host(repository.registry())?;
        let place = InRepository { name: repository, access };
        let call = place.call("look for blob", digest);
        let request = place
            .request(call, Method::HEAD, &format!("blobs/{digest}"))
            .expects(&[StatusCode::NOT_FOUND]);
        let answer = self.transport.send(&host, &request).await?;
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
            return Err(Error::TooLarge { call: opened.call, limit });
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
        let place = InRepository { name: repository, access: Access::Pull };
        Ok(Blob {
            transport: self.transport.clone(),
            host: self.host(repository.registry())?,
            call: place.call("pull blob", &blob.digest),
            repository: repository.clone(),
            blob: blob.clone(),
            offset: 0,
            skip: 0,
            response: None,
            tries: self.transport.tries(),
            hasher: None,
        })
    }

    /// Deletes a blob from a repository.
    ///
    /// # Errors
    /// If the registry does not do that.
    pub async fn delete_blob(&self, repository: &Reference, digest: &Digest) -> Result<()> {
        let host = self.host(repository.registry())?;
        let place = InRepository { name: repository, access: Access::Delete };
        let call = place.call("delete blob", digest);
        let request = place.request(call, Method::DELETE, &format!("blobs/{digest}"));
        self.transport.send(&host, &request).await?;
        Ok(())
    }
}

/// A blob on its way in. Where the connection breaks, it goes on from there.
pub struct Blob {
    transport: Transport,
    host: Arc<Host>,
    call: Call,
    repository: Reference,
    blob: Descriptor,
    /// How many bytes were passed on.
    offset: u64,
    /// How many bytes of the present answer were passed on already, by an earlier one.
    skip: u64,
    response: Option<Response>,
    tries: Tries,
    /// Checks the digest, unless the reader does.
    hasher: Option<Hasher>,
}

impl Blob {
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
                Err(error) => {
                    self.response = None;
                    self.transport.wait_after(&self.host, &mut self.tries, error).await?;
                }
            }
        }
    }

    /// Waits for the answer to the first request.
    pub(crate) async fn connect(&mut self) -> Result<()> {
        while self.response.is_none() && self.offset < self.blob.size {
            match self.request().await {
                Ok(response) => self.response = Some(response),
                Err(error) => {
                    self.transport.wait_after(&self.host, &mut self.tries, error).await?;
                }
            }
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<Step> {
        let mut response = match self.response.take() {
            Some(response) => response,
            None if self.offset == self.blob.size && self.offset > 0 => return Ok(Step::End),
            None => self.request().await?,
        };
        let chunk = self.transport.next_chunk(&self.call, &mut response).await?;
        let Some(mut bytes) = chunk else {
            return if self.offset == self.blob.size { Ok(Step::End) } else { Err(self.cut()) };
        };
        self.response = Some(response);
        let skipped = self.skip.min(bytes.len() as u64);
        self.skip -= skipped;
        let bytes = bytes.split_off(usize::try_from(skipped).unwrap_or(usize::MAX));
        if bytes.is_empty() {
            return Ok(Step::Skipped);
        }
        if self.blob.size - self.offset < bytes.len() as u64 {
            return Err(self.wrong_size(self.offset + bytes.len() as u64));
        }
        self.offset += bytes.len() as u64;
        self.tries.moved_on();
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes);
        }
        Ok(Step::Bytes(bytes))
    }

    /// Asks the registry for what is missing. A redirect is asked for anew each time: the address
    /// that it led to may have expired.
    async fn request(&mut self) -> Result<Response> {
        let digest = &self.blob.digest;
        let place = InRepository { name: &self.repository, access: Access::Pull };
        let mut request = place.request(self.call.clone(), Method::GET, &format!("blobs/{digest}"));
        if self.offset > 0 {
            request = request.header(header::RANGE, &format!("bytes={}-", self.offset));
        }
        let response = self.transport.send_once(&self.host, &request).await?.response;
        if response.headers().get(header::CONTENT_ENCODING).is_some_and(|e| e != "identity") {
            return Err(Error::protocol(&self.call, "compresses the blob on its way"));
        }
        let begins_at = if response.status() == StatusCode::PARTIAL_CONTENT {
            self.check_range(response.headers())?;
            self.offset
        } else {
            // The whole again: what was passed on already is left out, and the digest will tell
            // whether it was the same.
            0
        };
        self.skip = self.offset - begins_at;
        if let Some(length) = content_length(response.headers())
            && begins_at.checked_add(length) != Some(self.blob.size)
        {
            return Err(self.wrong_size(begins_at.saturating_add(length)));
        }
        Ok(response)
    }

    fn check_range(&self, headers: &HeaderMap) -> Result<()> {
        let value = headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
        match value.and_then(parse_content_range) {
            Some((start, whole))
                if start == self.offset && whole.is_none_or(|whole| whole == self.blob.size) =>
            {
                Ok(())
            }
            _ => Err(Error::protocol(
                &self.call,
                format!("sends another part of the blob than from byte {} on", self.offset),
            )),
        }
    }

    fn finish(&mut self) -> Result<()> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let actual = hasher.finish();
        if actual == self.blob.digest {
            return Ok(());
        }
        let expected = self.blob.digest.clone();
        Err(Error::content(&self.call, oci::Error::DigestMismatch { expected, actual }))
    }

    fn wrong_size(&self, actual: u64) -> Error {
        let digest = self.blob.digest.clone();
        let source = oci::Error::SizeMismatch { digest, expected: self.blob.size, actual };
        Error::content(&self.call, source)
    }

    /// The answer ended too early, without an error of the connection.
    fn cut(&self) -> Error {
        Error::Connection {
            call: self.call.clone(),
            connecting: false,
            source: format!("the blob ends after {} of {} bytes", self.offset, self.blob.size)
                .into(),
        }
    }
}

enum Step {
    Bytes(Bytes),
    Skipped,
    End,
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
