//! What the mounts of a RUN show.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use layerfs::{
    BuildSnapshot, CacheMount, CacheSharing, ExtractOptions, FileKind, Root, SnapshotMode, View,
};
use runtime::{Mount, MountSource, Tmpfs};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::step::selection_key;
use super::{Outcome, Session};
use crate::cache::{CacheKey, KeyHasher};
use crate::error::StepCause;
use crate::graph::Graph;
use crate::instruction::Sharing;
use crate::op::copy::{self, Found};
use crate::op::{Cache, Copy, Excludes, MountContent, Run, SourceTree, Times, TreePart, run};
use crate::select::{Wanted, content_digest, select};
use crate::tree::FileTree;

/// How long to wait before a cache that somebody has is asked for again.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// What a cache mounts, seen from its root.
const CONTENT: &str = "content";

/// The mounts of a RUN, and what has to stay until its process has ended.
#[derive(Default)]
pub(super) struct Opened {
    /// For the process.
    pub(super) mounts: Vec<Mount>,
    views: Vec<View>,
    written: Vec<BuildSnapshot>,
    caches: BTreeMap<String, CacheMount>,
}

impl Opened {
    /// Gives caches to others, and removes what was written to trees.
    pub(super) fn close(self, session: &Session<'_>) {
        drop((self.views, self.caches));
        for snapshot in self.written {
            session.store.discard(session.lease, snapshot);
        }
    }
}

impl Session<'_> {
    /// The content of the trees that the process sees: one digest each.
    pub(super) fn mounted_content(
        &self,
        op: &Run,
        graph: &Graph,
        inputs: &[Outcome],
    ) -> Result<Vec<CacheKey>, StepCause> {
        let mut contents = Vec::new();
        for mount in &op.mounts {
            match &mount.content {
                MountContent::Tree(part) => contents.push(self.content(part, graph, inputs)?),
                // What a cache began with is long changed: which tree it was is enough.
                MountContent::Cache(Cache { seed: Some(part), .. }) => {
                    contents.push(part_key(part, inputs));
                }
                MountContent::Cache(_) | MountContent::Host(_) | MountContent::Tmpfs { .. } => {}
            }
        }
        Ok(contents)
    }

    fn content(
        &self,
        part: &TreePart,
        graph: &Graph,
        inputs: &[Outcome],
    ) -> Result<CacheKey, StepCause> {
        let key = part_key(part, inputs);
        if let Some(digest) = self.recorded_digest(key)? {
            return Ok(digest);
        }
        let view = self.view(&inputs[part.input], graph)?;
        let files = FileTree { root: &view.root, ignore: None, ids: self.ids, threads: 1 };
        let mut selected = select(&files, &Wanted::itself(&part.path))?;
        let digest = content_digest(&files, &mut selected, None, self.parallelism())?;
        self.record_digest(key, digest)?;
        Ok(digest)
    }

    /// Makes everything ready that is to be mounted.
    pub(super) fn open_mounts(
        &self,
        op: &Run,
        graph: &Graph,
        inputs: &[Outcome],
        bench: &run::Bench<'_>,
    ) -> Result<Opened, StepCause> {
        let mut opened = Opened::default();
        self.take_caches(op, graph, inputs, &mut opened)?;
        for mount in &op.mounts {
            let source = match &mount.content {
                MountContent::Tree(part) if self.copies() => {
                    let view = self.view(&inputs[part.input], graph)?;
                    self.copy_of(&view.root, part)?
                }
                MountContent::Tree(part) if mount.read_only => {
                    let view = self.view(&inputs[part.input], graph)?;
                    let source = self.part_of(&view.root, view.mount.as_ref(), part)?;
                    opened.views.push(view);
                    source
                }
                MountContent::Tree(part) => {
                    let layers = &inputs[part.input].layers;
                    self.ensure(layers, graph)?;
                    let snapshot = self.store.prepare(self.lease, layers);
                    let snapshot = snapshot.map_err(StepCause::store("put the layers together"))?;
                    let active = &snapshot.active;
                    let source = self.part_of(&active.root, active.mount.as_ref(), part)?;
                    opened.written.push(snapshot);
                    source
                }
                MountContent::Cache(cache) => {
                    let cache = opened.caches.get(&pool(cache, inputs));
                    let path = cache.expect("all caches are taken").path.clone();
                    if self.copies() { MountSource::Lend(path) } else { MountSource::Bind(path) }
                }
                MountContent::Host(path) => MountSource::Bind(path.clone()),
                MountContent::Tmpfs { size } => MountSource::Tmpfs(Tmpfs {
                    size: *size,
                    mode: mode_at(&bench.tree.root, &mount.target)?,
                    executable: true,
                    ..Tmpfs::default()
                }),
            };
            let target = (&mount.target).into();
            opened.mounts.push(Mount { target, source, read_only: mount.read_only });
        }
        Ok(opened)
    }

    /// Whether there are no mounts, and all is copied or lent.
    fn copies(&self) -> bool {
        self.store.snapshots() == SnapshotMode::Copy
    }

    /// A copy of a part of a tree, which the process may write to without anybody noticing.
    fn copy_of(&self, root: &Root, part: &TreePart) -> Result<MountSource, StepCause> {
        let path = self.part_path(root, part)?;
        let failed = StepCause::store("copy a part of a tree");
        let made = self.lease.scratch_dir("mount").map_err(&failed)?;
        let target = Root::open(&made).map_err(&failed)?;
        let options = ExtractOptions { ids: self.ids, owner: None, strip: 0 };
        layerfs::copy_tree(
            root,
            (&path, layerfs::LinkAtTop::Kept),
            Path::new(CONTENT),
            (&target, Path::new("")),
            &options,
        )
        .map_err(&failed)?;
        Ok(MountSource::Lend(made.join(CONTENT)))
    }

    /// Where a part of a tree is, below the root and without links.
    fn part_path(&self, root: &Root, part: &TreePart) -> Result<PathBuf, StepCause> {
        let files = FileTree { root, ignore: None, ids: self.ids, threads: 1 };
        let path = Path::new(part.path.trim_start_matches('/'));
        match files.resolve(path)? {
            Some((path, _)) => Ok(path),
            None => {
                let path = part.path.clone();
                Err(StepCause::NotFound { path, suggestion: None, ignored: false })
            }
        }
    }

    /// A part of a tree as the kernel takes it.
    fn part_of(
        &self,
        root: &Root,
        mount: Option<&OwnedFd>,
        part: &TreePart,
    ) -> Result<MountSource, StepCause> {
        let path = self.part_path(root, part)?;
        let failed = |source| StepCause::Io { operation: "mount a part of a tree", source };
        let mount = mount.ok_or_else(|| failed(io::ErrorKind::Unsupported.into()))?;
        let tree = mount.try_clone().map_err(failed)?;
        if path.as_os_str().is_empty() {
            return Ok(MountSource::Tree(tree));
        }
        Ok(MountSource::Part { tree, path })
    }

    /// Takes the caches of a RUN, each once and always in the same order: two that wait for each
    /// other's would wait for ever.
    fn take_caches(
        &self,
        op: &Run,
        graph: &Graph,
        inputs: &[Outcome],
        opened: &mut Opened,
    ) -> Result<(), StepCause> {
        let mut wanted: BTreeMap<String, (CacheSharing, &Cache)> = BTreeMap::new();
        for mount in &op.mounts {
            let MountContent::Cache(cache) = &mount.content else { continue };
            let sharing = match cache.sharing {
                // What is lent is one's own for as long.
                Sharing::Shared if self.copies() => CacheSharing::Locked,
                Sharing::Shared => CacheSharing::Shared,
                Sharing::Private => CacheSharing::Private,
                Sharing::Locked => CacheSharing::Locked,
            };
            let known = wanted.entry(pool(cache, inputs)).or_insert((sharing, cache));
            known.0 = known.0.max(sharing);
        }
        for (key, (sharing, cache)) in wanted {
            let mount = self.take_cache(&key, sharing, cache, graph, inputs)?;
            opened.caches.insert(key, mount);
        }
        Ok(())
    }

    /// Takes a cache; waits for it where it must, until the build ends.
    fn take_cache(
        &self,
        key: &str,
        sharing: CacheSharing,
        cache: &Cache,
        graph: &Graph,
        inputs: &[Outcome],
    ) -> Result<CacheMount, StepCause> {
        loop {
            let fill = |root: &Root| self.fill(root, cache, graph, inputs).map_err(Unfilled);
            let taken = self.store.cache_mount(self.lease, key, sharing, fill);
            if let Some(mount) = taken.map_err(|Unfilled(cause)| cause)? {
                return Ok(mount);
            }
            let mut fds = [PollFd::from_borrowed_fd(self.cancel.as_fd(), PollFlags::IN)];
            match poll(&mut fds, Some(&PATIENCE)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => {
                    return Err(StepCause::Io { operation: "wait for a cache", source: e.into() });
                }
            }
            if self.is_cancelled() {
                return Err(StepCause::Cancelled);
            }
        }
    }

    /// Makes the content of a new cache.
    fn fill(
        &self,
        root: &Root,
        cache: &Cache,
        graph: &Graph,
        inputs: &[Outcome],
    ) -> Result<(), StepCause> {
        let failed = StepCause::store("make a cache");
        match &cache.seed {
            None => {
                root.mkdir(CONTENT, 0o755).map_err(&failed)?;
                root.chmod(CONTENT, 0o755).map_err(&failed)?;
            }
            Some(part) => self.seed(root, part, graph, inputs)?,
        }
        let ownership = cache.ownership;
        if ownership.uid.is_some() || ownership.gid.is_some() {
            let owner = (ownership.uid.unwrap_or(0), ownership.gid.unwrap_or(0));
            let there = root.stat(CONTENT).map_err(&failed)?;
            let kind = there.map_or(FileKind::Dir, |there| there.kind);
            layerfs::give(root.top(), OsStr::new(CONTENT), kind, owner, self.ids).map_err(|e| {
                StepCause::Io { operation: "change the owner of a cache", source: e.into() }
            })?;
        }
        if let Some(mode) = ownership.mode {
            root.chmod(CONTENT, mode).map_err(&failed)?;
        }
        Ok(())
    }

    /// Copies what a cache begins with.
    fn seed(
        &self,
        root: &Root,
        part: &TreePart,
        graph: &Graph,
        inputs: &[Outcome],
    ) -> Result<(), StepCause> {
        let view = self.view(&inputs[part.input], graph)?;
        let files = FileTree { root: &view.root, ignore: None, ids: self.ids, threads: 1 };
        let selected = select(&files, &Wanted::itself(&part.path))?;
        let op = Copy {
            sources: Vec::new(),
            destination: format!("/{CONTENT}"),
            strip: 0,
            excludes: Excludes::default(),
            owner: None,
            chmod: None,
            times: Times { made: 0, latest: None },
        };
        let found = [Found::Files { tree: SourceTree::Input(part.input), selected, unpack: false }];
        let place = self.place(root, None);
        copy::run(&op, &found, &|_| files, &place).map(drop)
    }
}

/// Why a cache has no content.
struct Unfilled(StepCause);

impl From<layerfs::Error> for Unfilled {
    fn from(error: layerfs::Error) -> Unfilled {
        Unfilled(StepCause::store("open a cache")(error))
    }
}

fn part_key(part: &TreePart, inputs: &[Outcome]) -> CacheKey {
    selection_key(&inputs[part.input], &Wanted::itself(&part.path))
}

/// The name of a cache in the store. One that began otherwise is another one, whatever its id.
fn pool(cache: &Cache, inputs: &[Outcome]) -> String {
    let mut hasher = KeyHasher::new("cache-mount/1");
    hasher.text(&cache.id);
    hasher.flag(cache.seed.is_some());
    if let Some(part) = &cache.seed {
        hasher.bytes(&part_key(part, inputs).0);
    }
    let ownership = &cache.ownership;
    for number in [ownership.mode, ownership.uid, ownership.gid] {
        hasher.optional(number.map(|number| number.to_string()).as_deref());
    }
    format!("{:?}", hasher.finish())
}

/// The mode of a file system mounted at `target`: that of the directory which it hides, or that
/// of /tmp.
fn mode_at(root: &Root, target: &str) -> Result<u32, StepCause> {
    let there = root.stat_followed(target);
    let there = there.map_err(StepCause::store("look at a mount point"))?;
    Ok(there.filter(|there| there.kind == FileKind::Dir).map_or(0o1777, |there| there.mode))
}
