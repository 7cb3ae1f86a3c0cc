//! Comparing trees: everything an image says of a file.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// All that two trees must agree in for a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `dir`, `file`, `link`, `char`, `block`, `fifo` or `socket`.
    pub kind: &'static str,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Seconds since the epoch.
    pub mtime: i64,
    /// What its time has beyond whole seconds, which a tar of ours does not keep.
    pub nanoseconds: i64,
    /// The digest of a file's content, the target of a link, the number of a device.
    pub content: String,
    /// The first path, in order, that is the same file.
    pub hard_link: Option<PathBuf>,
    /// Extended attributes but those of the machine that holds the tree.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// The entries of the tree at `root` by their path in it; the root itself is `.`.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut entries = BTreeMap::new();
    let mut first_of_inode = BTreeMap::new();
    walk(root, Path::new("."), &mut entries, &mut first_of_inode);
    entries
}

fn walk(
    root: &Path,
    at: &Path,
    entries: &mut BTreeMap<PathBuf, Entry>,
    inodes: &mut BTreeMap<u64, PathBuf>,
) {
    let path = root.join(at);
    let metadata = fs::symlink_metadata(&path).expect("metadata");
    let kind = metadata.file_type();
    let (name, content) = match () {
        () if kind.is_dir() => ("dir", String::new()),
        () if kind.is_file() => ("file", oci_digest(&fs::read(&path).expect("a file's content"))),
        () if kind.is_symlink() => {
            ("link", fs::read_link(&path).expect("a target").display().to_string())
        }
        () if kind.is_char_device() => ("char", metadata.rdev().to_string()),
        () if kind.is_block_device() => ("block", metadata.rdev().to_string()),
        () if kind.is_fifo() => ("fifo", String::new()),
        () => ("socket", String::new()),
    };
    let mut hard_link = None;
    if !kind.is_dir() && metadata.nlink() > 1 {
        let first = inodes.entry(metadata.ino()).or_insert_with(|| at.to_owned());
        hard_link = (first != at).then(|| first.clone());
    }
    let entry = Entry {
        kind: name,
        mode: metadata.mode() & 0o7777,
        owner: (metadata.uid(), metadata.gid()),
        mtime: metadata.mtime(),
        nanoseconds: metadata.mtime_nsec(),
        content,
        hard_link,
        xattrs: xattrs(&path),
    };
    entries.insert(at.to_owned(), entry);
    if kind.is_dir() {
        let mut names: Vec<_> = fs::read_dir(&path)
            .expect("a directory")
            .map(|e| e.expect("an entry").file_name())
            .collect();
        names.sort();
        for name in names {
            walk(root, &at.join(name), entries, inodes);
        }
    }
}

fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut list = vec![0_u8; 64 << 10];
    let length = rustix::fs::llistxattr(path, &mut list).unwrap_or(0);
    let names = list[..length].split(|&b| b == 0).filter(|name| !name.is_empty());
    names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .filter(|name| !name.contains("overlay.") && name != "security.selinux")
        .map(|name| {
            let mut value = vec![0_u8; 64 << 10];
            let length = rustix::fs::lgetxattr(path, &name, &mut value).unwrap_or(0);
            value.truncate(length);
            (name, value)
        })
        .collect()
}

fn oci_digest(bytes: &[u8]) -> String {
    oci::Digest::sha256(bytes).to_string()
}
