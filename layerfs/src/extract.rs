//! Unpacks a tar into a tree that exists, as `ADD` does with a local archive.

use std::io::{BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::Result;
use crate::apply::{
    Archive, Content, EntryFault, IdMode, Overrides, Placer, below, clean, split_clean,
};
use crate::root::Root;

/// How much is read at once, in bytes.
const BUFFER: usize = 64 << 10;

/// How to unpack an archive into a tree.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExtractOptions {
    /// Which owners can be given.
    pub ids: IdMode,
    /// The owner and group of everything, instead of what the archive says.
    pub owner: Option<(u32, u32)>,
    /// How many leading parts names and the targets of hard links lose; entries that have no
    /// more are left out.
    pub strip: u32,
}

/// Unpacks a tar into `tree`, which shows all layers together, below its directory `at`.
///
/// Names that mean whiteouts in a layer are plain names. Symlinks of the tree in the middle of a
/// name are followed inside the tree. An entry replaces what has its name, except that a
/// directory keeps what is in an existing one. The archive's own root, `./`, leaves the directory
/// `at` as it is.
///
/// # Errors
/// As [`apply_layer`](crate::apply_layer); names and links must not climb out of `at` by `..`.
pub fn extract_archive(
    tar: &mut dyn Read,
    tree: &Root,
    at: &Path,
    options: &ExtractOptions,
) -> Result<()> {
    let base = clean(at.as_os_str().as_bytes()).map_err(|f| f.of(at.as_os_str().as_bytes()))?;
    let overrides = Overrides { owner: options.owner };
    let mut placer = Placer::for_tree(tree, base.clone(), options.ids, overrides);
    let mut tar = BufReader::with_capacity(BUFFER, tar);
    let mut archive = Archive::new(&mut tar);
    while let Some(mut entry) = archive.next()? {
        let path = clean(&entry.path).map_err(|fault| fault.of(&entry.path))?;
        let path = stripped(&path, options.strip);
        if path.is_empty() {
            continue;
        }
        if let Content::HardLink(target) = &mut entry.content
            && options.strip > 0
        {
            let whole = clean(target).map_err(|fault| fault.of(&entry.path))?;
            *target = stripped(&whole, options.strip).to_vec();
            if target.is_empty() {
                let lost = String::from_utf8_lossy(&whole).into_owned();
                return Err(EntryFault::LinkTargetMissing(lost).of(&entry.path));
            }
        }
        if let Some((parent, name)) = split_clean(&below(&base, path)) {
            placer.place(&entry, parent, name, &mut archive)?;
        }
    }
    placer.finish().map(drop)
}

/// A clean path without its first `count` parts; nothing if it has no more.
fn stripped(path: &[u8], count: u32) -> &[u8] {
    let mut slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    match usize::try_from(count).ok().and_then(|count| count.checked_sub(1)) {
        None => path,
        Some(last) => slashes.nth(last).map_or(b"", |slash| &path[slash + 1..]),
    }
}
