//! Snapshots by overlayfs.
//!
//! A snapshot is a detached mount: it hangs in no mount namespace and is used through its file
//! descriptor alone, so no other process sees it and nothing is left of it when this one is
//! killed. Features that make an upper directory depend on more than itself are off, so that it
//! can be read without the mount and become a layer by being moved.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags};

use super::{Active, Committed, Durability, Place, Scratch, Snapshotter, View, finish};
use crate::change::{Change, DirectoryTimes, Lower, Settled, changes};
use crate::root::{Root, Timestamp};
use crate::{Error, Result, whiteout};

/// How many lower directories overlayfs takes (`OVL_MAX_STACK`).
const MAX_LAYERS: usize = 500;

/// How many layers are looked through without a mount: a walk holds a directory open in each of
/// them at each level.
const MAX_UNMOUNTED: usize = 32;

/// What overlayfs leaves in the work directory of a volatile mount, so that nobody mounts it again
/// after a crash.
const VOLATILE_MARK: [&str; 2] = ["work/incompat/volatile", "work/incompat"];

/// Makes snapshots by overlayfs mounts.
#[derive(Debug, Clone)]
pub struct OverlaySnapshotter {
    /// An empty directory on the layers' file system, owned by root with mode 0755. It stands
    /// where overlayfs wants one more lower directory than there are layers.
    pub empty: PathBuf,
}

impl Snapshotter for OverlaySnapshotter {
    fn prepare(
        &self,
        layers: &[Committed],
        place: Place,
        durability: Durability,
    ) -> Result<Active> {
        let lowers = self.lowers(layers, 1)?;
        start_upper(&place, lowers.last())?;
        let overlay = Overlay::open(&lowers)?;
        overlay.set_dir("upperdir", &place.upper)?;
        overlay.set_dir("workdir", &place.work)?;
        if durability == Durability::Volatile {
            overlay.set_flag("volatile")?;
        }
        let (root, mount) = overlay.mount(MountAttrFlags::empty())?;
        let direct = place.upper.clone();
        Ok(Active { root, mount: Some(mount), layers: layers.to_vec(), place, direct })
    }

    fn view(&self, layers: &[Committed], _: Scratch<'_>) -> Result<View> {
        self.mounted_view(layers)
    }

    fn lower(&self, layers: &[Committed]) -> Result<Lower> {
        self.unmounted(layers)
    }

    fn refresh(&self, _: &[Committed], _: &Place) -> Result<()> {
        Ok(())
    }

    fn changes(&self, active: &Active) -> Result<Vec<Change>> {
        changes(&Root::open(&active.place.upper)?, &self.unmounted(&active.layers)?)
    }

    fn commit(
        &self,
        active: Active,
        times: DirectoryTimes,
        latest: Option<Timestamp>,
    ) -> Result<(Committed, Settled)> {
        let Active { root, mount, layers, place, .. } = active;
        // Overlayfs wants its upper directory to itself while it is mounted.
        drop((root, mount));
        let settled = finish(&place.upper, &self.unmounted(&layers)?, times, latest)?;
        Ok((Committed { tree: place.upper }, settled))
    }

    fn remember(&self, _: &Path, _: &[Committed]) -> bool {
        // A mount of the layers costs nothing to make again.
        false
    }
}

impl OverlaySnapshotter {
    fn mounted_view(&self, layers: &[Committed]) -> Result<View> {
        if layers.is_empty() {
            let (root, mount) = mount_nothing().map_err(|e| Error::Mount {
                operation: "mount",
                layers: 0,
                source: e.into(),
            })?;
            return Ok(View { root, mount: Some(mount) });
        }
        let lowers = self.lowers(layers, 2)?;
        let (root, mount) = Overlay::open(&lowers)?.mount(MountAttrFlags::MOUNT_ATTR_RDONLY)?;
        Ok(View { root, mount: Some(mount) })
    }

    /// The layers to look at, without a mount where they are few.
    fn unmounted(&self, layers: &[Committed]) -> Result<Lower> {
        let lowers = self.lowers(layers, 0)?;
        if lowers.len() > MAX_UNMOUNTED {
            let View { root, mount } = self.mounted_view(layers)?;
            return Ok(Lower::of_tree(root.into_top(), mount));
        }
        let trees = lowers.iter().rev().map(|tree| Root::open(tree).map(Root::into_top));
        trees.collect::<Result<_>>().map(Lower::of_layers)
    }

    /// The lower directories, lowest first: the layers from the last one up that hides all below
    /// it, with the empty directory below them if they are fewer than `least`.
    fn lowers(&self, layers: &[Committed], least: usize) -> Result<Vec<PathBuf>> {
        let mut lowers = Vec::with_capacity(layers.len() + 1);
        let mut seen = HashSet::with_capacity(layers.len());
        for layer in layers.iter().rev() {
            // A layer that is there twice (as the empty layer of commands that change nothing is)
            // hides itself: what the upper one has is what the lower one had. Overlayfs refuses
            // such a stack (ELOOP).
            if !seen.insert(layer.tree.as_os_str()) {
                continue;
            }
            lowers.push(layer.tree.clone());
            // Overlayfs does not look for the mark on the roots of layers.
            let opaque = whiteout::is_opaque_layer(&layer.tree);
            if opaque.map_err(|e| Error::tree("examine", &layer.tree, e))? {
                break;
            }
        }
        if lowers.len() < least {
            lowers.push(self.empty.clone());
        }
        lowers.reverse();
        if lowers.len() > MAX_LAYERS {
            return Err(Error::TooManyLayers { layers: lowers.len(), limit: MAX_LAYERS });
        }
        Ok(lowers)
    }
}

/// Gives a new upper directory the attributes of the root below it, which it will hide, and takes
/// away the mark that would keep a volatile work directory from being mounted again.
fn start_upper(place: &Place, lower: Option<&PathBuf>) -> Result<()> {
    let upper = Root::open(&place.upper)?;
    let this = OsStr::new(".");
    let failed = |e| Error::tree("prepare", &place.upper, e);
    if whiteout::is_implicit(upper.top(), this).map_err(failed)? {
        let work = Root::open(&place.work)?;
        for mark in VOLATILE_MARK {
            if work.stat(mark)?.is_some() {
                work.remove_tree(mark)?;
            }
        }
        return Ok(());
    }
    if let Some(lower) = lower {
        super::implicit::copy_attributes(Root::open(lower)?.top(), upper.top()).map_err(failed)?;
    }
    whiteout::mark_implicit(upper.top(), this).map_err(failed)
}

/// An overlay being put together.
struct Overlay {
    context: OwnedFd,
    layers: usize,
}

impl Overlay {
    fn open(lowers: &[PathBuf]) -> Result<Overlay> {
        let layers = lowers.len();
        let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
            .map_err(|e| Error::Mount { operation: "begin", layers, source: e.into() })?;
        let overlay = Overlay { context, layers };
        // Extended attributes of users, since those of the machine's root are for real root only.
        // Redirected or metadata-only copies would make an upper directory incomplete; an index
        // would tie it to its place.
        overlay.set_flag("userxattr")?;
        for (key, value) in [
            // What the table of mounts calls it.
            ("source", "overlay"),
            ("redirect_dir", "nofollow"),
            ("metacopy", "off"),
            ("index", "off"),
        ] {
            overlay.set_string(key, value)?;
        }
        overlay.add_lowers(lowers)?;
        Ok(overlay)
    }

    /// Adds the lower directories one by one, topmost first, or in one option where the kernel
    /// (before Linux 6.8) knows only that.
    fn add_lowers(&self, lowers: &[PathBuf]) -> Result<()> {
        for (i, lower) in lowers.iter().rev().enumerate() {
            match self.try_dir("lowerdir+", lower) {
                Err(Errno::INVAL) if i == 0 => return self.set_lowers(lowers),
                answer => answer.map_err(|e| self.failed("add a layer to", e))?,
            }
        }
        Ok(())
    }

    fn set_lowers(&self, lowers: &[PathBuf]) -> Result<()> {
        // An option's value has 255 bytes at most, so each directory is named by a descriptor.
        let open: Vec<OwnedFd> = lowers
            .iter()
            .rev()
            .map(|lower| open_dir(lower).map_err(|e| self.failed("open a layer of", e)))
            .collect::<Result<_>>()?;
        let names: Vec<String> =
            open.iter().map(|fd| format!("/proc/self/fd/{}", fd.as_raw_fd())).collect();
        let value = names.join(":");
        if value.len() > 255 {
            return Err(Error::TooManyLayers { layers: lowers.len(), limit: 255 / 17 });
        }
        self.set_string("lowerdir", &value)
    }

    /// Names a directory to the kernel: by a descriptor, or by that descriptor's path where the
    /// kernel (before Linux 6.13) takes only paths. The path that the caller has may be too long.
    fn try_dir(&self, key: &str, dir: &Path) -> rustix::io::Result<()> {
        let fd = open_dir(dir)?;
        match rustix::mount::fsconfig_set_fd(self.context.as_fd(), key, fd.as_fd()) {
            Err(Errno::INVAL) => {
                let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
                rustix::mount::fsconfig_set_string(self.context.as_fd(), key, path)
            }
            answer => answer,
        }
    }

    fn set_dir(&self, key: &'static str, dir: &Path) -> Result<()> {
        self.try_dir(key, dir).map_err(|e| self.failed("set the directories of", e))
    }

    fn set_flag(&self, key: &str) -> Result<()> {
        rustix::mount::fsconfig_set_flag(self.context.as_fd(), key)
            .map_err(|e| self.failed("set the options of", e))
    }

    fn set_string(&self, key: &str, value: &str) -> Result<()> {
        rustix::mount::fsconfig_set_string(self.context.as_fd(), key, value)
            .map_err(|e| self.failed("set the options of", e))
    }

    fn mount(self, attributes: MountAttrFlags) -> Result<(Root, OwnedFd)> {
        rustix::mount::fsconfig_create(self.context.as_fd())
            .map_err(|e| self.failed("assemble", e))?;
        detached(&self.context, attributes).map_err(|e| self.failed("mount", e))
    }

    fn failed(&self, operation: &'static str, error: Errno) -> Error {
        Error::Mount { operation, layers: self.layers, source: error.into() }
    }
}

/// An empty tree that cannot be written, for no layers. Its time is 1970, not the moment: layers
/// that begin an image take it for their roots.
fn mount_nothing() -> rustix::io::Result<(Root, OwnedFd)> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "mode", "0755")?;
    rustix::mount::fsconfig_create(context.as_fd())?;
    let (root, mount) = detached(&context, MountAttrFlags::empty())?;
    root.top().set_mtime(".", Timestamp::at(0))?;
    let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
    let context = rustix::mount::fspick(mount.as_fd(), "", flags)?;
    rustix::mount::fsconfig_set_flag(context.as_fd(), "ro")?;
    rustix::mount::fsconfig_reconfigure(context.as_fd())?;
    Ok((root, mount))
}

/// Mounts a file system that is put together, attached to nothing.
fn detached(context: &OwnedFd, attributes: MountAttrFlags) -> rustix::io::Result<(Root, OwnedFd)> {
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    let mount = rustix::mount::fsmount(context.as_fd(), flags, attributes)?;
    // The mount's own descriptor is only a place; reading the root takes an open directory.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(mount.as_fd(), ".", flags, Mode::empty())?;
    Ok((Root::from_fd(root), mount))
}

fn open_dir(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
}
