//! Snapshots on layers of the store, and layers made of snapshots.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci::{DiffId, Digest};

use super::hash_ahead::{hash_ahead, hash_beside};
use super::layers::tree_of;
use super::lent::bring_back;
use super::mount_places::Own;
use super::read_ahead::read_made;
use super::{Container, Layer, Store};
use crate::change::Lower;
use crate::lease::Lease;
use crate::whiteout;
use crate::write::write_layer_in_blocks;
use crate::{
    Active, Change, ChangeKind, Committed, Dir, DirectoryTimes, Durability, Error, FileKind,
    LayerOfStack, Place, Result, Root, Settled, Timestamp, View, changes, complete_implicit,
    settle,
};

/// The file beside a layer's tree that lists the directories which the layer does not describe,
/// each ended by a zero byte. No file means none.
const IMPLICIT: &str = "implicit";

/// A tree that a build step writes to, in the lease's staging directory.
#[derive(Debug)]
pub struct BuildSnapshot {
    /// The tree; its mount's descriptor goes to the process that runs in it.
    pub active: Active,
    /// What becomes the layer's directory.
    pub(super) staged: PathBuf,
}

/// A layer made of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedLayer {
    /// The layer.
    pub layer: Layer,
    /// What it changes.
    pub changes: Vec<Change>,
    /// Whether it changes nothing.
    pub is_empty: bool,
}

/// How long to wait for what a killed program still holds.
const PATIENCE: Duration = Duration::from_secs(3);

impl Store {
    /// A tree on `layers` (lowest first; none for an empty tree) for a build step to write to. It
    /// vanishes with the lease unless it is [committed](Store::commit).
    ///
    /// # Errors
    /// [`Error::LayerNotFound`]; those of the snapshot backend.
    pub fn prepare(&self, lease: &Lease, layers: &[DiffId]) -> Result<BuildSnapshot> {
        let stack = self.stack(lease, layers)?;
        let staged = lease.scratch_dir("snapshot")?;
        let upper = tree_of(&staged);
        fs::create_dir(&upper).map_err(|e| Error::io("create", &upper, e))?;
        let place = Place { upper, work: lease.scratch_dir("work")? };
        let active = self.snapshotter().prepare(&stack, place, Durability::Volatile)?;
        Ok(BuildSnapshot { active, staged })
    }

    /// The tree of a container, with all that it changed so far. While the lease lives nobody else
    /// gets it: an upper directory is for one mount at a time.
    ///
    /// # Errors
    /// [`Error::ContainerRunning`] if somebody has it; [`Error::LayerNotFound`]; those of the
    /// snapshot backend.
    pub fn prepare_container(
        &self,
        lease: &Lease,
        container: &Container,
        durability: Durability,
    ) -> Result<Active> {
        let stack = self.stack(lease, &container.layers)?;
        self.claim_soon(lease, &container.id)?;
        bring_back(container)?;
        let place = Place { upper: container.upper(), work: container.work() };
        self.snapshotter().prepare(&stack, place, durability)
    }

    /// Claims a container that nobody runs. What a killed program held goes with the last of its
    /// processes, which may take a moment longer than the one that was killed.
    fn claim_soon(&self, lease: &Lease, id: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !self.claim_container(lease, id)? {
            if Instant::now() > until || self.container(id)?.state.is_running() {
                return Err(Error::ContainerRunning { id: id.to_owned() });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// A container's tree, only to be read, also while it runs. The lease must live as long.
    ///
    /// # Errors
    /// [`Error::LayerNotFound`]; those of the snapshot backend.
    pub fn view_container(&self, lease: &Lease, container: &Container) -> Result<View> {
        let mut stack = self.refreshed(lease, container)?;
        stack.push(Committed { tree: container.upper() });
        self.snapshotter().view(&stack, &|| lease.scratch_dir("view"))
    }

    /// A tree of `layers`, lowest first, that is only read. The lease must live as long.
    ///
    /// # Errors
    /// [`Error::LayerNotFound`]; those of the snapshot backend.
    pub fn view(&self, lease: &Lease, layers: &[DiffId]) -> Result<View> {
        self.snapshotter().view(&self.stack(lease, layers)?, &|| lease.scratch_dir("view"))
    }

    /// The layers of a container, once its upper directory has all that it wrote.
    fn refreshed(&self, lease: &Lease, container: &Container) -> Result<Vec<Committed>> {
        let stack = self.stack(lease, &container.layers)?;
        let place = Place { upper: container.upper(), work: container.work() };
        self.snapshotter().refresh(&stack, &place)?;
        Ok(stack)
    }

    /// What `layers`, lowest first, show together, to be compared. The lease must live as long.
    ///
    /// # Errors
    /// [`Error::LayerNotFound`], or if one of the trees cannot be read.
    pub fn lower(&self, lease: &Lease, layers: &[DiffId]) -> Result<Lower> {
        self.snapshotter().lower(&self.stack(lease, layers)?)
    }

    /// What a container shows, to be compared. The lease must live as long.
    ///
    /// # Errors
    /// As for [`lower`](Store::lower).
    pub fn lower_container(&self, lease: &Lease, container: &Container) -> Result<Lower> {
        let mut stack = self.refreshed(lease, container)?;
        stack.push(Committed { tree: container.upper() });
        self.snapshotter().lower(&stack)
    }

    /// What a container changed so far, as [`changes`](crate::changes) lists it.
    ///
    /// # Errors
    /// [`Error::LayerNotFound`], or if one of the trees cannot be read.
    pub fn container_changes(&self, lease: &Lease, container: &Container) -> Result<Vec<Change>> {
        let lower = self.snapshotter().lower(&self.refreshed(lease, container)?)?;
        let upper = Root::open(&container.upper())?;
        Ok(Own::of(changes(&upper, &lower)?, &upper, container)?.changes)
    }

    /// Makes what a build step wrote a layer, with no time later than `latest`. Nothing may use
    /// the tree any more.
    ///
    /// # Errors
    /// If the tree cannot be read, or holds what no layer can.
    pub fn commit(
        &self,
        lease: &Lease,
        snapshot: BuildSnapshot,
        times: DirectoryTimes,
        latest: Option<Timestamp>,
    ) -> Result<CommittedLayer> {
        let BuildSnapshot { active, staged } = snapshot;
        let (work, mut stack) = (active.place.work.clone(), active.layers.clone());
        let (committed, settled) = self.snapshotter().commit(active, times, latest)?;
        let (digest, size) = digest_layer(&committed.tree)?;
        let made = self.place_settled(lease, &staged, digest, size, settled)?;
        stack.push(Committed { tree: made.layer.tree() });
        // With times set back in it, the layer is not what the tree shows.
        if latest.is_some() || !self.snapshotter().remember(&work, &stack) {
            lease.discard(&work);
        }
        Ok(made)
    }

    /// Removes what was written to a snapshot that is to be no layer. Nothing may use the tree any
    /// more. What cannot be removed now goes with the lease.
    pub fn discard(&self, lease: &Lease, snapshot: BuildSnapshot) {
        let BuildSnapshot { active, staged } = snapshot;
        let Active { root, mount, place, .. } = active;
        drop((root, mount));
        lease.discard(&place.work);
        lease.discard(&staged);
    }

    /// Makes a layer of what a container changed so far; the container keeps it, too. Where it
    /// runs, files that it writes to meanwhile may be of any moment.
    ///
    /// # Errors
    /// As [`commit`](Store::commit), and [`Error::LayerNotFound`].
    pub fn commit_container(
        &self,
        lease: &Lease,
        container: &Container,
        times: DirectoryTimes,
    ) -> Result<CommittedLayer> {
        let lower = self.snapshotter().lower(&self.refreshed(lease, container)?)?;
        let upper = Root::open(&container.upper())?;
        let staged = lease.scratch_dir("commit")?;
        if !container.state.is_running() && self.claim_container(lease, &container.id)? {
            let settled = settle(&upper, &lower, times)?;
            let (digest, size) = self.copy_layer(&upper, &staged)?;
            return self.place_settled(lease, &staged, digest, size, settled);
        }
        // Nobody may change an upper directory under a mounted overlay: it is copied as it is, and
        // what is no change is taken out of the copy. That must be told before: the copy has
        // whole seconds only, and would be no equal of anything.
        let own = Own::of(changes(&upper, &lower)?, &upper, container)?;
        self.copy_layer(&upper, &staged)?;
        let tree = tree_of(&staged);
        let copy = Root::open(&tree)?;
        own.remove_places(&copy)?;
        retain(&copy, &own.changes)?;
        let settled = settle(&copy, &lower, times)?;
        let (digest, size) = digest_layer(&tree)?;
        self.place_settled(lease, &staged, digest, size, settled)
    }

    /// Keeps a container for this lease alone; false if another has it.
    fn claim_container(&self, lease: &Lease, id: &str) -> Result<bool> {
        self.state().write("use a container", |c| {
            let is_free = !lease.is_others_container(c, id)?;
            if is_free {
                lease.pin_container(c, id)?;
            }
            Ok(is_free)
        })
    }

    /// Copies a layer through its tar, whose digest and size are answered. Who reads the files
    /// has time to hash them: the other makes files.
    fn copy_layer(&self, from: &Root, staged: &Path) -> Result<(Digest, u64)> {
        let (made, unpacked) = read_made(
            |tar| hash_beside(tar, |tar| write_layer_in_blocks(from, tar)),
            |tar| self.unpack_tar(staged, tar, true),
        );
        match (made, unpacked) {
            // A writer that found nobody reading tells less than why nobody read.
            (Err(error), Err(reason)) if error.io_kind() == Some(io::ErrorKind::BrokenPipe) => {
                Err(reason)
            }
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
            (Ok(digest), Ok(())) => Ok(digest),
        }
    }

    fn place_settled(
        &self,
        lease: &Lease,
        staged: &Path,
        digest: Digest,
        size: u64,
        settled: Settled,
    ) -> Result<CommittedLayer> {
        let is_empty = settled.is_empty();
        let implicit = if settled.root_changed { Vec::new() } else { vec![PathBuf::new()] };
        write_implicit(staged, &implicit)?;
        let layer = self.place_layer(lease, staged, &DiffId(digest), size, None)?;
        Ok(CommittedLayer { layer, changes: settled.changes, is_empty })
    }

    /// The layers as the backend takes them, kept from now on, with one on top for directories
    /// that some of them do not describe, where that is needed.
    fn stack(&self, lease: &Lease, layers: &[DiffId]) -> Result<Vec<Committed>> {
        let layers = self.require_layers(lease, layers)?;
        let mut stack: Vec<Committed> =
            layers.iter().map(|layer| Committed { tree: layer.tree() }).collect();
        let implicit = layers
            .iter()
            .map(|layer| lease.implicit_of(&layer.diff_id, || read_implicit(&layer.dir)))
            .collect::<Result<Vec<_>>>()?;
        if implicit.iter().all(|paths| paths.is_empty()) {
            return Ok(stack);
        }
        let described: Vec<LayerOfStack<'_>> = stack
            .iter()
            .zip(&implicit)
            .map(|(layer, implicit)| LayerOfStack { layer, implicit })
            .collect();
        let on_top = lease.scratch_dir("implicit")?;
        if complete_implicit(&described, &Root::open(&on_top)?)? {
            stack.push(Committed { tree: on_top });
        } else {
            lease.discard(&on_top);
        }
        Ok(stack)
    }
}

/// Removes from the copy of an upper directory what is no directory and not in `changed`. All that
/// is deleted has its whiteout there: an opaque directory would hide what is removed here, too.
/// Directories keep their times.
fn retain(tree: &Root, changed: &[Change]) -> Result<()> {
    let mut kept: HashSet<&Path> = HashSet::new();
    let mut deleted: HashMap<&Path, Vec<&OsStr>> = HashMap::new();
    for Change { path, kind, .. } in changed {
        kept.insert(path);
        if let (ChangeKind::Deleted, Some(dir), Some(name)) =
            (kind, path.parent(), path.file_name())
        {
            deleted.entry(dir).or_default().push(name);
        }
    }
    let mut dirs = vec![PathBuf::new()];
    while let Some(path) = dirs.pop() {
        let dir = tree.open_dir(&path)?;
        let deleted = deleted.get(path.as_path()).map_or(&[][..], Vec::as_slice);
        let below =
            retain_in(&dir, &path, &kept, deleted).map_err(|e| Error::tree("change", &path, e))?;
        dirs.extend(below);
    }
    Ok(())
}

/// [`retain`] in one directory. Answers with those in it.
fn retain_in(
    dir: &Dir,
    path: &Path,
    kept: &HashSet<&Path>,
    deleted: &[&OsStr],
) -> rustix::io::Result<Vec<PathBuf>> {
    let this = OsStr::new(".");
    let time = dir.metadata()?.mtime;
    let mut below = Vec::new();
    for (name, kind) in dir.read()? {
        let path = path.join(&name);
        if kind == FileKind::Dir {
            below.push(path);
        } else if !kept.contains(path.as_path()) {
            dir.unlink(&name)?;
        }
    }
    for name in deleted {
        if dir.stat(name)?.is_none() {
            whiteout::make_whiteout(dir, name)?;
        }
    }
    if whiteout::is_opaque(dir, this)? {
        whiteout::clear_opaque(dir, this)?;
    }
    dir.set_mtime(this, time)?;
    Ok(below)
}

/// The digest and size of the tar of the layer in `tree`.
fn digest_layer(tree: &Path) -> Result<(Digest, u64)> {
    let root = Root::open(tree)?;
    hash_ahead(|tar| write_layer_in_blocks(&root, tar))
}

/// Writes down, beside the tree in `dir`, the directories that the layer does not describe.
pub(super) fn write_implicit(dir: &Path, implicit: &[PathBuf]) -> Result<()> {
    if implicit.is_empty() {
        return Ok(());
    }
    let mut bytes = Vec::new();
    for path in implicit {
        bytes.extend_from_slice(path.as_os_str().as_bytes());
        bytes.push(0);
    }
    let file = dir.join(IMPLICIT);
    fs::write(&file, bytes).map_err(|e| Error::io("write", &file, e))
}

fn read_implicit(dir: &Path) -> Result<Vec<PathBuf>> {
    let file = dir.join(IMPLICIT);
    match fs::read(&file) {
        Ok(bytes) => Ok(bytes
            .split_inclusive(|byte| *byte == 0)
            .map(|path| PathBuf::from(OsStr::from_bytes(&path[..path.len() - 1])))
            .collect()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(Error::io("read", &file, e)),
    }
}
