//! A user namespace in which an ordinary user is root (user_namespaces(7)).

mod helper;
mod id_map;

use std::fs;
use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::mount::MountPropagationFlags;
use rustix::thread::{CapabilitySet, LinkNameSpaceType};

use crate::sys;
use helper::{Helper, Means};
use id_map::IdMap;

/// Which ids to map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All that may be mapped: the subordinate ids, or just the user's own when there are none.
    Auto,
    /// The user's own only.
    Single,
}

/// How containers are to be kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// As well as can be had here.
    #[default]
    Auto,
    /// By namespaces and mounts, or not at all.
    Namespaces,
    /// By chroot(2) alone.
    Chroot,
}

/// What [`enter`] has done, and found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// The ids that there are.
    pub ids: Ids,
    /// Why containers have chroot(2) alone; `None` where namespaces and mounts can be made.
    pub chroot: Option<ChrootReason>,
}

/// Why neither namespaces nor mounts are made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChrootReason {
    /// It was asked for.
    #[error("asked for")]
    Asked,
    /// Root without CAP_SYS_ADMIN, as in a container, and no new user namespace allowed either.
    #[error("no CAP_SYS_ADMIN, and no new user namespace allowed")]
    NoNamespaces,
    /// There is a user namespace, in which nothing may be mounted.
    #[error("nothing may be mounted in the user namespace")]
    NoMounts,
}

/// The user and group ids of the process's user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    /// Those that it had: it was root already.
    Own,
    /// A new namespace with this many user and group ids.
    Full {
        /// User ids, from 0.
        uids: u64,
        /// Group ids, from 0.
        gids: u64,
    },
    /// A new namespace in which there is only root: no file can belong to anyone else, and no
    /// process become anyone else.
    Single {
        /// Why there are not more.
        reason: SingleReason,
    },
}

/// Why only one id could be mapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SingleReason {
    /// It was asked for.
    #[error("asked for")]
    Asked,
    /// The user has no subordinate ids.
    #[error("no subordinate ids for user {0} in /etc/subuid and /etc/subgid")]
    NoRanges(String),
    /// The program that may map them is not installed.
    #[error("newuidmap and newgidmap are not installed")]
    NoProgram,
    /// That program failed.
    #[error("newuidmap failed: {0}")]
    ProgramFailed(String),
}

/// Why there is no user namespace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Root without CAP_SYS_ADMIN, as in a container, and no new user namespace allowed either.
    #[error(
        "root has no CAP_SYS_ADMIN here, and the kernel or the container's seccomp profile \
         refuses a new user namespace"
    )]
    NoSysAdmin(#[source] io::Error),
    /// The kernel has no user namespaces for this user.
    #[error("cannot make a user namespace as user {uid}")]
    Unshare {
        /// The user.
        uid: u32,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The process has other threads already, so that it cannot change its user namespace.
    #[error("cannot enter a user namespace: the process has more than one thread")]
    Threads,
    /// The namespace exists, and its ids cannot be mapped.
    #[error("cannot map ids in the user namespace ({what})")]
    Map {
        /// Which step.
        what: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The ids are mapped, and still nothing may be mounted, as under AppArmor's
    /// `kernel.apparmor_restrict_unprivileged_userns`.
    #[error("cannot change mounts in the new user namespace")]
    Mounts(#[source] io::Error),
}

/// Makes the process root in a user and a mount namespace of its own, unless it is root with
/// CAP_SYS_ADMIN already, or root that can have no namespace and does with chroot(2). To be called
/// before any thread is started.
///
/// Everything stays in this process; a child that is forked for the purpose and gone afterwards
/// maps the ids, because that has to be done from outside. The user's own id becomes 0, the
/// subordinate ids 1 and up.
///
/// `others` are processes of this user in such a namespace: that of the first which is still there
/// and has the same ids is entered, instead of making one, so that processes in both can be
/// connected with each other.
///
/// # Errors
/// When the kernel refuses. The process may then be in a namespace without ids: it should end.
pub fn enter(mode: Mode, isolation: Isolation, others: &[u32]) -> Result<Entered, Error> {
    let uid = rustix::process::geteuid().as_raw();
    let (holds_admin, holds_chroot) =
        (uid == 0 && holds(CapabilitySet::SYS_ADMIN), uid == 0 && holds(CapabilitySet::SYS_CHROOT));
    if isolation == Isolation::Chroot && holds_chroot {
        return Ok(Entered { ids: Ids::Own, chroot: Some(ChrootReason::Asked) });
    }
    if holds_admin {
        return Ok(Entered { ids: Ids::Own, chroot: None });
    }
    let ids = match enter_namespace(uid, mode, others) {
        Err(Error::NoSysAdmin(_)) if isolation == Isolation::Auto && holds_chroot => {
            return Ok(Entered { ids: Ids::Own, chroot: Some(ChrootReason::NoNamespaces) });
        }
        result => result?,
    };
    if isolation == Isolation::Chroot {
        return Ok(Entered { ids, chroot: Some(ChrootReason::Asked) });
    }
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    match rustix::mount::mount_change(c"/", private) {
        Ok(()) => Ok(Entered { ids, chroot: None }),
        Err(_) if isolation == Isolation::Auto => {
            Ok(Entered { ids, chroot: Some(ChrootReason::NoMounts) })
        }
        Err(errno) => Err(Error::Mounts(errno.into())),
    }
}

/// Whether [`enter`] needs a user namespace.
pub fn is_needed(isolation: Isolation) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let is_to_be_confined = isolation == Isolation::Chroot && holds(CapabilitySet::SYS_CHROOT);
    !(is_root && (holds(CapabilitySet::SYS_ADMIN) || is_to_be_confined))
}

fn enter_namespace(uid: u32, mode: Mode, others: &[u32]) -> Result<Ids, Error> {
    let gid = rustix::process::getegid().as_raw();
    let means = match mode {
        Mode::Single => Err(SingleReason::Asked),
        Mode::Auto if uid == 0 => Means::direct(),
        Mode::Auto => Means::programs(uid, gid),
    };
    let counts = match &means {
        Ok(means) => (means.uids.count(), means.gids.count()),
        Err(_) => (1, 1),
    };
    if others.iter().any(|other| join(*other, counts)) {
        return Ok(match means {
            Ok(_) => Ids::Full { uids: counts.0, gids: counts.1 },
            Err(reason) => Ids::Single { reason },
        });
    }
    match means {
        Ok(means) => full(uid, gid, &means),
        Err(reason) => {
            unshare(uid)?;
            single(uid, gid, reason)
        }
    }
}

fn holds(capability: CapabilitySet) -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(capability))
}

fn unshare(uid: u32) -> Result<(), Error> {
    sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).map_err(|errno| match errno {
        Errno::INVAL => Error::Threads,
        Errno::PERM if uid == 0 => Error::NoSysAdmin(errno.into()),
        errno => Error::Unshare { uid, source: errno.into() },
    })
}

/// Enters the user namespace of another process, and a mount namespace of this one's own, if there
/// are so many user and group ids in it. One that cannot be entered is passed over.
fn join(other: u32, counts: (u64, u64)) -> bool {
    let map = |name: &str| {
        fs::read_to_string(format!("/proc/{other}/{name}")).map_or(0, |map| id_map::count(&map))
    };
    if (map("uid_map"), map("gid_map")) != counts {
        return false;
    }
    let Ok(namespace) = fs::File::open(format!("/proc/{other}/ns/user")) else { return false };
    let user = Some(LinkNameSpaceType::User);
    rustix::thread::move_into_link_name_space(namespace.as_fd(), user).is_ok()
        && sys::unshare(libc::CLONE_NEWNS).is_ok()
}

/// Maps many ids, with the help of a process that stays outside.
fn full(uid: u32, gid: u32, means: &Means) -> Result<Ids, Error> {
    let (uids, gids) = (means.uids.count(), means.gids.count());
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source: io::Error| Error::Map { what, source }
    };
    let helper = Helper::start(means).map_err(failed("start a helper"))?;
    unshare(uid)?;
    match helper.map().map_err(failed("wait for the helper"))? {
        Ok(()) => Ok(Ids::Full { uids, gids }),
        Err(message) if fs::read("/proc/self/uid_map").is_ok_and(|map| map.is_empty()) => {
            single(uid, gid, SingleReason::ProgramFailed(message))
        }
        Err(message) => {
            Err(Error::Map { what: "newgidmap".into(), source: io::Error::other(message) })
        }
    }
}

/// Maps the user's own ids, which needs no privilege.
fn single(uid: u32, gid: u32, reason: SingleReason) -> Result<Ids, Error> {
    let write = |path: &str, content: String| {
        fs::write(path, content)
            .map_err(|source| Error::Map { what: format!("write {path}"), source })
    };
    write("/proc/self/setgroups", "deny".into())?;
    write("/proc/self/uid_map", IdMap::single(uid).to_string())?;
    write("/proc/self/gid_map", IdMap::single(gid).to_string())?;
    Ok(Ids::Single { reason })
}
