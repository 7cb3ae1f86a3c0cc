//! The files of a container, whether it runs or not, as it sees them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use layerfs::{
    Active, Container, ContainerState, Durability, FileKind, Lease, Root, Run, Store, View,
};

use super::ContainerConfig;
use super::mounts::{MountConfig, MountContent};
use crate::error::{Doing, Failure};

/// What is to be done with the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A tree of a container's, and a path in it.
pub(crate) struct Found {
    /// The tree that the path is in; nothing leads out of it.
    pub(crate) root: Root,
    /// The path from there.
    pub(crate) path: PathBuf,
    /// Whether nothing may be written.
    pub(crate) read_only: bool,
    /// Keeps the tree mounted.
    _held: Held,
}

enum Held {
    Nothing,
    View { _view: View },
    Active { _active: Active },
}

/// Finds a path of a container. One that does not run is seen with its volumes, too; the lease
/// must live as long as what is found.
pub(crate) fn find(
    store: &Store,
    lease: &Lease,
    container: &Container,
    path: &Path,
    access: Access,
) -> Result<Found, Failure> {
    let path = Path::new("/").join(path);
    if let ContainerState::Running(run) = container.state {
        let place = root_of(container, run)?;
        let root = File::open(&place)
            .doing(|| format!("cannot reach the files of container {}", container.name))
            .map_err(|failure| failure.hint("stop it first: its files are another namespace's"))?;
        let root = Root::from_fd(root.into());
        return Ok(Found { root, path, read_only: false, _held: Held::Nothing });
    }
    let config = ContainerConfig::of(container)?;
    if let Some(found) = in_a_mount(store, &config, &path)? {
        return Ok(found);
    }
    if access == Access::Write && config.isolation.read_only {
        let message = format!("the root of container {} is marked read-only", container.name);
        return Err(Failure::new(message).hint("its volumes can be written"));
    }
    match access {
        Access::Read => {
            let view = store.view_container(lease, container)?;
            let root = view.root.try_clone()?;
            Ok(Found { root, path, read_only: false, _held: Held::View { _view: view } })
        }
        Access::Write => {
            let active = store.prepare_container(lease, container, Durability::Durable)?;
            let root = active.root.try_clone()?;
            Ok(Found { root, path, read_only: false, _held: Held::Active { _active: active } })
        }
    }
}

/// Where the root is of a container that runs.
fn root_of(container: &Container, run: Run) -> Result<PathBuf, Failure> {
    let process = run.process;
    // Until it has a process of its own, its keeper's stands for it, whose root is the machine's.
    if run.keeper.is_none_or(|keeper| keeper == process) {
        let message = format!("container {} is only about to run", container.name);
        return Err(Failure::new(message).hint("try again in a moment"));
    }
    let mounts = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt"));
    let pid = process.pid.to_string();
    let ours = mounts("self").doing(|| "cannot read /proc/self/ns/mnt".into())?;
    match mounts(&pid) {
        // Its first process stays outside, and only what that started is confined to the tree.
        Ok(theirs) if theirs == ours => Ok(container.tree()),
        _ => Ok(PathBuf::from(format!("/proc/{pid}/root"))),
    }
}

/// A path that lies in a volume or another mount of a container that does not run.
fn in_a_mount(
    store: &Store,
    config: &ContainerConfig,
    path: &Path,
) -> Result<Option<Found>, Failure> {
    let covers = |mount: &&MountConfig| path.starts_with(&mount.target);
    let depth = |mount: &&MountConfig| mount.target.components().count();
    let Some(mount) = config.mounts.iter().filter(covers).max_by_key(depth) else {
        return Ok(None);
    };
    let root = match &mount.content {
        MountContent::Volume { name, subpath } => {
            Root::open(&store.volume(name)?.data)?.subtree(subpath)?
        }
        MountContent::Bind { source, .. } if source.is_dir() => Root::open(source)?,
        // A single file, or what is in memory only while the container runs.
        MountContent::Bind { .. } | MountContent::Tmpfs(_) => return Ok(None),
    };
    let below = path.strip_prefix(&mount.target).unwrap_or(path).to_owned();
    let read_only = mount.read_only;
    Ok(Some(Found { root, path: Path::new("/").join(below), read_only, _held: Held::Nothing }))
}

/// The most links from one to the next that are followed.
const MOST_LINKS: usize = 40;

/// Where the last component of a path leads, if it is a link; all links before it are followed
/// whenever the path is used.
pub(crate) fn follow_last(root: &Root, path: &Path) -> Result<PathBuf, Failure> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match root.stat(&path)? {
            Some(found) if found.kind == FileKind::Symlink => {
                let target = root.read_link(&path)?;
                path = path.parent().unwrap_or(Path::new("/")).join(target);
            }
            _ => return Ok(path),
        }
    }
    Err(Failure::new(format!("too many links at {}", path.display())))
}
