//! Carries a plan out, in the new process.
//!
//! This runs in a copy of one thread of a program with many. A lock held by another thread at
//! the moment of the copy stays locked for ever, the allocator's included: nothing here may
//! allocate, lock or panic. rustix's calls with `&CStr` are bare system calls.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

use crate::capability::{Capability, CapabilitySet};
use crate::plan::{Attach, EMPTY, Handle, Mask, Plan, Program, Source, Step};
use crate::spec::Limit;
use crate::{init, interpreter, reaper, sys, window};

/// Which step failed, and why. An index one past the last step is the program itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    /// Index of the step.
    pub(crate) step: u32,
    /// The errno.
    pub(crate) errno: i32,
}

impl Report {
    /// Length of its encoding in bytes.
    pub(crate) const LENGTH: usize = 8;

    fn encode(self) -> [u8; Self::LENGTH] {
        let [a, b, c, d] = self.step.to_ne_bytes();
        let [e, f, g, h] = self.errno.to_ne_bytes();
        [a, b, c, d, e, f, g, h]
    }

    /// The report from its encoding.
    pub(crate) fn decode([a, b, c, d, e, f, g, h]: [u8; Self::LENGTH]) -> Self {
        Self { step: u32::from_ne_bytes([a, b, c, d]), errno: i32::from_ne_bytes([e, f, g, h]) }
    }
}

/// Carries the plan out and becomes its program. A failure is written to `report`, which closes
/// when the program starts. `reader` is the other end, open in this process as well. The event
/// counter `gate` says when the process's warden is there. Returns only after a failure, for the
/// process to end.
pub(crate) fn run(
    plan: &Plan,
    report: BorrowedFd<'_>,
    gate: Option<BorrowedFd<'_>>,
    reader: Option<OwnedFd>,
) {
    drop(reader);
    sys::reset_signal_actions();
    let mut child = Child { plan, report, gate, clone: None, root: None };
    let mut step = 0;
    while let Some(next) = plan.steps.get(step as usize) {
        if let Err(errno) = child.perform(next) {
            return tell(report, step, errno);
        }
        step += 1;
    }
    child.become_program();
}

/// Reports a failure.
fn tell(report: BorrowedFd<'_>, step: u32, errno: Errno) {
    let _ = rustix::io::write(report, &Report { step, errno: errno.raw_os_error() }.encode());
}

/// The new process on its way.
struct Child<'plan> {
    plan: &'plan Plan,
    report: BorrowedFd<'plan>,
    /// Where it waits for its warden.
    gate: Option<BorrowedFd<'plan>>,
    /// The tree that becomes `/`.
    root: Option<Handle>,
    /// The read-only clone of it that does instead.
    clone: Option<OwnedFd>,
}

impl Child<'_> {
    fn perform(&mut self, step: &Step) -> Result<(), Errno> {
        match step {
            Step::Session => {
                sys::leave_session_keyring();
                rustix::process::setsid().map(drop)
            }
            Step::JoinGroup(group) => {
                rustix::io::write(self.plan.descriptor(*group), b"0").map(drop)
            }
            Step::GroupNamespace => sys::unshare(libc::CLONE_NEWCGROUP),
            Step::EnterNetwork(namespace) => rustix::thread::move_into_link_name_space(
                self.plan.descriptor(*namespace),
                Some(rustix::thread::LinkNameSpaceType::Network),
            ),
            Step::Join { process, namespaces } => {
                let process = self.plan.descriptor(*process);
                rustix::thread::move_into_thread_name_spaces(process, *namespaces)
            }
            Step::PrivateMounts => private_mounts(),
            Step::Stow(tree) => attach(self.plan.descriptor(*tree), self.root()?, c""),
            Step::StowBelow { tree, stow, path } => {
                let at = within(self.plan.descriptor(*stow), path)?;
                attach(self.plan.descriptor(*tree), at.as_fd(), c"")
            }
            Step::AttachRoot { tree, read_only } => self.attach_root(*tree, *read_only),
            Step::Attach(what) => self.attach(what),
            Step::Mask(mask) => self.mask(mask),
            Step::ReadOnly(path) => self.make_read_only(path),
            Step::Setting { path, value, required } => match self.write(path, value) {
                Err(errno) if *required => Err(errno),
                // It may not exist, or not be this user's to change.
                _ => Ok(()),
            },
            Step::Loopback => sys::loopback_up(),
            // In a podman container a user namespace may be made, and no name be set in it.
            Step::HostName(name) => match rustix::system::sethostname(name.to_bytes()) {
                Err(Errno::PERM) => Ok(()),
                result => result,
            },
            Step::DomainName(name) => match rustix::system::setdomainname(name.to_bytes()) {
                Err(Errno::PERM) => Ok(()),
                result => result,
            },
            Step::Pivot { stow } => self.pivot(*stow),
            Step::Umask(mask) => {
                rustix::process::umask(Mode::from_raw_mode(*mask));
                Ok(())
            }
            Step::Limit(Limit { resource, soft, hard }) => {
                let limit = rustix::process::Rlimit { current: *soft, maximum: *hard };
                rustix::process::setrlimit(*resource, limit)
            }
            Step::Stream { target, source, owner } => {
                let source = self.plan.descriptor(*source);
                give_pipe(source, *owner);
                sys::redirect(source, *target)
            }
            Step::ControllingTerminal { source, owner } => {
                control(self.plan.descriptor(*source), *owner)
            }
            Step::WorkingDirectory(path) => enter(path),
            Step::Bound(set) => bound(*set),
            Step::Groups(groups) => rustix::thread::set_thread_groups(groups),
            Step::Identity { uid, gid } => become_user(*uid, *gid),
            Step::Capabilities(set) => hold(*set),
            Step::NoNewPrivileges => rustix::thread::set_no_new_privs(true),
            Step::Undumpable => undumpable(),
            Step::EndWithParent => self.end_with_parent(),
            Step::Filter(program) => sys::install_filter(program),
            Step::Init => init::stay_behind(&mut || self.become_program()),
            Step::Reaper(proc) => reaper::stay_behind(self.plan.descriptor(*proc), self.report),
            Step::Window(socket, program) => {
                window::open(self.plan.descriptor(*socket), program);
                Ok(())
            }
            Step::Chroot(root) => {
                rustix::process::fchdir(self.plan.descriptor(*root))?;
                rustix::process::chroot(c".")
            }
        }
    }

    /// The mount that becomes `/`.
    fn root(&self) -> Result<BorrowedFd<'_>, Errno> {
        match (&self.clone, self.root) {
            (Some(clone), _) => Ok(clone.as_fd()),
            (None, Some(root)) => Ok(self.plan.descriptor(root)),
            (None, None) => Err(Errno::BADF),
        }
    }

    fn attach_root(&mut self, tree: Handle, read_only: bool) -> Result<(), Errno> {
        let root = self.plan.descriptor(tree);
        attach(root, CWD, c"/")?;
        self.root = Some(tree);
        if read_only {
            let clone = clone_of(root, c"")?;
            sys::set_mount(clone.as_fd(), u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits()), 0)?;
            attach(clone.as_fd(), CWD, c"/")?;
            self.clone = Some(clone);
        }
        Ok(())
    }

    fn attach(&self, what: &Attach) -> Result<(), Errno> {
        let result = self.mount(&what.source, what).or_else(|errno| match &what.fallback {
            Some(fallback) => self.mount(fallback, what),
            None => Err(errno),
        });
        if what.optional { Ok(()) } else { result }
    }

    fn mount(&self, source: &Source, what: &Attach) -> Result<(), Errno> {
        let target = self.open(&what.target)?;
        let made;
        let tree = match source {
            Source::Tree(tree) => self.plan.descriptor(*tree),
            Source::Within(tree, name) => {
                let entry = within(self.plan.descriptor(*tree), name)?;
                made = clone_of(entry.as_fd(), c"")?;
                set_attributes(&made, what.attributes)?;
                made.as_fd()
            }
            Source::Host(path) => {
                made = clone_of(CWD, path)?;
                set_attributes(&made, what.attributes)?;
                made.as_fd()
            }
            Source::FileSystem(kind) => {
                // What the table of mounts calls it, as with docker.
                let name = if *kind == c"cgroup2" { c"cgroup" } else { kind };
                made = file_system(kind, name, &[], what.attributes)?;
                made.as_fd()
            }
            Source::Groups(options) => {
                made = file_system(c"cgroup", c"cgroup", options, what.attributes)?;
                made.as_fd()
            }
        };
        attach(tree, target.as_fd(), c"")
    }

    fn mask(&self, mask: &Mask) -> Result<(), Errno> {
        let Some(target) = self.open_if_there(&mask.path)? else { return Ok(()) };
        let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&target)?.st_mode);
        let cover = if kind == rustix::fs::FileType::Directory {
            clone_of(self.plan.descriptor(mask.empty), EMPTY)?
        } else {
            clone_of(CWD, c"/dev/null")?
        };
        set_attributes(&cover, u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits()))?;
        attach(cover.as_fd(), target.as_fd(), c"")
    }

    fn make_read_only(&self, path: &CStr) -> Result<(), Errno> {
        let Some(target) = self.open_if_there(path)? else { return Ok(()) };
        let clone = clone_of(target.as_fd(), c"")?;
        set_attributes(&clone, u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits()))?;
        attach(clone.as_fd(), target.as_fd(), c"")
    }

    fn write(&self, path: &CStr, value: &CStr) -> Result<(), Errno> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat2(self.root()?, path, flags, Mode::empty(), INSIDE)?;
        rustix::io::write(&file, value.to_bytes()).map(drop)
    }

    /// A path below the root, whatever links an image has put on the way.
    fn open(&self, path: &CStr) -> Result<OwnedFd, Errno> {
        let root = self.root()?;
        loop {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            match rustix::fs::openat2(root, path, flags, Mode::empty(), INSIDE) {
                // A rename somewhere on the machine; the kernel asks to try again.
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
    }

    fn open_if_there(&self, path: &CStr) -> Result<Option<OwnedFd>, Errno> {
        match self.open(path) {
            Ok(file) => Ok(Some(file)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// The old root goes below the stowed tree, and both go with one unmount: each costs a grace
    /// period of the kernel's, more than all mounts together.
    fn pivot(&self, stow: Handle) -> Result<(), Errno> {
        let root = self.root()?;
        attach(self.plan.descriptor(stow), root, STOW_AT_LAST)?;
        rustix::process::fchdir(root)?;
        rustix::process::pivot_root(c".", OLD_ROOT)?;
        rustix::mount::unmount(STOW_AT_LAST, rustix::mount::UnmountFlags::DETACH)?;
        // Nothing of the machine may stay in sight: `..` of the root is the root, and then what
        // is mounted over it.
        if mount_id(CWD, c"/..")? != mount_id(root, c"")? {
            return Err(Errno::BUSY);
        }
        rustix::process::chdir(c"/")
    }

    /// The signal comes when the starting thread ends. If it has ended before this, nobody reads
    /// the reports any more.
    fn end_with_parent(&self) -> Result<(), Errno> {
        // Changing the user cleared the signal and made the process dumpable by that user.
        undumpable()?;
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        if !is_read(self.report)? {
            sys::exit(127)
        }
        self.wait_for_warden()
    }

    /// From here on the kernel ends this process with its parent until the program changes its
    /// user, and the warden does from then on: so the program begins when both are there.
    fn wait_for_warden(&self) -> Result<(), Errno> {
        let Some(gate) = self.gate else { return Ok(()) };
        rustix::io::retry_on_intr(|| rustix::io::read(gate, &mut [0_u8; 8])).map(drop)
    }

    /// The end of the plan. Returns only after a failure, for the process to end.
    fn become_program(&self) {
        let errno = self.execute(&self.plan.program);
        tell(self.report, self.plan.steps.len() as u32, errno);
    }

    /// Tries the candidates as execvp(3) does. Returns only when none could be executed.
    fn execute(&self, program: &Program) -> Errno {
        if let Err(errno) = sys::close_from(3, false) {
            return errno;
        }
        sys::block_signals(false);
        let mut worst = Errno::NOENT;
        for path in &program.candidates {
            match execute(path, program) {
                Errno::NOENT | Errno::NOTDIR => {}
                Errno::ACCESS => worst = Errno::ACCESS,
                other => return other,
            }
        }
        worst
    }
}

/// Whether somebody still holds the other end of a pipe.
pub(crate) fn is_read(pipe: BorrowedFd<'_>) -> Result<bool, Errno> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut ends = [PollFd::from_borrowed_fd(pipe, PollFlags::empty())];
    poll(&mut ends, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    Ok(!ends[0].revents().contains(PollFlags::ERR))
}

/// A directory below the root that is always there, for a moment.
const STOW_AT_LAST: &CStr = c"proc";
/// The stowed tree's directory for the old root.
const OLD_ROOT: &CStr = c"proc/old";

/// The id of the mount that a path is on.
fn mount_id(at: BorrowedFd<'_>, path: &CStr) -> Result<u64, Errno> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    let stat = statx(at, path, AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    if stat.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
        return Err(Errno::NOSYS);
    }
    Ok(stat.stx_mnt_id)
}

const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// A magic link such as `/proc/self/exe` would lead to the program that this process still is,
/// on the machine's own file system; those are refused.
fn execute(path: &CStr, program: &Program) -> Errno {
    match interpreter::check(path) {
        Ok(()) => sys::execute(path, program),
        Err(Errno::LOOP) => Errno::ACCESS,
        Err(errno) => errno,
    }
}

/// The same for the working directory: `/proc/self/fd/N` may be outside of the root.
fn enter(path: &CStr) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_MAGICLINKS;
    rustix::process::fchdir(rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve)?)
}

fn private_mounts() -> Result<(), Errno> {
    use rustix::mount::MountPropagationFlags;
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change(c"/", flags)
}

/// Attaches a detached tree at `path` below `at`, or at `at` itself when the path is empty.
fn attach(tree: BorrowedFd<'_>, at: BorrowedFd<'_>, path: &CStr) -> Result<(), Errno> {
    let flags =
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH.union(MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH);
    rustix::mount::move_mount(tree, c"", at, path, flags)
}

/// An entry of a tree of ours, mounts below it included. Nothing in it leads anywhere else.
fn within(tree: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);
    loop {
        match rustix::fs::openat2(tree, path, flags, Mode::empty(), resolve) {
            // A rename somewhere on the machine; the kernel asks to try again.
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
}

/// A detached clone of a path below `at`, or of `at` itself, with what is mounted below it.
fn clone_of(at: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(at, path, flags)
}

fn set_attributes(tree: &OwnedFd, attributes: u64) -> Result<(), Errno> {
    if attributes == 0 { Ok(()) } else { sys::set_mount(tree.as_fd(), attributes, 0) }
}

/// A new file system.
fn file_system(
    kind: &CStr,
    name: &CStr,
    options: &[(CString, Option<CString>)],
    attributes: u64,
) -> Result<OwnedFd, Errno> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, c"source", name)?;
    for (option, value) in options {
        match value {
            None => rustix::mount::fsconfig_set_flag(&context, option)?,
            Some(value) => rustix::mount::fsconfig_set_string(&context, option, value)?,
        }
    }
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::from_bits_retain(attributes as u32);
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Makes a terminal that of this session.
fn control(terminal: BorrowedFd<'_>, owner: u32) -> Result<(), Errno> {
    // In a user namespace it may not be ours to give away, and the process has it open anyhow.
    let owner = rustix::fs::Uid::from_raw(owner);
    let _ = rustix::fs::fchown(terminal, Some(owner), None);
    rustix::process::ioctl_tiocsctty(terminal)
}

/// Best effort: a program that opens `/dev/stdout` must own the pipe behind it.
fn give_pipe(stream: BorrowedFd<'_>, owner: u32) {
    use rustix::fs::{FileType, Uid, fchown, fstat};
    if let Ok(stat) = fstat(stream)
        && FileType::from_raw_mode(stat.st_mode) == FileType::Fifo
        && stat.st_uid != owner
    {
        let _ = fchown(stream, Some(Uid::from_raw(owner)), None);
    }
}

fn bound(set: CapabilitySet) -> Result<(), Errno> {
    for capability in Capability::all().filter(|capability| !set.contains(*capability)) {
        let one = rustix::thread::CapabilitySet::from_bits_retain(1 << capability.number());
        match rustix::thread::remove_capability_from_bounding_set(one) {
            // This kernel does not know the capability, nor any after it.
            Err(Errno::INVAL) => break,
            result => result?,
        }
    }
    Ok(())
}

/// From now on nobody with the container's rights looks into this process, which is still a file of
/// the machine's.
fn undumpable() -> Result<(), Errno> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
}

/// The bare calls: the C library's would try to change the other threads too.
fn become_user(uid: u32, gid: u32) -> Result<(), Errno> {
    let (uid, gid) = (rustix::thread::Uid::from_raw(uid), rustix::thread::Gid::from_raw(gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

fn hold(set: CapabilitySet) -> Result<(), Errno> {
    let held = rustix::thread::capabilities(None)?;
    let kept = held.permitted & rustix::thread::CapabilitySet::from_bits_retain(set.bits());
    let sets = rustix::thread::CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: rustix::thread::CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_back() {
        let report = Report { step: 17, errno: libc::EPERM };
        assert_eq!(Report::decode(report.encode()), report);
    }
}
