//! Content digests (OCI image-spec, descriptor, "Digests").

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;
use sha2::digest::common::hazmat::SerializableState;

use crate::{Error, Result};

/// The hash functions that we can verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, what everybody uses.
    Sha256,
    /// SHA-512, what the specification also registers.
    Sha512,
}

impl Algorithm {
    /// The name as it stands before the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal digits a digest of this algorithm has.
    pub fn hex_len(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha512 => 128,
        }
    }

    /// A hasher of this algorithm.
    pub fn hasher(self) -> Hasher {
        match self {
            Algorithm::Sha256 => Hasher(State::Sha256(sha2::Sha256::new())),
            Algorithm::Sha512 => Hasher(State::Sha512(Box::new(sha2::Sha512::new()))),
        }
    }

    /// The digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> Digest {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }
}

/// The digest of some bytes: an algorithm and its value, checked, and therefore safe to become
/// part of a path or URL.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

impl Digest {
    /// The SHA-256 digest of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Digest {
        Algorithm::Sha256.digest(bytes)
    }

    /// The hash function.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The value in lower-case hexadecimal.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// The first twelve digits of the value, as people see it.
    pub fn short(&self) -> &str {
        &self.hex[..12]
    }

    /// A digest from its two parts.
    ///
    /// # Errors
    /// If `hex` is not lower-case hexadecimal of the algorithm's length.
    pub fn from_parts(algorithm: Algorithm, hex: &str) -> Result<Digest> {
        let invalid =
            |reason| Error::InvalidDigest { text: format!("{}:{hex}", algorithm.as_str()), reason };
        if hex.len() != algorithm.hex_len() {
            return Err(invalid("the value has the wrong length"));
        }
        if !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(invalid("the value is not lower-case hexadecimal"));
        }
        Ok(Digest { algorithm, hex: hex.into() })
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Digest> {
        let invalid = |reason| Error::InvalidDigest { text: text.to_owned(), reason };
        let (algorithm, hex) = text
            .split_once(':')
            .ok_or_else(|| invalid("it has no `algorithm:` before its value"))?;
        let algorithm = match algorithm {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(invalid("only sha256 and sha512 can be verified")),
        };
        Digest::from_parts(algorithm, hex)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Digest, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Hashes what passes on its way to a writer.
pub struct HashedWrite<W> {
    inner: W,
    hasher: Hasher,
}

impl<W> HashedWrite<W> {
    /// Hashes what is written to `inner`.
    pub fn new(inner: W, algorithm: Algorithm) -> HashedWrite<W> {
        HashedWrite { inner, hasher: algorithm.hasher() }
    }

    /// The writer.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// The writer, and the digest of what it took.
    pub fn finish(self) -> (W, Digest) {
        (self.inner, self.hasher.finish())
    }
}

impl<W: Write> Write for HashedWrite<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Computes a digest from bytes as they pass.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(Box<sha2::Sha512>),
}

impl Hasher {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// The algorithm of its digest.
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// What another process needs to go on from here, by [`Hasher::restore`].
    pub fn save(&self) -> Vec<u8> {
        match &self.0 {
            State::Sha256(state) => state.serialize().to_vec(),
            State::Sha512(state) => state.serialize().to_vec(),
        }
    }

    /// The hasher that was saved; `None` if none of that algorithm was.
    pub fn restore(algorithm: Algorithm, saved: &[u8]) -> Option<Hasher> {
        Some(Hasher(match algorithm {
            Algorithm::Sha256 => {
                State::Sha256(sha2::Sha256::deserialize(saved.try_into().ok()?).ok()?)
            }
            Algorithm::Sha512 => {
                State::Sha512(Box::new(sha2::Sha512::deserialize(saved.try_into().ok()?).ok()?))
            }
        }))
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Digest {
        let (algorithm, value) = match self.0 {
            State::Sha256(state) => (Algorithm::Sha256, hex(&state.finalize())),
            State::Sha512(state) => (Algorithm::Sha512, hex(&state.finalize())),
        };
        Digest { algorithm, hex: value.into() }
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

macro_rules! digest_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Digest);

        impl $name {
            /// The digest inside.
            pub fn digest(&self) -> &Digest {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<$name> {
                text.parse().map($name)
            }
        }
    };
}

digest_newtype! {
    /// The digest of a layer's uncompressed tar (image-spec, config, "Layer DiffID").
    DiffId
}
digest_newtype! {
    /// The digest of a stack of layers (image-spec, config, "Layer ChainID").
    ChainId
}

impl ChainId {
    /// The identity of the stack `layers`, lowest first; `None` for the empty stack.
    pub fn of<'a>(layers: impl IntoIterator<Item = &'a DiffId>) -> Option<ChainId> {
        layers.into_iter().fold(None, |below, layer| {
            Some(match below {
                None => ChainId(layer.0.clone()),
                Some(below) => ChainId(Digest::sha256(format!("{below} {layer}").as_bytes())),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hasher_goes_on_where_another_was_saved() {
        let bytes: Vec<u8> = (0..1000_u32).map(|number| (number * 7) as u8).collect();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for at in [0, 1, 63, 64, 127, 128, 129, 500, 1000] {
                let mut first = algorithm.hasher();
                first.update(&bytes[..at]);
                let mut second = Hasher::restore(algorithm, &first.save()).unwrap();
                second.update(&bytes[at..]);
                assert_eq!(second.finish(), algorithm.digest(&bytes), "{algorithm:?} from {at}");
            }
            assert!(Hasher::restore(algorithm, b"what is no state").is_none());
        }
    }

    #[test]
    fn a_digest_reads_back_what_it_prints() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let digest = algorithm.digest(b"tierce");
            assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        }
        assert_eq!(
            Digest::sha256(b"").to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let long = format!("sha256:{}", "a".repeat(65));
        let upper = format!("sha256:{}", "A".repeat(64));
        let path = format!("sha256:{}", "../".repeat(22));
        for text in ["", "sha256", "sha256:", "sha256:abc", "md5:00", &long, &upper, &path] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_chain_of_one_layer_is_that_layer() {
        let a = DiffId(Digest::sha256(b"a"));
        let b = DiffId(Digest::sha256(b"b"));
        assert_eq!(ChainId::of([]), None);
        assert_eq!(ChainId::of([&a]).unwrap().0, a.0);
        let two = ChainId::of([&a, &b]).unwrap();
        assert_eq!(two.0, Digest::sha256(format!("{a} {b}").as_bytes()));
        assert_ne!(Some(two), ChainId::of([&b, &a]));
    }
}
