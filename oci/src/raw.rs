//! A document together with the bytes that were hashed.

use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Digest, Error, Result};

/// A parsed document and the very bytes it was parsed from. The digest is that of the bytes;
/// the parsed value is for reading only, so that the two cannot drift apart.
#[derive(Debug, Clone)]
pub struct Raw<T> {
    bytes: Vec<u8>,
    digest: Digest,
    value: T,
}

impl<T> Raw<T> {
    /// The bytes, as they are stored and sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The SHA-256 digest of the bytes (or the one they were asked for by).
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How many bytes there are.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl<T: DeserializeOwned> Raw<T> {
    /// Reads a document; `kind` is the word for it in errors.
    ///
    /// # Errors
    /// If the bytes are not such a document.
    pub fn parse(bytes: Vec<u8>, kind: &'static str) -> Result<Raw<T>> {
        let digest = Digest::sha256(&bytes);
        Raw::parse_as(bytes, digest, kind)
    }

    /// Reads a document that is known by `digest`, which is verified.
    ///
    /// # Errors
    /// If the bytes have another digest or are not such a document.
    pub fn parse_verified(bytes: Vec<u8>, digest: &Digest, kind: &'static str) -> Result<Raw<T>> {
        let actual = digest.algorithm().digest(&bytes);
        if actual != *digest {
            return Err(Error::DigestMismatch { expected: digest.clone(), actual });
        }
        Raw::parse_as(bytes, actual, kind)
    }

    fn parse_as(bytes: Vec<u8>, digest: Digest, kind: &'static str) -> Result<Raw<T>> {
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Raw { bytes, digest, value }),
            Err(source) => Err(Error::InvalidDocument { kind, digest, source }),
        }
    }
}

impl<T: Serialize> Raw<T> {
    /// Writes a new document. This is the only place where bytes come from a value.
    pub fn write(value: T) -> Raw<T> {
        let bytes = serde_json::to_vec(&value).expect("our documents have string keys only");
        let digest = Digest::sha256(&bytes);
        Raw { bytes, digest, value }
    }
}

impl<T> Deref for Raw<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
