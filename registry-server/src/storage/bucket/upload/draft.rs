//! How far an open upload is, as one object: a line of JSON, and behind it the last bytes if they
//! are few. Who goes on with the upload replaces it, on condition that nobody else has: of two who
//! write at once, one learns that he comes too late.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use oci::{Algorithm, Hasher};
use serde::{Deserialize, Serialize};

use crate::progress::Progress;

/// The most bytes that stand in the object itself.
pub(super) const INLINE: usize = 256 << 10;

/// The line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Draft {
    /// Where it began; empty for one that only one request knows of.
    pub(super) repository: String,
    /// When, in seconds since 1970.
    pub(super) began: u64,
    /// How many bytes have come.
    pub(super) size: u64,
    pub(super) algorithm: String,
    /// The hasher of these bytes.
    pub(super) hash: String,
    /// The multipart upload that has most of them, and what its parts are known by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) multipart: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<String>,
    /// How many bytes are in parts.
    pub(super) flushed: u64,
    /// What the object of the others is called, if they do not stand behind the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tail: Option<String>,
    /// Whether a request is adding to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) busy: bool,
    /// Another one each time, so that who wrote the object knows it again.
    pub(super) stamp: String,
}

impl Draft {
    /// Nothing has come yet.
    pub(super) fn new(repository: &str, algorithm: Algorithm) -> Draft {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let draft = Draft {
            repository: repository.to_owned(),
            began: began.as_secs(),
            size: 0,
            algorithm: String::new(),
            hash: String::new(),
            multipart: None,
            parts: Vec::new(),
            flushed: 0,
            tail: None,
            busy: false,
            stamp: String::new(),
        };
        draft.at(&Progress::new(algorithm))
    }

    /// The same further on.
    pub(super) fn at(self, progress: &Progress) -> Draft {
        Draft {
            size: progress.size,
            algorithm: progress.hasher.algorithm().as_str().to_owned(),
            hash: STANDARD.encode(progress.hasher.save()),
            ..self
        }
    }

    /// The same by a stamp of its own.
    pub(super) fn stamped(self, busy: bool) -> Draft {
        Draft { busy, stamp: crate::session::new_id(), ..self }
    }

    /// How far it is; `None` if that cannot be understood.
    pub(super) fn progress(&self) -> Option<Progress> {
        let known = [Algorithm::Sha256, Algorithm::Sha512];
        let algorithm = known.into_iter().find(|known| known.as_str() == self.algorithm)?;
        let hasher = Hasher::restore(algorithm, &STANDARD.decode(&self.hash).ok()?)?;
        Some(Progress { size: self.size, hasher })
    }

    pub(super) fn write(&self, tail: &[u8]) -> Bytes {
        let mut bytes = serde_json::to_vec(self).expect("our documents have string keys only");
        bytes.push(b'\n');
        bytes.extend_from_slice(tail);
        bytes.into()
    }

    /// Reads an object; `None` if it is none of ours.
    pub(super) fn read(mut bytes: Bytes) -> Option<(Draft, Bytes)> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let line = bytes.split_to(end + 1);
        let draft: Draft = serde_json::from_slice(&line).ok()?;
        let behind = draft.size.checked_sub(draft.flushed)?;
        let fits = draft.tail.is_some() || behind == bytes.len() as u64;
        fits.then_some((draft, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_reads_back_what_it_wrote() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let mut progress = Progress::new(algorithm);
            progress.take(b"some\nbytes");
            let draft = Draft::new("a/b", algorithm).at(&progress).stamped(true);
            let (read, tail) = Draft::read(draft.write(b"some\nbytes")).unwrap();
            assert_eq!(
                (read.repository.as_str(), read.busy, &tail[..]),
                ("a/b", true, &b"some\nbytes"[..])
            );
            assert_eq!(read.stamp, draft.stamp);
            let mut progress = read.progress().unwrap();
            progress.take(b", and more");
            assert_eq!(progress.digest(), algorithm.digest(b"some\nbytes, and more"));
        }
    }

    #[test]
    fn what_is_no_draft_is_not_understood() {
        let draft = Draft::new("a", Algorithm::Sha256);
        for bytes in [&b""[..], b"\n", b"{}\n", b"no line", &draft.write(b"more than has come")] {
            assert!(Draft::read(Bytes::copy_from_slice(bytes)).is_none());
        }
    }
}
