//! COPY and ADD: how the result is keyed and made.

mod attributes;
mod earlier;
mod file;
mod fill;
mod owner;
mod place;
mod real_path;

use std::ffi::OsStr;
use std::path::Path;

use layerfs::{Contents, ExtractOptions, FileKind, IdMode, NewFiles, Root, Timestamp};
use oci::DiffId;

use self::attributes::Attributes;
use self::place::Placer;
use self::real_path::real_path;

pub(crate) use self::earlier::{Earlier, is_worth_it, key as earlier_key};
pub(crate) use self::owner::{read as read_account_file, resolve as resolve_owner};
use super::{Copy, CopySource, SourceTree, Times};
use crate::cache::{CacheKey, KeyHasher};
use crate::cancel::Cancel;
use crate::error::StepCause;
use crate::instruction::Chmod;
use crate::select::{Selected, shown};
use crate::tree::{FileTree, failed, failed_io};

/// What a source came to.
#[derive(Debug)]
pub(crate) enum Found {
    /// Files of a tree, with the digest of their content.
    Files {
        /// The tree.
        tree: SourceTree,
        /// The files.
        selected: Vec<Selected>,
        /// Whether archives among them are unpacked.
        unpack: bool,
    },
    /// A file given in the Dockerfile.
    Inline {
        /// Its name.
        name: String,
        /// Its content.
        content: String,
    },
}

/// The key of a copy onto `below` of sources with these content digests, one per source that is
/// no here-document.
pub(crate) fn key(op: &Copy, below: &[DiffId], contents: &[CacheKey]) -> CacheKey {
    let mut hasher = KeyHasher::new("copy/2");
    hasher.layers(below);
    hasher.text(&op.destination);
    hasher.optional(op.owner.as_deref());
    chmod_into(&mut hasher, op.chmod.as_ref());
    // Times are no reason to copy again, a wish for other times is.
    hasher.optional(op.times.latest.map(|time| time.to_string()).as_deref());
    hasher.number(op.sources.len() as u64);
    let mut contents = contents.iter();
    for source in &op.sources {
        match source {
            CopySource::Path { unpack, .. } => {
                hasher.text("path");
                hasher.flag(*unpack);
                hasher.bytes(contents.next().map_or(&[][..], |content| &content.0[..]));
            }
            CopySource::Inline { name, content } => {
                hasher.text("inline");
                hasher.text(name);
                hasher.text(content);
            }
        }
    }
    if op.strip > 0 {
        hasher.text("strip");
        hasher.number(u64::from(op.strip));
    }
    hasher.finish()
}

fn chmod_into(hasher: &mut KeyHasher, chmod: Option<&Chmod>) {
    match chmod {
        None => hasher.flag(false),
        Some(chmod) => {
            hasher.flag(true);
            hasher.text(&format!("{chmod:?}"));
        }
    }
}

/// What making a copy needs beside the operation.
pub(crate) struct Place<'a> {
    /// The tree that is copied into.
    pub(crate) into: &'a Root,
    /// Where new files of that tree lie, if it is an overlay: what is written into a directory
    /// that is new need not go through it.
    pub(crate) upper: Option<&'a Root>,
    /// What the instruction made before, if its files may be parts of the tree.
    pub(crate) earlier: Option<&'a Earlier>,
    /// How many threads copy.
    pub(crate) threads: usize,
    /// Which owners can be given.
    pub(crate) ids: IdMode,
    /// Whether to stop.
    pub(crate) cancel: &'a Cancel,
}

/// What came of a copy.
pub(crate) struct Copied {
    /// Whether all of it was as it had been when it was found: otherwise the result belongs to no
    /// key.
    pub(crate) unchanged: bool,
    /// What the files hold of directories that were copied as a whole.
    pub(crate) contents: Contents,
}

/// Copies what was found.
pub(crate) fn run<'t>(
    op: &Copy,
    found: &[Found],
    trees: &dyn Fn(SourceTree) -> FileTree<'t>,
    place: &Place<'_>,
) -> Result<Copied, StepCause> {
    let owner = match &op.owner {
        None => None,
        Some(spec) => Some(resolve_owner(spec, place.into)?),
    };
    let (chmod, times, ids) = (op.chmod.as_ref(), op.times, place.ids);
    let mut placer = Placer::new(
        place,
        Attributes { owner, chmod, times, ids, new_files: NewFiles::of_this_process() },
    );
    let mut unchanged = true;
    for found in found {
        match found {
            Found::Inline { name, content } => {
                placer.inline(&op.destination, name, content.as_bytes())?;
            }
            Found::Files { tree, selected, unpack: unpacks } => {
                let tree = trees(*tree);
                for item in selected {
                    if *unpacks && unpack(op, &tree, item, place, owner, &mut placer)? {
                        continue;
                    }
                    unchanged &= placer.copy(&op.destination, &tree, item)?;
                }
            }
        }
    }
    let contents = placer.finish()?;
    Ok(Copied { unchanged, contents })
}

/// Unpacks a file that is an archive; answers whether it was one.
fn unpack(
    op: &Copy,
    tree: &FileTree<'_>,
    item: &Selected,
    place: &Place<'_>,
    owner: Option<(u32, u32)>,
    placer: &mut Placer<'_>,
) -> Result<bool, StepCause> {
    let Some(top) = item.entries.first() else { return Ok(false) };
    if top.metadata.kind != FileKind::File {
        return Ok(false);
    }
    let path = &item.path;
    let file = tree.root.open_file(path).map_err(|e| failed("open", path, e))?;
    let opened = oci::compress::open_archive(Box::new(file));
    let archive_error = |source| StepCause::Archive { path: shown(path), source: Box::new(source) };
    let (Some(_), mut archive) = opened.map_err(archive_error)? else { return Ok(false) };
    // An archive always unpacks into a directory of the destination's name.
    let directory = placer.make_directories(Path::new(&op.destination))?;
    let options = ExtractOptions { ids: place.ids, owner, strip: op.strip };
    layerfs::extract_archive(&mut archive, place.into, &directory, &options)
        .map_err(|e| failed("unpack", path, e))?;
    Ok(true)
}

/// A moment that is not later than `latest`.
fn clamped(time: Timestamp, latest: Option<i64>) -> Timestamp {
    match latest {
        Some(latest) if time.seconds >= latest => Timestamp::at(latest),
        _ => time,
    }
}

/// Gives a directory that is there another owner and mode, where they are given.
pub(crate) fn change_directory(
    path: &str,
    owner: Option<(u32, u32)>,
    chmod: Option<&Chmod>,
    place: &Place<'_>,
) -> Result<(), StepCause> {
    if owner.is_none() && chmod.is_none() {
        return Ok(());
    }
    let (path, there) = real_path(place.into, Path::new(path))?;
    let dir = place.into.open_dir(&path).map_err(|e| failed("open", &path, e))?;
    let itself = OsStr::new(".");
    // A change of the owner clears mode bits.
    if let Some(owner) = owner {
        layerfs::give(&dir, itself, FileKind::Dir, owner, place.ids)
            .map_err(|e| failed_io("change the owner of", &path, e.into()))?;
    }
    let mode = there.map_or(0o755, |there| there.mode);
    if let Some(mode) = chmod.map(|chmod| chmod.apply(mode, true)) {
        dir.chmod(itself, mode).map_err(|e| failed_io("change the mode of", &path, e.into()))?;
    }
    Ok(())
}

/// Makes a directory and those above it that are missing, as COPY makes the parents of its
/// destination.
pub(crate) fn make_directories(
    path: &str,
    owner: Option<(u32, u32)>,
    times: Times,
    place: &Place<'_>,
) -> Result<(), StepCause> {
    let new_files = NewFiles::of_this_process();
    let attributes = Attributes { owner, chmod: None, times, ids: place.ids, new_files };
    let mut placer = Placer::new(place, attributes);
    placer.make_directories(Path::new(path))?;
    placer.finish().map(drop)
}
