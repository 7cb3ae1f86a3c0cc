//! The reader that nobody can forget to check.

use std::io::{self, Read};

use crate::{Descriptor, Digest, Error, Hasher};

/// Passes a blob's bytes on and ends in an error unless their number and digest are right.
///
/// The error comes in place of the end of the stream: who reads to the end without an error has
/// read the right bytes. At most `size` bytes are ever passed on.
pub struct Verified<R> {
    inner: R,
    expected: Digest,
    size: u64,
    seen: u64,
    hasher: Option<Hasher>,
}

impl<R: Read> Verified<R> {
    /// Reads `inner` as the blob of `descriptor`.
    pub fn new(inner: R, descriptor: &Descriptor) -> Verified<R> {
        Verified {
            inner,
            expected: descriptor.digest.clone(),
            size: descriptor.size,
            seen: 0,
            hasher: Some(descriptor.digest.algorithm().hasher()),
        }
    }

    /// Reads by way of another reader, which must pass the same bytes on.
    pub(crate) fn by_way_of<S: Read>(self, way: impl FnOnce(R) -> S) -> Verified<S> {
        let Verified { inner, expected, size, seen, hasher } = self;
        Verified { inner: way(inner), expected, size, seen, hasher }
    }

    fn finish(&mut self) -> io::Result<usize> {
        let Some(hasher) = self.hasher.take() else { return Ok(0) };
        if self.seen != self.size {
            return Err(self.wrong_size());
        }
        let actual = hasher.finish();
        if actual != self.expected {
            return Err(Error::DigestMismatch { expected: self.expected.clone(), actual }.into());
        }
        Ok(0)
    }

    fn wrong_size(&self) -> io::Error {
        Error::SizeMismatch {
            digest: self.expected.clone(),
            expected: self.size,
            actual: self.seen,
        }
        .into()
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        if count == 0 {
            return self.finish();
        }
        self.seen += count as u64;
        if self.seen > self.size {
            self.hasher = None;
            return Err(self.wrong_size());
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MediaType;

    fn read(bytes: &[u8], digest: Digest, size: u64) -> io::Result<Vec<u8>> {
        let descriptor = Descriptor::new(MediaType::OCI_LAYER, digest, size);
        let mut out = Vec::new();
        Verified::new(bytes, &descriptor).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn only_the_right_bytes_end_without_an_error() {
        let digest = Digest::sha256(b"four");
        assert_eq!(read(b"four", digest.clone(), 4).unwrap(), b"four");
        for (bytes, size) in [(&b"four"[..], 3), (b"fou", 4), (b"fiver", 4), (b"five", 4), (b"", 4)]
        {
            assert!(read(bytes, digest.clone(), size).is_err(), "{bytes:?} {size}");
        }
    }
}
