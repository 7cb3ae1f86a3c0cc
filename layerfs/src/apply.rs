//! A layer's tar becomes a directory of its own.
//!
//! Layers unpack without looking at each other, and so in parallel. A directory that a layer's
//! tar needs and does not name is made and marked as implicit; what it looks like is decided when
//! layers are stacked (see [`crate::snapshot`]).

mod archive;
mod attributes;
mod fault;
mod finisher;
mod header;
mod name;
mod parents;
mod pax;
mod place;
mod sparse;

use std::ffi::OsStr;
use std::io::BufRead;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::root::{Metadata, Root, Timestamp};
use crate::whiteout::{self, META_PREFIX, OPAQUE_NAME, PREFIX};
use crate::{Error, Result};

pub(crate) use archive::{Archive, Content, Entry};
pub(crate) use attributes::Overrides;
pub use fault::{EntryFault, Malformed};
pub(crate) use header::BLOCK;
pub(crate) use name::{below, clean, split_clean};
pub(crate) use place::Placer;

/// Which owners this process can give to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IdMode {
    /// Any: real root, or a user namespace in which many ids are mapped.
    #[default]
    Full,
    /// Only its own: a user namespace in which one id is mapped. The owner that a file should
    /// have is kept in an extended attribute and honoured when the tree becomes a tar again.
    Single,
}

/// How to unpack a layer.
#[derive(Debug, Clone, Default)]
pub struct ApplyOptions {
    /// Which owners can be given.
    pub ids: IdMode,
    /// The most entries that the archive may have.
    pub max_entries: Option<u64>,
    /// The most bytes that its files may have together, holes included.
    pub max_bytes: Option<u64>,
    /// Whether a second thread finishes small files: where no other layer is unpacked meanwhile.
    pub finish_apart: bool,
}

/// What came of unpacking a layer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// How many entries the archive had.
    pub entries: u64,
    /// How many bytes its files have together, holes included.
    pub bytes: u64,
    /// The directories that had to be made and that the archive does not name, sorted, as seen
    /// from the layer's root, which is the empty path. They carry a mark as well.
    pub implicit: Vec<PathBuf>,
    /// How many extended attributes were not set, because the file system has none of that kind,
    /// because only another user may set them, or because they are overlayfs's or the machine's.
    pub skipped_xattrs: u64,
}

/// Unpacks a layer's tar into the empty directory `layer`.
///
/// Reading stops at the archive's end marker: whoever digests the stream reads what follows.
/// Whiteouts become character devices 0:0, opaque directories get `user.overlay.opaque`. Nothing
/// is synced to disk.
///
/// # Errors
/// If the archive is malformed or truncated, if an entry climbs out of the root by `..`, links to
/// what is not in the layer, or cannot be made, and if a limit of `options` is passed. What has
/// been unpacked until then remains.
pub fn apply_layer(tar: &mut dyn BufRead, layer: &Root, options: &ApplyOptions) -> Result<Applied> {
    let mut archive = Archive::new(tar);
    let mut placer = Placer::for_layer(layer, options)?;
    start_root(layer, options.ids)?;
    while let Some(entry) = archive.next()? {
        placer.count(&entry)?;
        apply_entry(&mut placer, &entry, &mut archive)?;
    }
    placer.finish()
}

/// Gives the layer's root what it has when no entry says otherwise.
fn start_root(layer: &Root, ids: IdMode) -> Result<()> {
    let failed = |e| Error::tree("prepare", "/", e);
    let (top, this) = (layer.top(), OsStr::new("."));
    if ids == IdMode::Full {
        top.chown(this, 0, 0).map_err(failed)?;
    }
    top.chmod(this, 0o755).map_err(failed)?;
    // Nothing below is to inherit access rules that no entry gives it.
    top.remove_xattr(this, OsStr::new("system.posix_acl_default")).map_err(failed)?;
    whiteout::mark_implicit(top, this).map_err(failed)
}

fn apply_entry(placer: &mut Placer<'_>, entry: &Entry, archive: &mut Archive<'_>) -> Result<()> {
    let path = clean(&entry.path).map_err(|fault| fault.of(&entry.path))?;
    let Some((parent, name)) = split_clean(&path) else {
        return placer.place_root(entry);
    };
    if !path.windows(PREFIX.len()).any(|w| w == PREFIX) {
        return placer.place(entry, parent, name, archive);
    }
    if path.split(|b| *b == b'/').any(|c| c.starts_with(META_PREFIX) && c != OPAQUE_NAME) {
        // What AUFS kept for itself is in some old images and means nothing to anybody else.
        return Ok(());
    }
    let in_whiteout = parent.split(|b| *b == b'/').any(|c| c.starts_with(PREFIX));
    if in_whiteout {
        return Err(EntryFault::InvalidWhiteout.of(&entry.path));
    }
    if name == OPAQUE_NAME {
        return placer.hide_lower(entry, parent);
    }
    match name.strip_prefix(PREFIX) {
        Some(hidden) if crate::root::check_name(OsStr::from_bytes(hidden)).is_ok() => {
            placer.white_out(entry, parent, hidden)
        }
        Some(_) => Err(EntryFault::InvalidWhiteout.of(&entry.path)),
        None => placer.place(entry, parent, name, archive),
    }
}

/// Makes a directory that a layer's tar needs and does not name.
fn make_implicit(
    dir: &crate::root::Dir,
    name: &OsStr,
    there: Option<&Metadata>,
) -> rustix::io::Result<()> {
    let hides = match there {
        None => false,
        // The layer removes what was there and makes a directory anew.
        Some(there) if whiteout::is_whiteout(there) => {
            dir.unlink(name)?;
            true
        }
        Some(_) => return Err(rustix::io::Errno::NOTDIR),
    };
    dir.mkdir(name, 0o755)?;
    dir.chmod(name, 0o755)?;
    whiteout::mark_implicit(dir, name)?;
    if hides { whiteout::make_opaque(dir, name) } else { Ok(()) }
}

/// The time of directories that no archive names: the same whenever they are made.
pub(crate) const IMPLICIT_TIME: Timestamp = Timestamp { seconds: 0, nanoseconds: 0 };

/// The implicit directories among `candidates`: those that no later entry named.
fn still_implicit(layer: &Root, candidates: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut implicit = Vec::new();
    for path in candidates {
        let failed = |e| Error::tree("examine", path, e);
        let marked = match layer.parent(path) {
            Ok((dir, name)) => match dir.stat(name).map_err(failed)? {
                Some(m) if m.kind == crate::root::FileKind::Dir => {
                    whiteout::is_implicit(&dir, name).map_err(failed)?
                }
                _ => false,
            },
            Err(_) => false,
        };
        if marked {
            implicit.push(path.clone());
        }
    }
    if whiteout::is_implicit(layer.top(), OsStr::new("."))
        .map_err(|e| Error::tree("examine", Path::new("/"), e))?
    {
        implicit.push(PathBuf::new());
    }
    implicit.sort_unstable();
    implicit.dedup();
    Ok(implicit)
}
