//! What directories look like that a layer has and does not describe.
//!
//! A layer unpacks without looking at those below it, so a directory that its tar does not name
//! has been made with attributes of nobody. Overlayfs shows a directory as the topmost layer has
//! it, and would show those. One more layer on top of the stack puts them right: it has nothing
//! but these directories, as the layers below describe them.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::Committed;
use crate::root::{Dir, Root, components};
use crate::whiteout::{self, Intended};
use crate::{Error, Result};

/// A layer with the directories that it does not describe.
#[derive(Debug, Clone, Copy)]
pub struct LayerOfStack<'a> {
    /// The layer.
    pub layer: &'a Committed,
    /// What [`Applied::implicit`](crate::Applied::implicit) says of it.
    pub implicit: &'a [PathBuf],
}

/// Fills the empty directory `on_top` with the directories that the layers (lowest first) show
/// otherwise than the lower ones of them describe them, and says whether there are any. If so,
/// `on_top` is to be the topmost layer of the stack.
///
/// A directory that no layer describes belongs to root with mode 0755, and its time is 1970.
///
/// # Errors
/// If a layer cannot be read or `on_top` not be written.
pub fn complete_implicit(layers: &[LayerOfStack<'_>], on_top: &Root) -> Result<bool> {
    let stack: Vec<Layer<'_>> = layers.iter().map(Layer::new).collect();
    let mut candidates: Vec<&Path> =
        layers.iter().flat_map(|layer| layer.implicit).map(PathBuf::as_path).collect();
    candidates.sort_unstable();
    candidates.dedup();
    // Directories of `on_top` and what they are to be like, those above first.
    let mut wanted: BTreeMap<PathBuf, Dir> = BTreeMap::new();
    for path in candidates {
        let failed = |e| Error::tree("examine", path, e);
        let Some(seen) = look(&stack, path)? else { continue };
        if let Some(described) = seen.described
            && !equal(&seen.shown, &described).map_err(failed)?
        {
            wanted.insert(path.to_owned(), described);
        }
    }
    if wanted.is_empty() {
        return Ok(false);
    }
    let paths: Vec<PathBuf> = wanted.keys().cloned().collect();
    for path in &paths {
        for above in path.ancestors().skip(1) {
            if !wanted.contains_key(above)
                && let Some(seen) = look(&stack, above)?
            {
                wanted.insert(above.to_owned(), seen.described.unwrap_or(seen.shown));
            }
        }
    }
    make(&wanted, on_top)?;
    Ok(true)
}

/// Makes the directories, and when all are there, what they are to be like: making one in another
/// changes the other's time.
fn make(wanted: &BTreeMap<PathBuf, Dir>, on_top: &Root) -> Result<()> {
    for path in wanted.keys().filter(|path| !path.as_os_str().is_empty()) {
        on_top.mkdir(path, 0o755)?;
    }
    for (path, like) in wanted {
        let dir = on_top.open_dir(path)?;
        copy_attributes(like, &dir).map_err(|e| Error::tree("set the attributes of", path, e))?;
    }
    Ok(())
}

struct Layer<'a> {
    tree: &'a Path,
    /// Opened when something is looked for in it: of a deep stack that is a few.
    root: OnceCell<Root>,
    implicit: HashSet<&'a Path>,
}

impl<'a> Layer<'a> {
    fn new(layer: &LayerOfStack<'a>) -> Self {
        let implicit = layer.implicit.iter().map(PathBuf::as_path).collect();
        Layer { tree: &layer.layer.tree, root: OnceCell::new(), implicit }
    }

    fn root(&self) -> Result<&Root> {
        if let Some(root) = self.root.get() {
            return Ok(root);
        }
        let root = Root::open(self.tree)?;
        Ok(self.root.get_or_init(|| root))
    }
}

/// A directory of the stack.
struct Seen {
    /// As the topmost layer that has it shows it.
    shown: Dir,
    /// As the topmost layer describes it that does; `None` if that is the same layer, or if none
    /// does.
    described: Option<Dir>,
}

/// The directory `path` in the stack, if it has one there.
fn look(stack: &[Layer<'_>], path: &Path) -> Result<Option<Seen>> {
    let failed = |e| Error::tree("examine", path, e);
    let mut shown = None;
    for layer in stack.iter().rev() {
        let implicit = layer.implicit.contains(path);
        // Every layer has a root. One that is neither shown nor described only may hide others.
        if implicit && path.as_os_str().is_empty() && shown.is_some() {
            if whiteout::is_opaque_layer(layer.tree).map_err(failed)? {
                break;
            }
            continue;
        }
        let (found, hides) = look_in(layer.root()?, path).map_err(failed)?;
        match found {
            InLayer::Hidden => break,
            InLayer::Absent => {}
            InLayer::Dir(dir) => match shown.take() {
                None if implicit => shown = Some(dir),
                None => return Ok(Some(Seen { shown: dir, described: None })),
                Some(shown) if !implicit => {
                    return Ok(Some(Seen { shown, described: Some(dir) }));
                }
                first => shown = first,
            },
        }
        if hides {
            break;
        }
    }
    Ok(shown.map(|shown| Seen { shown, described: None }))
}

enum InLayer {
    /// It is not in this layer.
    Absent,
    /// This layer has something else there or above it.
    Hidden,
    Dir(Dir),
}

/// `path` in one layer, and whether the layer hides what the layers below have there.
fn look_in(layer: &Root, path: &Path) -> rustix::io::Result<(InLayer, bool)> {
    let this = OsStr::new(".");
    let mut dir = layer.top().try_clone()?;
    let mut hides = whiteout::is_opaque(&dir, this)?;
    for name in components(path) {
        dir = match dir.open_dir(name) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok((InLayer::Absent, hides)),
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok((InLayer::Hidden, true)),
            Err(e) => return Err(e),
        };
        hides = hides || whiteout::is_opaque(&dir, this)?;
    }
    Ok((InLayer::Dir(dir), hides))
}

/// Whether two directories have the same attributes.
fn equal(a: &Dir, b: &Dir) -> rustix::io::Result<bool> {
    let this = OsStr::new(".");
    let (x, y) = (a.metadata()?, b.metadata()?);
    if (x.mode, x.uid, x.gid, x.mtime) != (y.mode, y.uid, y.gid, y.mtime) {
        return Ok(false);
    }
    let kept = |dir: &Dir| -> rustix::io::Result<Vec<_>> {
        Ok(dir.xattrs(this)?.into_iter().filter(|(key, _)| travels(key)).collect())
    };
    Ok(kept(a)? == kept(b)?)
}

/// Gives the directory `to` the owner, mode, extended attributes and time of `from`.
pub(super) fn copy_attributes(from: &Dir, to: &Dir) -> rustix::io::Result<()> {
    let this = OsStr::new(".");
    let like = from.metadata()?;
    to.chown(this, like.uid, like.gid)?;
    to.chmod(this, like.mode)?;
    for (key, value) in from.xattrs(this)? {
        if travels(&key) {
            to.set_xattr(this, &key, &value)?;
        }
    }
    to.set_mtime(this, like.mtime)
}

/// Whether an extended attribute belongs to a directory and not to its place in a layer.
fn travels(key: &OsStr) -> bool {
    key == Intended::key() || !whiteout::is_private(key)
}
