//! Writes down a tree, so that two can be compared and an expected one be read by people.
//!
//! One entry a line: type, mode, owner, time, path, and what else there is to say. It uses the
//! standard library and not the code under test.

use std::collections::HashMap;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// What to write down.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// All of a layer's directory, with the marks that it carries.
    Layer,
    /// What an image's tree is: no marks.
    Tree,
}

/// The tree at `root`.
pub(crate) fn list(root: &Path, detail: Detail) -> String {
    let mut out = String::new();
    let mut names = HashMap::new();
    walk(root, Path::new(""), detail, &mut names, &mut out);
    out
}

fn walk(
    root: &Path,
    path: &Path,
    detail: Detail,
    names: &mut HashMap<u64, String>,
    out: &mut String,
) {
    let at = root.join(path);
    let stat = at.symlink_metadata().unwrap();
    let shown =
        if path.as_os_str().is_empty() { "." } else { &escape(path.as_os_str().as_bytes()) };
    let kind = stat.file_type();
    if kind.is_char_device() && stat.rdev() == 0 {
        writeln!(out, "whiteout {shown}").unwrap();
        return;
    }
    let letter = match () {
        () if kind.is_dir() => 'd',
        () if kind.is_symlink() => 'l',
        () if kind.is_char_device() => 'c',
        () if kind.is_block_device() => 'b',
        () if kind.is_fifo() => 'p',
        () if kind.is_socket() => 's',
        () => 'f',
    };
    let mut time = stat.mtime().to_string();
    if stat.mtime_nsec() != 0 {
        write!(time, ".{:09}", stat.mtime_nsec()).unwrap();
    }
    let mode = stat.mode() & 0o7777;
    write!(out, "{letter} {mode:04o} {}:{} {time} {shown}", stat.uid(), stat.gid()).unwrap();
    let several_names = stat.nlink() > 1 && !kind.is_dir();
    let first = several_names.then(|| names.get(&stat.ino()).cloned()).flatten();
    if several_names && first.is_none() {
        names.insert(stat.ino(), shown.to_owned());
    }
    if let Some(first) = first {
        write!(out, " = {first}").unwrap();
    } else if kind.is_symlink() {
        let target = std::fs::read_link(&at).unwrap();
        write!(out, " -> {}", escape(target.as_os_str().as_bytes())).unwrap();
    } else if kind.is_char_device() || kind.is_block_device() {
        let (major, minor) = (rustix::fs::major(stat.rdev()), rustix::fs::minor(stat.rdev()));
        write!(out, " {major}:{minor}").unwrap();
    } else if kind.is_file() {
        let data = std::fs::read(&at).unwrap();
        if data.len() <= 64 {
            write!(out, " \"{}\"", escape(&data)).unwrap();
        } else {
            write!(out, " {} bytes {}", data.len(), &oci::Digest::sha256(&data).short()).unwrap();
            if stat.blocks() * 512 < stat.size() / 2 {
                out.push_str(" sparse");
            }
        }
    }
    for (key, value) in xattrs(&at) {
        match (key.as_str(), detail) {
            ("user.overlay.opaque", Detail::Layer) => out.push_str(" opaque"),
            ("user.overlay.tierce.implicit", Detail::Layer) => out.push_str(" implicit"),
            (key, Detail::Tree) if key.starts_with("user.overlay.") => {}
            (key, _) => write!(out, " {key}=\"{}\"", escape(&value)).unwrap(),
        }
    }
    out.push('\n');
    if kind.is_dir() {
        let mut entries: Vec<_> =
            std::fs::read_dir(&at).unwrap().map(|e| e.unwrap().file_name()).collect();
        entries.sort();
        for name in entries {
            walk(root, &path.join(name), detail, names, out);
        }
    }
}

/// The extended attributes of what is at `path`, sorted.
pub(crate) fn xattrs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut list = vec![0; 65536];
    let n = rustix::fs::llistxattr(path, &mut list[..]).unwrap_or(0);
    let mut found: Vec<_> = list[..n]
        .split(|b| *b == 0)
        .filter(|key| !key.is_empty())
        .map(|key| {
            let mut value = vec![0; 65536];
            let n = rustix::fs::lgetxattr(path, key, &mut value[..]).unwrap();
            value.truncate(n);
            (String::from_utf8_lossy(key).into_owned(), value)
        })
        .collect();
    found.sort();
    found
}

fn escape(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text
            .chars()
            .map(|c| {
                if c.is_control() || c == '\\' { c.escape_default().to_string() } else { c.into() }
            })
            .collect(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}
