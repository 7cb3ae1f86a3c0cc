//! Seccomp's notifications (seccomp_unotify(2)), other processes' memory, and whose name files are
//! opened in.
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use crate::seccomp::Instruction;

/// `SECCOMP_IOCTL_NOTIF_RECV`: `_IOWR('!', 0, struct seccomp_notif)`.
const RECEIVE: libc::c_ulong = 0xC050_2100;
/// `SECCOMP_IOCTL_NOTIF_SEND`: `_IOWR('!', 1, struct seccomp_notif_resp)`.
const SEND: libc::c_ulong = 0xC018_2101;
/// `SECCOMP_IOCTL_NOTIF_ID_VALID`: `_IOW('!', 2, __u64)`.
const IS_VALID: libc::c_ulong = 0x4008_2102;
/// `SECCOMP_IOCTL_NOTIF_ADDFD`: `_IOW('!', 3, struct seccomp_notif_addfd)`.
const ADD_DESCRIPTOR: libc::c_ulong = 0x4018_2103;

/// A system call that a process waits in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    /// By what it is answered.
    id: u64,
    /// The thread that made it.
    pub(super) thread: i32,
    /// The call's number.
    pub(super) number: i64,
    /// Its arguments.
    pub(super) arguments: [u64; 6],
}

/// Installs a filter for this process and those it starts, and gives what tells of its calls.
pub(crate) fn install_notifier(program: &[Instruction]) -> Result<OwnedFd, Errno> {
    let program =
        libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: `Instruction` has the layout of `struct sock_filter`; the kernel copies `len` of
    // them and writes nothing.
    let listener = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    // SAFETY: the call gave a new descriptor, which is ours alone.
    if listener < 0 { Err(last()) } else { Ok(unsafe { OwnedFd::from_raw_fd(listener as i32) }) }
}

/// Takes the next call. ENOENT when its process has been killed meanwhile.
pub(super) fn receive(listener: BorrowedFd<'_>) -> Result<Call, Errno> {
    // SAFETY: all zero is a valid structure, and what the kernel wants.
    let mut call: libc::seccomp_notif = unsafe { zeroed() };
    // SAFETY: the kernel writes one structure.
    if unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE as _, &raw mut call) } < 0 {
        return Err(last());
    }
    Ok(Call {
        id: call.id,
        thread: call.pid as i32,
        number: call.data.nr.into(),
        arguments: call.data.args,
    })
}

/// Lets the kernel carry the call out.
pub(super) fn go_on(listener: BorrowedFd<'_>, call: &Call) {
    send(listener, call, 0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32);
}

/// Answers the call with a value, or with an error.
pub(super) fn answer(listener: BorrowedFd<'_>, call: &Call, result: Result<i64, Errno>) {
    match result {
        Ok(value) => send(listener, call, value, 0, 0),
        Err(errno) => send(listener, call, 0, -errno.raw_os_error(), 0),
    }
}

fn send(listener: BorrowedFd<'_>, call: &Call, val: i64, error: i32, flags: u32) {
    let response = libc::seccomp_notif_resp { id: call.id, val, error, flags };
    // SAFETY: the kernel reads one structure. That the process is gone is no failure.
    unsafe { libc::ioctl(listener.as_raw_fd(), SEND as _, &raw const response) };
}

/// Whether the process still waits in the call.
pub(super) fn is_valid(listener: BorrowedFd<'_>, call: &Call) -> bool {
    // SAFETY: the kernel reads one number.
    unsafe { libc::ioctl(listener.as_raw_fd(), IS_VALID as _, &raw const call.id) == 0 }
}

/// Gives the process a copy of a descriptor, open across exec or not.
pub(super) fn add_descriptor(
    listener: BorrowedFd<'_>,
    call: &Call,
    descriptor: BorrowedFd<'_>,
    close_on_exec: bool,
) -> Result<i64, Errno> {
    let request = libc::seccomp_notif_addfd {
        id: call.id,
        flags: 0,
        srcfd: descriptor.as_raw_fd() as u32,
        newfd: 0,
        newfd_flags: if close_on_exec { libc::O_CLOEXEC as u32 } else { 0 },
    };
    // SAFETY: the kernel reads one structure, and copies the descriptor.
    let number =
        unsafe { libc::ioctl(listener.as_raw_fd(), ADD_DESCRIPTOR as _, &raw const request) };
    if number < 0 { Err(last()) } else { Ok(number.into()) }
}

/// Reads memory of a thread's process: as much as there is, up to the length of `into`.
pub(super) fn read_memory(thread: i32, address: u64, into: &mut [u8]) -> Result<usize, Errno> {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: address as *mut _, iov_len: into.len() };
    // SAFETY: the kernel writes to `into` at most; the other address is of another process, and
    // the kernel checks it.
    let read =
        unsafe { libc::process_vm_readv(thread, &raw const local, 1, &raw const remote, 1, 0) };
    if read < 0 { Err(last()) } else { Ok(read as usize) }
}

/// Writes to memory of a thread's process.
pub(super) fn write_memory(thread: i32, address: u64, from: &[u8]) -> Result<(), Errno> {
    let local = libc::iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
    let remote = libc::iovec { iov_base: address as *mut _, iov_len: from.len() };
    // SAFETY: the kernel reads `from` only; the other address is of another process, and the
    // kernel checks it.
    let written =
        unsafe { libc::process_vm_writev(thread, &raw const local, 1, &raw const remote, 1, 0) };
    match written {
        written if written == from.len() as isize => Ok(()),
        written if written < 0 => Err(last()),
        _ => Err(Errno::FAULT),
    }
}

/// What stat(2) says of a path, as the bytes that the kernel would have written.
pub(super) fn stat(path: &std::ffi::CStr, flags: i32) -> Result<Vec<u8>, Errno> {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the path ends in nul, and the kernel writes one structure.
    let result = unsafe {
        libc::syscall(
            libc::SYS_newfstatat,
            libc::AT_FDCWD,
            path.as_ptr(),
            stat.as_mut_ptr(),
            flags & libc::AT_SYMLINK_NOFOLLOW,
        )
    };
    if result < 0 { Err(last()) } else { Ok(bytes_of(&stat)) }
}

/// The same of statx(2).
pub(super) fn statx(path: &std::ffi::CStr, flags: i32, mask: u32) -> Result<Vec<u8>, Errno> {
    let mut stat = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: as above.
    let result = unsafe {
        libc::syscall(
            libc::SYS_statx,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags & libc::AT_SYMLINK_NOFOLLOW,
            mask,
            stat.as_mut_ptr(),
        )
    };
    if result < 0 { Err(last()) } else { Ok(bytes_of(&stat)) }
}

fn bytes_of<T>(value: &MaybeUninit<T>) -> Vec<u8> {
    // SAFETY: it was all zero before the kernel wrote to it, so that every byte is initialised.
    unsafe { std::slice::from_raw_parts(value.as_ptr().cast::<u8>(), size_of::<T>()) }.to_vec()
}

/// This thread opens files as this user and group (setfsuid(2)) as long as the value lives.
pub(super) struct InTheNameOf(());

impl InTheNameOf {
    pub(super) fn new(uid: u32, gid: u32) -> Self {
        // SAFETY: both calls concern this thread alone, and take numbers.
        unsafe {
            libc::setfsgid(gid);
            libc::setfsuid(uid);
        }
        Self(())
    }
}

impl Drop for InTheNameOf {
    fn drop(&mut self) {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        // SAFETY: as above.
        unsafe {
            libc::setfsuid(uid.as_raw());
            libc::setfsgid(gid.as_raw());
        }
    }
}

fn last() -> Errno {
    Errno::from_raw_os_error(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}
