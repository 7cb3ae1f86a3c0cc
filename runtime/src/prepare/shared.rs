//! The part of a plan about what a container shares with the machine and with other containers.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;
use rustix::thread::ThreadNameSpaceType;

use super::string;
use crate::error::Error;
use crate::plan::{Plan, Step};
use crate::spec::{GroupsSeen, Namespace, Namespaces, Network};
use crate::sys;

/// The namespaces that the new process gets, as flags of clone(2).
pub(super) fn new_namespaces(network: &Network, others: &Namespaces) -> u64 {
    let own = |namespace: &Namespace, flag| match namespace {
        Namespace::Own => flag,
        Namespace::Machine | Namespace::Of(_) => 0,
    };
    let network = match network {
        Network::Host | Network::Namespace(_) => 0,
        Network::None => libc::CLONE_NEWNET,
    };
    let groups = match others.groups {
        GroupsSeen::Own => libc::CLONE_NEWCGROUP,
        GroupsSeen::Machine => 0,
    };
    let flags = libc::CLONE_NEWNS
        | own(&others.processes, libc::CLONE_NEWPID)
        | own(&others.ipc, libc::CLONE_NEWIPC)
        | own(&others.name, libc::CLONE_NEWUTS)
        | groups
        | network;
    u64::from(flags.cast_unsigned())
}

/// Has the new process enter the namespaces of other containers, and gives the file system that
/// they have for shared memory, if the container is to see that.
pub(super) fn enter(plan: &mut Plan, shared: Namespaces) -> Result<Option<OwnedFd>, Error> {
    if let Namespace::Of(process) = shared.processes {
        plan.joins = Some(plan.keep(process));
    }
    if let Namespace::Of(process) = shared.name {
        let process = plan.keep(process);
        let namespaces = ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME;
        plan.steps.push(Step::Join { process, namespaces });
    }
    let failed = |errno| Error::setup("share /dev/shm", errno);
    match shared.ipc {
        Namespace::Own => Ok(None),
        Namespace::Machine => shared_memory().map(Some).map_err(failed),
        Namespace::Of(process) => {
            let tree = shared_memory_of(process.as_fd()).map_err(failed)?;
            let process = plan.keep(process);
            let namespaces = ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION;
            plan.steps.push(Step::Join { process, namespaces });
            Ok(Some(tree))
        }
    }
}

/// A clone of what is mounted at /dev/shm for this thread.
fn shared_memory() -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    rustix::mount::open_tree(CWD, c"/dev/shm", flags)
}

/// The same for another process. A mount is cloned by who is in its mount namespace: a thread
/// goes there, and ends.
fn shared_memory_of(process: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let clone = || {
        // Root and working directory are the thread's own from here on.
        sys::unshare(libc::CLONE_FS)?;
        rustix::thread::move_into_thread_name_spaces(process, ThreadNameSpaceType::MOUNT)?;
        shared_memory()
    };
    thread::scope(|scope| scope.spawn(clone).join().unwrap_or(Err(Errno::CHILD)))
}

/// Has a process stay behind that ends all others, where no namespace of processes does that.
pub(super) fn stay_behind(plan: &mut Plan) -> Result<(), Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = rustix::fs::openat(CWD, c"/proc", flags, Mode::empty())
        .map_err(|errno| Error::setup("open /proc", errno))?;
    let proc = plan.keep(proc);
    plan.steps.push(Step::Reaper(proc));
    Ok(())
}

/// The kernel's settings that were asked for.
pub(super) fn settings(
    sysctls: &[(String, String)],
    oom_score_adj: Option<i32>,
) -> Result<Vec<Step>, Error> {
    let text = |text: &str| -> Result<CString, Error> {
        string(text.as_ref(), || format!("the setting {text:?}"))
    };
    let setting = |path: String, value: &str| {
        Ok(Step::Setting { path: text(&path)?, value: text(value)?, required: true })
    };
    let mut steps = Vec::new();
    for (name, value) in sysctls {
        steps.push(setting(format!("proc/sys/{}", name.replace('.', "/")), value)?);
    }
    if let Some(score) = oom_score_adj {
        steps.push(setting("proc/self/oom_score_adj".into(), &score.to_string())?);
    }
    Ok(steps)
}
