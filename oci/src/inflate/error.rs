//! What can be wrong with a gzip stream.

use std::io;

/// How compressed data breaks the rules of its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corrupt {
    /// A member does not begin as gzip does.
    #[error("gzip member does not begin with a gzip header")]
    NoHeader,
    /// A member is compressed with something else than deflate.
    #[error("gzip member has unknown compression method {0}")]
    UnknownMethod(u8),
    /// A header has flags that RFC 1952 keeps for later.
    #[error("gzip header has reserved flags set ({0:#04x})")]
    ReservedFlags(u8),
    /// A name or comment in a header goes on and on.
    #[error("gzip header has a field longer than 65535 bytes")]
    LongField,
    /// A header does not have the checksum that it says.
    #[error("gzip header does not match its checksum")]
    HeaderChecksum,
    /// The bytes that came out of a member are not those that went in.
    #[error("gzip member does not match its checksum")]
    Checksum,
    /// More or fewer bytes came out of a member than went in.
    #[error("gzip member does not match its length")]
    Length,
    /// The block type that there is not.
    #[error("deflate block has the reserved type 3")]
    BlockType,
    /// The length of a stored block and its complement differ.
    #[error("stored deflate block does not match the complement of its length")]
    StoredLength,
    /// A dynamic block declares symbols beyond those of the format.
    #[error("deflate block has too many length or distance symbols")]
    TooManySymbols,
    /// The code of the code lengths is over-subscribed or incomplete.
    #[error("deflate block has an invalid set of code lengths")]
    CodeLengths,
    /// A repetition of code lengths without a length before it, or beyond the last.
    #[error("deflate block has an invalid repetition of code lengths")]
    Repetition,
    /// A block that could not end.
    #[error("deflate block has no code for its end")]
    NoEndOfBlock,
    /// The code of literals and lengths is over-subscribed or incomplete.
    #[error("deflate block has an invalid set of literals and lengths")]
    Literals,
    /// The code of distances is over-subscribed or incomplete.
    #[error("deflate block has an invalid set of distances")]
    Distances,
    /// Bits that are no literal and no length.
    #[error("deflate block has an invalid code of a literal or length")]
    LiteralCode,
    /// Bits that are no distance.
    #[error("deflate block has an invalid code of a distance")]
    DistanceCode,
    /// A match reaches back beyond the first byte.
    #[error("deflate block refers to data before its beginning")]
    TooFarBack,
}

/// Why there is no more output.
#[derive(Debug)]
pub(super) enum Failure {
    /// The data is broken.
    Corrupt(Corrupt),
    /// The data ends too early.
    Truncated,
    /// The data cannot be read.
    Read(io::Error),
}

impl Failure {
    /// The same once more, for whoever goes on reading.
    pub(super) fn again(&self) -> Failure {
        match self {
            Failure::Corrupt(corrupt) => Failure::Corrupt(*corrupt),
            Failure::Truncated => Failure::Truncated,
            Failure::Read(error) => Failure::Read(error.kind().into()),
        }
    }
}

impl From<Corrupt> for Failure {
    fn from(corrupt: Corrupt) -> Failure {
        Failure::Corrupt(corrupt)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Read(error)
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> io::Error {
        match failure {
            Failure::Corrupt(corrupt) => io::Error::new(io::ErrorKind::InvalidData, corrupt),
            Failure::Truncated => {
                io::Error::new(io::ErrorKind::UnexpectedEof, "gzip stream ends too early")
            }
            Failure::Read(error) => error,
        }
    }
}
