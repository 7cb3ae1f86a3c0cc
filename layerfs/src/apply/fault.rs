//! What can be wrong with an archive.

use crate::Error;

/// Why bytes are no tar archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The archive ends in the middle of something.
    #[error("it ends too early")]
    Truncated,
    /// A header block's checksum does not hold.
    #[error("a header's checksum is wrong")]
    Checksum,
    /// A number is none, negative where it must not be, or too large.
    #[error("a number is not valid")]
    Number,
    /// An extended header has a record that is none.
    #[error("an extended header is not valid")]
    Pax,
    /// The map of a sparse file contradicts itself or the file.
    #[error("the map of a sparse file is not valid")]
    SparseMap,
    /// The extended headers of one entry are too long together.
    #[error("the extended headers of one entry are longer than 1 MiB")]
    ExtendedTooLong,
    /// Extended headers follow each other without an entry.
    #[error("too many extended headers follow each other")]
    TooManyHeaders,
    /// A block of zeros stands between entries.
    #[error("a single block of zeros stands between entries")]
    LoneZeroBlock,
}

/// Why an entry of an archive is not unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// Its name has a NUL byte.
    #[error("its name contains a NUL byte")]
    NulInName,
    /// Its name climbs out of the root.
    #[error("its name leads out of the root")]
    OutsideRoot,
    /// It names the root and is no directory.
    #[error("the root can only be a directory")]
    RootNotDirectory,
    /// It is a hard link to something that is not in the archive.
    #[error("it is a hard link to `{0}`, which is not there")]
    LinkTargetMissing(String),
    /// It is a hard link to a directory or to something outside.
    #[error("it is a hard link to `{0}`, which cannot be linked to")]
    LinkTargetInvalid(String),
    /// It is a whiteout of nothing that could be there.
    #[error("it is not a valid whiteout")]
    InvalidWhiteout,
    /// It is of a type that has no meaning in a layer.
    #[error("its type {:?} is not supported", char::from(*.0))]
    UnknownType(u8),
    /// Its owner or group is no id that files can have.
    #[error("its owner {0} is out of range")]
    OwnerOutOfRange(i64),
    /// Its owner or group has no place in the user namespace that this process is in.
    #[error("it belongs to {0}:{1}, and this user namespace does not map that user or group")]
    OwnerNotMapped(u32, u32),
    /// The archive has more entries than allowed.
    #[error("the archive has more than the allowed {0} entries")]
    TooManyEntries(u64),
    /// The archive's files have more bytes than allowed.
    #[error("the archive's files have more than the allowed {0} bytes")]
    TooManyBytes(u64),
}

impl EntryFault {
    /// This fault of the entry called `name`.
    pub(crate) fn of(self, name: &[u8]) -> Error {
        Error::Entry { entry: super::archive::path_of(name), source: self }
    }
}
