//! What an instruction copied the last time: files that have not changed since are taken from
//! there, by another name for the same file instead of another copy of its bytes.

use std::path::Path;

use layerfs::{Contents, FileKind, Layer, Root};

use super::file::Several;
use super::{Copy, Found, chmod_into};
use crate::cache::{CacheKey, KeyHasher};
use crate::error::StepCause;
use crate::op::{CopySource, SourceTree, Take};
use crate::select::Selected;
use crate::tree::Entry;

/// Below so many files with so many bytes, making them anew costs nothing that can be noticed.
const FILES: usize = 64;
const BYTES: u64 = 1 << 20;

/// A layer that the instruction made of an earlier state of its sources.
pub(crate) struct Earlier {
    /// Its files. Nothing ever writes to them: they are parts of other trees as well.
    pub(super) tree: Root,
    contents: Contents,
}

impl Earlier {
    /// Opens a layer; `None` if it says nothing of what its files hold.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn open(layer: &Layer) -> Result<Option<Earlier>, StepCause> {
        let failed = StepCause::store("look at the layer made before");
        let contents = layer.contents().map_err(&failed)?;
        if contents.is_empty() {
            return Ok(None);
        }
        Ok(Some(Earlier { tree: Root::open(&layer.tree()).map_err(&failed)?, contents }))
    }

    /// For each entry of what is copied to `target` whether the same bytes are there already.
    pub(super) fn has(&self, target: &Path, item: &Selected, several: &Several) -> Vec<bool> {
        let mut has = vec![false; item.entries.len()];
        let mut known = self.contents.iter().peekable();
        for (number, entry, digest) in files(item).filter(|(_, entry, _)| !several.has(entry)) {
            let path = target.join(&entry.path);
            while known.next_if(|(before, _)| *before < path.as_path()).is_some() {}
            has[number] = known.peek() == Some(&(path.as_path(), digest));
        }
        has
    }
}

/// What the files hold that were copied to `target`. A file with several names is left out: which
/// of them share one file is said by no digest.
pub(super) fn note(contents: &mut Contents, target: &Path, item: &Selected, several: &Several) {
    for (_, entry, digest) in files(item).filter(|(_, entry, _)| !several.has(entry)) {
        contents.push(&target.join(&entry.path), digest);
    }
}

/// The regular files that a selection holds, with their numbers among its entries and their
/// digests.
fn files(item: &Selected) -> impl Iterator<Item = (usize, &Entry, &[u8; 32])> {
    let entries = item.entries.iter().enumerate();
    let files = entries.filter(|(_, entry)| entry.metadata.kind == FileKind::File);
    files.zip(&item.digests).map(|((number, entry), digest)| (number, entry, digest))
}

/// Whether there is enough to copy to be worth a look at an earlier layer.
pub(crate) fn is_worth_it(found: &[Found]) -> bool {
    let items = found.iter().flat_map(|found| match found {
        Found::Files { selected, .. } => selected.as_slice(),
        Found::Inline { .. } => &[],
    });
    let (mut count, mut bytes) = (0, 0);
    for (_, entry, _) in items.flat_map(files) {
        count += 1;
        bytes += entry.metadata.size;
    }
    count >= FILES || bytes >= BYTES
}

/// What the layer is kept under that an instruction made last of the files in the directory
/// `context`: everything that says where what goes, and nothing of what it holds. `None` for
/// copies that read other trees, and for those that unpack archives.
pub(crate) fn key(op: &Copy, context: &Path) -> Option<CacheKey> {
    let mut hasher = KeyHasher::new("copy-before/1");
    hasher.bytes(context.as_os_str().as_encoded_bytes());
    hasher.text(&op.destination);
    hasher.optional(op.owner.as_deref());
    chmod_into(&mut hasher, op.chmod.as_ref());
    hasher.texts(op.excludes.texts.iter().map(String::as_str));
    for source in &op.sources {
        let CopySource::Path { tree: SourceTree::Context(_), take, pattern, unpack, .. } = source
        else {
            return None;
        };
        if *unpack {
            return None;
        }
        hasher.text(pattern);
        if let Take::Below(includes) = take {
            hasher.text(&includes.text);
        }
    }
    Some(hasher.finish())
}
