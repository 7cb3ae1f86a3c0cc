//! What the system says of an entry.

use rustix::fs::{FileType, Stat, Timespec, Timestamps};

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket, or what this program does not know.
    Socket,
}

impl FileKind {
    pub(crate) fn from_type(kind: FileType) -> FileKind {
        match kind {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Dir,
            FileType::Symlink => FileKind::Symlink,
            FileType::CharacterDevice => FileKind::CharDevice,
            FileType::BlockDevice => FileKind::BlockDevice,
            FileType::Fifo => FileKind::Fifo,
            FileType::Socket | FileType::Unknown => FileKind::Socket,
        }
    }

    pub(crate) fn to_type(self) -> FileType {
        match self {
            FileKind::File => FileType::RegularFile,
            FileKind::Dir => FileType::Directory,
            FileKind::Symlink => FileType::Symlink,
            FileKind::CharDevice => FileType::CharacterDevice,
            FileKind::BlockDevice => FileType::BlockDevice,
            FileKind::Fifo => FileType::Fifo,
            FileKind::Socket => FileType::Socket,
        }
    }

    /// Whether it is a character or block device.
    pub fn is_device(self) -> bool {
        matches!(self, FileKind::CharDevice | FileKind::BlockDevice)
    }
}

/// A moment: seconds since 1970-01-01 UTC, negative before, and nanoseconds after that second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// A moment on a whole second.
    pub fn at(seconds: i64) -> Timestamp {
        Timestamp { seconds, nanoseconds: 0 }
    }

    /// As access and modification time. Both, because an access time of "now" would make the tree
    /// depend on when it was made.
    pub(crate) fn both(self) -> Timestamps {
        let time = Timespec { tv_sec: self.seconds, tv_nsec: self.nanoseconds.into() };
        Timestamps { last_access: time, last_modification: time }
    }
}

/// What the system says of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits with setuid, setgid and sticky: `mode & 0o7777`.
    pub mode: u32,
    /// The owner's id.
    pub uid: u32,
    /// The group's id.
    pub gid: u32,
    /// Length in bytes; of a symlink, of its target.
    pub size: u64,
    /// The device that a device node stands for (major, minor).
    pub rdev: (u32, u32),
    /// The last modification of the content.
    pub mtime: Timestamp,
    /// The last change of content or metadata.
    pub ctime: Timestamp,
    /// The file system it is on.
    pub dev: u64,
    /// Its number there; with `dev`, its identity.
    pub ino: u64,
    /// How many names it has.
    pub nlink: u64,
}

impl From<&Stat> for Metadata {
    // The widths of `stat`'s fields differ between architectures.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast, clippy::cast_lossless)]
    fn from(stat: &Stat) -> Metadata {
        let rdev = stat.st_rdev as u64;
        Metadata {
            kind: FileKind::from_type(FileType::from_raw_mode(stat.st_mode)),
            mode: stat.st_mode as u32 & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            rdev: (rustix::fs::major(rdev), rustix::fs::minor(rdev)),
            mtime: Timestamp {
                seconds: stat.st_mtime as i64,
                nanoseconds: stat.st_mtime_nsec as u32,
            },
            ctime: Timestamp {
                seconds: stat.st_ctime as i64,
                nanoseconds: stat.st_ctime_nsec as u32,
            },
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            nlink: stat.st_nlink as u64,
        }
    }
}
