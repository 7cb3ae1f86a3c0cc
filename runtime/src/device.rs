//! File systems in memory, and what is in a container's /dev.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::error::Error;
use crate::spec::Tmpfs;
use rustix::fs::{AtFlags, FileType, Mode, makedev};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

/// The devices every container has: name, major, minor.
const DEVICES: &[(&str, u32, u32)] = &[
    ("full", 1, 7),
    ("null", 1, 3),
    ("random", 1, 8),
    ("tty", 5, 0),
    ("urandom", 1, 9),
    ("zero", 1, 5),
];

/// The links every container has: name, target.
const LINKS: &[(&str, &str)] = &[
    ("core", "/proc/kcore"),
    ("fd", "/proc/self/fd"),
    ("ptmx", "pts/ptmx"),
    ("stderr", "/proc/self/fd/2"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
];

/// The size that Docker gives /dev and /dev/shm.
const SIZE: u64 = 64 << 20;

/// A container's /dev, detached.
#[derive(Debug)]
pub(crate) struct Devices {
    /// The file system.
    pub(crate) tree: OwnedFd,
    /// Devices that could not be made: those of the machine have to be mounted over these empty
    /// files. So it is in a user namespace, where nobody may make devices.
    pub(crate) borrowed: Vec<&'static str>,
}

/// A detached file system in memory. `options` as of tmpfs(5), beside the mode of its root.
pub(crate) fn tmpfs(
    size: Option<u64>,
    mode: u32,
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    tmpfs_with(&Tmpfs { size, mode, ..Tmpfs::default() }, attributes)
}

/// The same, with all that there is to choose but the mount's attributes.
pub(crate) fn tmpfs_with(options: &Tmpfs, attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    named_tmpfs(c"tmpfs", options, attributes)
}

/// The same by another name.
fn named_tmpfs(name: &CStr, options: &Tmpfs, attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    let context = rustix::mount::fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let set =
        |name: &CStr, value: String| rustix::mount::fsconfig_set_string(&context, name, value);
    // What the table of mounts calls it.
    rustix::mount::fsconfig_set_string(&context, c"source", name)?;
    set(c"mode", format!("{:o}", options.mode))?;
    if let Some(size) = options.size {
        set(c"size", size.to_string())?;
    }
    if let Some(inodes) = options.inodes {
        set(c"nr_inodes", inodes.to_string())?;
    }
    let (user, group) = options.owner;
    if (user, group) != (0, 0) {
        set(c"uid", user.to_string())?;
        set(c"gid", group.to_string())?;
    }
    rustix::mount::fsconfig_create(&context)?;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// An empty file system in memory, attached nowhere, for what a caller puts there to mount parts of
/// it: nothing of it is left when nobody holds it any more.
///
/// # Errors
/// When the kernel refuses one.
pub fn memory_tree() -> Result<OwnedFd, Error> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    tmpfs(None, 0o700, attributes)
        .map_err(|errno| Error::setup("make a file system in memory", errno))
}

/// /dev with its devices, links and mount points.
pub(crate) fn devices() -> Result<Devices, Errno> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_STRICTATIME;
    let tree = tmpfs(Some(SIZE), 0o755, attributes)?;
    let borrowed = entries(tree.as_fd())?;
    for name in ["mqueue", "pts", "shm"] {
        let mode = Mode::from_raw_mode(0o755);
        rustix::fs::mkdirat(&tree, name, mode)?;
        rustix::fs::chmodat(&tree, name, mode, AtFlags::empty())?;
    }
    Ok(Devices { tree, borrowed })
}

/// Fills a plain directory with what every container has in /dev. Devices that may not be made
/// are empty files.
pub(crate) fn fill(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    entries(directory)?;
    let mode = Mode::from_raw_mode(0o1777);
    rustix::fs::mkdirat(directory, c"shm", mode)?;
    rustix::fs::chmodat(directory, c"shm", mode, AtFlags::empty())
}

/// Makes devices and links. Gives the names of devices that could not be made and are empty files.
fn entries(directory: BorrowedFd<'_>) -> Result<Vec<&'static str>, Errno> {
    let mut borrowed = Vec::new();
    for (name, major, minor) in DEVICES {
        match device(directory, name, *major, *minor) {
            Err(Errno::PERM) => borrowed.push(*name),
            result => result?,
        }
    }
    for name in &borrowed {
        let mode = Mode::from_raw_mode(0o666);
        rustix::fs::mknodat(directory, *name, FileType::RegularFile, mode, 0)?;
    }
    for (name, target) in LINKS {
        rustix::fs::symlinkat(*target, directory, *name)?;
    }
    Ok(borrowed)
}

/// A device that all may use, whatever this process's file creation mask.
fn device(tree: BorrowedFd<'_>, name: &str, major: u32, minor: u32) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(0o666);
    let number = makedev(major, minor);
    rustix::fs::mknodat(tree, name, FileType::CharacterDevice, mode, number)?;
    rustix::fs::chmodat(tree, name, mode, AtFlags::empty())
}

/// /dev/shm.
pub(crate) fn shared_memory() -> Result<OwnedFd, Errno> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let options = Tmpfs { size: Some(SIZE), mode: 0o1777, ..Tmpfs::default() };
    shared_memory_with(&options, attributes)
}

/// The same, with all that there is to choose.
pub(crate) fn shared_memory_with(
    options: &Tmpfs,
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    named_tmpfs(c"shm", options, attributes)
}

/// /dev/pts, with terminals of its own. They belong to group 5, `tty` everywhere, unless that
/// group does not exist in this user namespace.
pub(crate) fn terminals() -> Result<OwnedFd, Errno> {
    pts(Some("5")).or_else(|errno| match errno {
        Errno::INVAL | Errno::PERM => pts(None),
        other => Err(other),
    })
}

fn pts(group: Option<&str>) -> Result<OwnedFd, Errno> {
    let context = rustix::mount::fsopen(c"devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, c"source", c"devpts")?;
    rustix::mount::fsconfig_set_flag(&context, c"newinstance")?;
    rustix::mount::fsconfig_set_string(&context, c"ptmxmode", c"0666")?;
    rustix::mount::fsconfig_set_string(&context, c"mode", c"0620")?;
    if let Some(group) = group {
        rustix::mount::fsconfig_set_string(&context, c"gid", group)?;
    }
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}
