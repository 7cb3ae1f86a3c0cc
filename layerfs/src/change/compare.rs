//! Whether an entry of the upper says anything that the lower does not.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};

use super::walk::Failure;
use crate::root::{Dir, FileKind, Metadata};
use crate::whiteout::{self, Intended};

/// How much of two files is compared at once, in bytes.
const PIECE: usize = 128 * 1024;

/// Whether `name` is the same in both directories, which have the kinds equal already.
///
/// Content is read only when all else is equal: then a process wrote to the file and put its time
/// back, or only opened it for writing. A directory's size and time are not compared.
pub(super) fn same(
    upper: &Dir,
    lower: &Dir,
    name: &OsStr,
    now: &Metadata,
    before: &Metadata,
) -> Result<bool, Failure> {
    let is_dir = now.kind == FileKind::Dir;
    if now.mode != before.mode
        || (now.kind.is_device() && now.rdev != before.rdev)
        || (!is_dir && (now.mtime != before.mtime || now.size != before.size))
    {
        return Ok(false);
    }
    let (mut now, mut before) = (*now, *before);
    let upper_xattrs = split_xattrs(upper, name, &mut now)?;
    let lower_xattrs = split_xattrs(lower, name, &mut before)?;
    let shown = |m: &Metadata| (m.kind, m.mode, m.uid, m.gid, m.rdev);
    if shown(&now) != shown(&before) || upper_xattrs != lower_xattrs {
        return Ok(false);
    }
    match now.kind {
        FileKind::Symlink => Ok(upper.read_link(name)? == lower.read_link(name)?),
        FileKind::File if now.size > 0 => {
            Ok(same_content(&upper.open_file(name)?, &lower.open_file(name)?)?)
        }
        _ => Ok(true),
    }
}

/// The extended attributes that are part of the image; `metadata` is corrected by ours.
pub(super) fn split_xattrs(
    dir: &Dir,
    name: &OsStr,
    metadata: &mut Metadata,
) -> Result<Vec<(OsString, Vec<u8>)>, Failure> {
    // What overlayfs keeps there for itself need not be read.
    let wanted = |key: &OsStr| !whiteout::is_private(key) || key == Intended::key();
    let mut xattrs = dir.xattrs_if(name, wanted)?;
    if let Some((_, value)) = xattrs.iter().find(|(key, _)| key == Intended::key())
        && let Some(intended) = Intended::from_value(value)
    {
        intended.correct(metadata);
    }
    xattrs.retain(|(key, _)| !whiteout::is_private(key) && !whiteout::is_of_the_machine(key));
    Ok(xattrs)
}

/// Whether two files have the same bytes.
pub(super) fn same_content(mut a: &File, mut b: &File) -> io::Result<bool> {
    let (mut piece_a, mut piece_b) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let n = read_full(&mut a, &mut piece_a)?;
        let m = read_full(&mut b, &mut piece_b)?;
        if piece_a[..n] != piece_b[..m] {
            return Ok(false);
        }
        if n == 0 {
            return Ok(true);
        }
    }
}

fn read_full(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
