//! The system calls that need `unsafe`: those that rustix does not have, and those that are
//! only sound in the single thread of a new process.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

use crate::plan::Program;
use crate::seccomp::Instruction;

/// `struct clone_args` of clone3(2), as of Linux 5.7.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Exit status of a new process that did not become its program; nobody looks at it.
const CHILD_FAILED: i32 = 127;

/// Ends the process when unwinding would leave a function that must not return.
struct NeverUnwind;

impl Drop for NeverUnwind {
    fn drop(&mut self) {
        exit(CHILD_FAILED);
    }
}

/// Starts a process that is a copy of the calling thread, in new namespaces, and runs `child`
/// in it; when that returns the new process ends. Gives its id and a pidfd.
///
/// The caller's other threads do not exist in the copy, but the locks they hold do: `child` may
/// make system calls, and nothing that allocates, locks or can panic.
pub(crate) fn clone_child(namespaces: u64, child: impl FnOnce()) -> Result<(i32, OwnedFd), Errno> {
    let mut pidfd: RawFd = -1;
    let args = CloneArgs {
        flags: namespaces | libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd).addr() as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM and with no stack of its own the child goes on with a copy of all
    // memory, like after fork. The kernel writes one descriptor to `pidfd`, which lives here.
    let mut pid =
        unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    if pid < 0 && namespaces == 0 {
        // A container's filter cannot look into clone3's arguments, and refuses it.
        let flags = (libc::CLONE_PIDFD | libc::SIGCHLD) as libc::c_ulong;
        // SAFETY: as above; the old call writes the descriptor where the parent's id would go.
        pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    }
    match pid {
        0 => {
            let _never = NeverUnwind;
            child();
            exit(CHILD_FAILED)
        }
        // SAFETY: the clone succeeded, so the kernel stored a new descriptor that is ours alone.
        1.. => Ok((pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) })),
        _ => Err(last_errno()),
    }
}

/// fork(2) from the single thread of a new process: 0 in the child, its id in the parent.
/// The bare call, because the C library's runs handlers that belong to the whole program, and
/// clone(2), because the filter refuses clone3.
pub(crate) fn fork() -> Result<i32, Errno> {
    // SAFETY: without CLONE_VM and with no stack of its own the child goes on with a copy of all
    // memory; no pointer is given.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    if pid < 0 { Err(last_errno()) } else { Ok(pid as i32) }
}

/// How much stack a process has that shares our memory. It executes a program and nothing else.
const SHARED_STACK: usize = 64 << 10;

/// Runs `child` in a new process that shares the memory of this one, which waits meanwhile until
/// that has executed its program or has ended, as it does when `child` returns: no page table is
/// copied for what ends at once. From the single thread of a new process. Gives the child's id.
pub(crate) fn spawn_sharing(mut child: &mut dyn FnMut()) -> Result<i32, Errno> {
    extern "C" fn enter(child: *mut libc::c_void) -> libc::c_int {
        let _never = NeverUnwind;
        // SAFETY: the pointer below, to what lives until this process ends or has other memory.
        let child = unsafe { &mut *child.cast::<&mut dyn FnMut()>() };
        child();
        CHILD_FAILED
    }
    #[repr(align(16))]
    struct Stack([std::mem::MaybeUninit<u8>; SHARED_STACK]);
    let mut stack = Stack([const { std::mem::MaybeUninit::uninit() }; SHARED_STACK]);
    let top = stack.0.as_mut_ptr_range().end.cast();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child has a stack of its own, which grows down from `top`. With CLONE_VFORK this
    // process does not run, and neither the stack nor `child` goes away, while it uses them.
    let pid = unsafe { libc::clone(enter, top, flags, (&raw mut child).cast()) };
    if pid < 0 { Err(last_errno()) } else { Ok(pid) }
}

/// fork(2) of the whole program, which must have a single thread: 0 in the child.
pub(crate) fn fork_program() -> Result<i32, Errno> {
    // SAFETY: with one thread the child's copy of the program is complete and goes on like it.
    let pid = unsafe { libc::fork() };
    if pid < 0 { Err(last_errno()) } else { Ok(pid) }
}

/// Executes a file. Returns only if that failed.
pub(crate) fn execute(path: &CStr, program: &Program) -> Errno {
    // SAFETY: `Pointers` keeps both arrays and the strings they point to, ended by null.
    unsafe { libc::execve(path.as_ptr(), program.args.array(), program.env.array()) };
    last_errno()
}

/// Ends the process at once, without running any destructor.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: _exit(2) has no precondition.
    unsafe { libc::_exit(status) }
}

/// `MOUNT_ATTR_*` of mount_setattr(2) to set, and the propagation to change to.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Sets attributes and propagation of a mount and of those below it.
pub(crate) fn set_mount(tree: BorrowedFd<'_>, set: u64, propagation: u64) -> Result<(), Errno> {
    let attr = MountAttr { set, clear: 0, propagation, userns_fd: 0 };
    // SAFETY: the path is empty and nul-terminated, `attr` is a `struct mount_attr` of the size
    // given; the kernel only reads both.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Installs a filter for this process and those it starts.
pub(crate) fn install_filter(program: &[Instruction]) -> Result<(), Errno> {
    let program =
        libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: `Instruction` has the layout of `struct sock_filter`; the kernel copies `len` of
    // them and writes nothing. The profile compiler keeps `len` within 4096.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// The size of a signal set in the kernel, which is not that of the C library.
const SIGNAL_SET_BYTES: usize = 8;
/// The highest signal number, plus one.
const SIGNALS_END: i32 = 65;

/// Gives every signal its default action.
pub(crate) fn reset_signal_actions() {
    /// `struct sigaction` as the kernel has it: handler, flags, restorer, mask.
    type KernelSigaction = [usize; 4];
    let default: KernelSigaction = [libc::SIG_DFL, 0, 0, 0];
    for signal in 1..SIGNALS_END {
        // SAFETY: the structure is at least as long as the kernel's and is only read. Failing
        // for SIGKILL and SIGSTOP changes nothing. No handler is installed.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null::<KernelSigaction>(),
                SIGNAL_SET_BYTES,
            );
        }
    }
}

/// Blocks all signals for the calling thread, or none.
pub(crate) fn block_signals(block: bool) {
    change_blocked(if block { u64::MAX } else { 0 });
}

/// Calls `act` while all signals are blocked for the calling thread.
pub(crate) fn without_signals<T>(act: impl FnOnce() -> T) -> T {
    struct Restore(u64);
    impl Drop for Restore {
        fn drop(&mut self) {
            change_blocked(self.0);
        }
    }
    let _restore = Restore(change_blocked(u64::MAX));
    act()
}

/// Sets which signals are blocked for the calling thread. Gives those that were.
fn change_blocked(set: u64) -> u64 {
    let mut before = 0_u64;
    // SAFETY: both sets have the size given; the one is only read, the other only written.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const set,
            &raw mut before,
            SIGNAL_SET_BYTES,
        );
    }
    before
}

/// Waits for any signal, all of them being blocked, and takes it.
pub(crate) fn wait_signal() -> Result<i32, Errno> {
    let set = u64::MAX;
    // SAFETY: `set` has the size given and is only read; no information and no limit are asked.
    let signal = unsafe {
        libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const set,
            std::ptr::null::<libc::siginfo_t>(),
            std::ptr::null::<libc::timespec>(),
            SIGNAL_SET_BYTES,
        )
    };
    if signal < 0 { Err(last_errno()) } else { Ok(signal as i32) }
}

/// Asks for a signal at the end of the thread that started this process. By its number, which may
/// be that of a real-time signal.
pub(crate) fn signal_at_parents_end(signal: i32) -> Result<(), Errno> {
    // SAFETY: prctl(2) takes a number here, and no pointer.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong) };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Sends a signal to a process.
pub(crate) fn kill(pid: i32, signal: i32) {
    // SAFETY: kill(2) has no precondition.
    unsafe { libc::kill(pid, signal) };
}

/// Sends a signal to the process behind a pidfd.
pub(crate) fn pidfd_kill(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    // SAFETY: no information is given; the kernel checks descriptor and signal.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Exchanges the session keyring, which may hold the caller's keys, for an empty one. Best effort:
/// a kernel may have no keyrings, a user no room for one more.
pub(crate) fn leave_session_keyring() {
    /// `KEYCTL_JOIN_SESSION_KEYRING` of keyctl(2).
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for a new keyring without one; nothing is written.
    unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, 0) };
}

/// Closes descriptors from `first` on: at the next exec, or now.
pub(crate) fn close_from(first: u32, now: bool) -> Result<(), Errno> {
    let flags = if now { 0 } else { libc::CLOSE_RANGE_CLOEXEC };
    // SAFETY: descriptors are closed now in a new process only, where no owner of them runs again;
    // what an exec closes is nobody's here.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Puts a copy of a descriptor at 0, 1 or 2, open across exec.
pub(crate) fn redirect(source: BorrowedFd<'_>, target: u8) -> Result<(), Errno> {
    // SAFETY: dup3(2) closes `target` in a new process, where nothing owns it.
    let result = unsafe { libc::dup3(source.as_raw_fd(), i32::from(target), 0) };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Brings up the loopback interface of this network namespace.
pub(crate) fn loopback_up() -> Result<(), Errno> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: all zero is a valid `ifreq`: an empty name and no flag.
    let mut request: libc::ifreq = unsafe { zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one `ifreq`.
    let result = unsafe {
        libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request)
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Moves the whole process into new namespaces. Only while it has a single thread.
pub(crate) fn unshare(namespaces: i32) -> Result<(), Errno> {
    // SAFETY: no CLONE_FILES or CLONE_FS among the flags; the descriptors stay as they are.
    if unsafe { libc::unshare(namespaces) } < 0 { Err(last_errno()) } else { Ok(()) }
}

fn last_errno() -> Errno {
    let number = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    Errno::from_raw_os_error(number)
}
