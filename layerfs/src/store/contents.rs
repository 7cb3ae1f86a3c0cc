//! What the files of a layer hold: who makes the next one like it need not read them to know.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{BuildSnapshot, Layer};
use crate::{Error, Result};

/// The file beside a layer's tree. Another form of it is another name.
const CONTENTS: &str = "contents";

/// The length of a digest, in bytes.
const DIGEST: usize = 32;

/// Digests of what files of a layer hold, by their paths in it. Which digest it is, and which files
/// have one, is for their maker to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// For each file its path, a zero byte and the digest.
    bytes: Vec<u8>,
}

impl Contents {
    /// Adds a file. The paths ascend, compared component by component.
    pub fn push(&mut self, path: &Path, digest: &[u8; DIGEST]) {
        self.bytes.extend_from_slice(path.as_os_str().as_bytes());
        self.bytes.push(0);
        self.bytes.extend_from_slice(digest);
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The files, in the order in which they were added. What was cut off at the end is none.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &[u8; DIGEST])> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let end = rest.iter().position(|byte| *byte == 0)?;
            let (digest, after) = rest.get(end + 1..)?.split_first_chunk()?;
            let path = Path::new(OsStr::from_bytes(&rest[..end]));
            rest = after;
            Some((path, digest))
        })
    }
}

impl BuildSnapshot {
    /// Keeps what the files of the layer hold, beside it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep_contents(&self, contents: &Contents) -> Result<()> {
        let file = self.staged.join(CONTENTS);
        fs::write(&file, &contents.bytes).map_err(|e| Error::io("write", &file, e))
    }
}

impl Layer {
    /// What was [kept](BuildSnapshot::keep_contents) of the layer's files; empty if nothing was.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn contents(&self) -> Result<Contents> {
        let file = self.dir.join(CONTENTS);
        match fs::read(&file) {
            Ok(bytes) => Ok(Contents { bytes }),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Contents::default()),
            Err(e) => Err(Error::io("read", &file, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_back_in_their_order() {
        let mut contents = Contents::default();
        assert!(contents.is_empty());
        let files = [("a/b", [0; 32]), ("a-b", [1; 32]), ("c", [2; 32])];
        for (path, digest) in &files {
            contents.push(Path::new(path), digest);
        }
        let back: Vec<_> = contents.iter().map(|(path, digest)| (path, *digest)).collect();
        assert_eq!(back, files.map(|(path, digest)| (Path::new(path), digest)));
    }

    #[test]
    fn what_is_cut_off_is_no_file() {
        let mut whole = Contents::default();
        whole.push(Path::new("a"), &[1; 32]);
        whole.push(Path::new("b"), &[2; 32]);
        let one = whole.bytes.len() / 2;
        for cut in 0..whole.bytes.len() {
            let contents = Contents { bytes: whole.bytes[..cut].to_vec() };
            assert_eq!(contents.iter().count(), cut / one);
        }
    }
}
