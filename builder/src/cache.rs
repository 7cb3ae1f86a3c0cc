//! Cache keys: what the result of a step depends on, and nothing else.
//!
//! A key holds the *content* that a step reads: the DiffIDs of the layers below it, the digest of
//! the files that it copies, the variables that its process sees. Two steps with one key have one
//! result, whichever stage, file or process they come from. A step that ran again with the same
//! result as before therefore leaves everything that follows it cached.

use std::fmt;

use oci::DiffId;
use serde::{Deserialize, Serialize};

/// The identity of a step's result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CacheKey(pub(crate) [u8; 32]);

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What the store keeps about a step that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepRecord {
    /// The layer that it made.
    pub(crate) layer: DiffId,
    /// When, RFC 3339: what `created` says of it in the history of every image that holds it.
    pub(crate) created: String,
}

/// Collects the parts of a key. Every part carries its length, so that no two sequences of parts
/// run together into the same bytes.
pub(crate) struct KeyHasher(blake3::Hasher);

impl KeyHasher {
    /// A key of the kind `domain`, whose name ends in the version of its composition: whoever
    /// changes what goes in, or what a step makes of it, counts that up.
    pub(crate) fn new(domain: &str) -> KeyHasher {
        let mut hasher = KeyHasher(blake3::Hasher::new());
        hasher.bytes(domain.as_bytes());
        hasher
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.number(u64::from(flag));
    }

    pub(crate) fn optional(&mut self, text: Option<&str>) {
        self.flag(text.is_some());
        self.text(text.unwrap_or_default());
    }

    pub(crate) fn texts<'a>(&mut self, texts: impl ExactSizeIterator<Item = &'a str>) {
        self.number(texts.len() as u64);
        texts.for_each(|text| self.text(text));
    }

    /// The stack of layers that a step starts from.
    pub(crate) fn layers(&mut self, layers: &[DiffId]) {
        match oci::ChainId::of(layers) {
            None => self.flag(false),
            Some(chain) => {
                self.flag(true);
                self.text(&chain.to_string());
            }
        }
    }

    pub(crate) fn finish(self) -> CacheKey {
        CacheKey(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[&str]) -> CacheKey {
        let mut hasher = KeyHasher::new("test/1");
        parts.iter().for_each(|part| hasher.text(part));
        hasher.finish()
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
        assert_ne!(key(&["ab", ""]), key(&["a", "b"]));
        assert_ne!(key(&["ab"]), key(&["a", "b"]));
        assert_ne!(key(&[]), key(&[""]));
    }
}
