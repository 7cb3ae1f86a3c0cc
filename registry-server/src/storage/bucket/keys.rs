//! Where things stand in a bucket, below an optional prefix:
//!
//! ```text
//! repositories/<name>/_state.json      manifests and tags of a repository, one object
//! blobs/<algorithm>/<digest>           the bytes of a blob, once for all repositories
//! holders/<algorithm>/<digest>/<NAME>  that a repository holds a blob, and its size
//! doomed/<algorithm>/<digest>          that a collection found nobody to hold it
//! catalog/<NAME>                       that a repository exists
//! uploads/<id>/state                   how far an open upload is, and its last bytes if they are few
//! uploads/<id>/bytes                   what it has in parts
//! uploads/<id>/tail-<id>               its last bytes
//! ```
//!
//! A `<NAME>` has `!` for each slash. A sha512 stands in base64 (RFC 4648, section 5), since in hex
//! it makes keys too long for stores that name files by them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use object_store::path::Path;
use oci::Digest;

use crate::name::Repository;

/// What the object is called that says how far an upload is.
const DRAFT: &str = "state";

/// The keys below a prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: Path,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Keys {
        Keys { prefix: Path::from(prefix) }
    }

    fn below(&self, rest: &str) -> Path {
        // Names and digests have been checked: nothing in them has to be escaped.
        Path::from(format!("{}/{rest}", self.prefix))
    }

    pub(super) fn state(&self, name: &Repository) -> Path {
        self.below(&format!("repositories/{name}/_state.json"))
    }

    pub(super) fn holders(&self) -> Path {
        self.below("holders")
    }

    pub(super) fn holders_of(&self, digest: &Digest) -> Path {
        self.below(&format!("holders/{}", part(digest)))
    }

    pub(super) fn holder(&self, name: &Repository, digest: &Digest) -> Path {
        self.below(&format!("holders/{}/{}", part(digest), flat(name)))
    }

    pub(super) fn blobs(&self) -> Path {
        self.below("blobs")
    }

    pub(super) fn blob(&self, digest: &Digest) -> Path {
        self.below(&format!("blobs/{}", part(digest)))
    }

    pub(super) fn all_doomed(&self) -> Path {
        self.below("doomed")
    }

    pub(super) fn doomed(&self, digest: &Digest) -> Path {
        self.below(&format!("doomed/{}", part(digest)))
    }

    pub(super) fn uploads(&self) -> Path {
        self.below("uploads")
    }

    pub(super) fn draft(&self, id: &str) -> Path {
        self.below(&format!("uploads/{id}/{DRAFT}"))
    }

    pub(super) fn upload(&self, id: &str) -> Path {
        self.below(&format!("uploads/{id}/bytes"))
    }

    pub(super) fn tail(&self, id: &str, name: &str) -> Path {
        self.below(&format!("uploads/{id}/tail-{name}"))
    }

    /// What is written to see whether conditions of writes are kept.
    pub(super) fn trial(&self, id: &str) -> Path {
        self.below(&format!("uploads/trial-{id}"))
    }

    pub(super) fn catalog(&self) -> Path {
        self.below("catalog")
    }

    pub(super) fn listed(&self, name: &Repository) -> Path {
        self.below(&format!("catalog/{}", flat(name)))
    }
}

fn flat(name: &Repository) -> String {
    name.as_str().replace('/', "!")
}

/// The longest digest that stands in hex, in digits.
const MAX_HEX: usize = 64;

fn part(digest: &Digest) -> String {
    let (algorithm, hex) = (digest.algorithm().as_str(), digest.hex());
    if hex.len() <= MAX_HEX {
        return format!("{algorithm}/{hex}");
    }
    let bytes: Vec<u8> = hex.as_bytes().chunks(2).filter_map(byte_of).collect();
    format!("{algorithm}/{}", URL_SAFE_NO_PAD.encode(bytes))
}

fn byte_of(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The upload that an object is of.
pub(super) fn upload_id(key: &Path) -> Option<&str> {
    let (above, _) = key.as_ref().rsplit_once('/')?;
    above.rsplit('/').next()
}

/// The upload whose state an object is.
pub(super) fn draft_id(key: &Path) -> Option<&str> {
    upload_id(key).filter(|_| key.filename() == Some(DRAFT))
}

/// The repository that ends a key.
pub(super) fn repository_of(key: &Path) -> Option<Repository> {
    Repository::parse(&key.filename()?.replace('!', "/"))
}

/// The digest that ends a key.
pub(super) fn digest_of(key: &str) -> Option<Digest> {
    let (rest, text) = key.rsplit_once('/')?;
    let algorithm = rest.rsplit_once('/').map_or(rest, |(_, algorithm)| algorithm);
    if let Ok(digest) = format!("{algorithm}:{text}").parse() {
        return Some(digest);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{algorithm}:{hex}").parse().ok()
}

/// The digest and the repository of the key of a holder.
pub(super) fn holder_of(key: &Path) -> Option<(Digest, Repository)> {
    let (blob, _) = key.as_ref().rsplit_once('/')?;
    Some((digest_of(blob)?, repository_of(key)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_upload_has_is_known_by_its_id() {
        for prefix in ["", "some/where"] {
            let keys = Keys::new(prefix);
            for key in [keys.draft("x"), keys.upload("x"), keys.tail("x", "y")] {
                assert_eq!(upload_id(&key), Some("x"));
                assert_eq!(draft_id(&key).is_some(), key == keys.draft("x"));
            }
        }
    }

    #[test]
    fn keys_tell_what_they_are_of() {
        let name = Repository::parse("team/a-b/c").unwrap();
        for digest in [Digest::sha256(b"x"), oci::Algorithm::Sha512.digest(b"x")] {
            for prefix in ["", "some/where"] {
                let keys = Keys::new(prefix);
                assert_eq!(repository_of(&keys.listed(&name)), Some(name.clone()));
                assert_eq!(digest_of(keys.blob(&digest).as_ref()), Some(digest.clone()));
                let holder = Some((digest.clone(), name.clone()));
                assert_eq!(holder_of(&keys.holder(&name, &digest)), holder);
            }
        }
        assert_eq!(Keys::new("").state(&name).as_ref(), "repositories/team/a-b/c/_state.json");
    }
}
