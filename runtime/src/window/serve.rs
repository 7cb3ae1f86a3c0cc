//! One call, answered.

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::route::{Asker, Route, route};
use super::sys::{self, Call, InTheNameOf};
use crate::process_stat::ProcessStat;

/// The longest path that the kernel takes, its nul included.
const LONGEST_PATH: usize = 4096;
/// Memory is read up to the end of a page, where what follows may not be there.
const PAGE: u64 = 4096;

/// What a call asks for.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Open { flags: OFlags },
    Stat { flags: i32, into: u64 },
    Statx { flags: i32, mask: u32, into: u64 },
    Access { mode: u32, flags: u32 },
    ReadLink { into: u64, length: u64 },
}

/// Answers a call, or lets it go on.
pub(super) fn serve(listener: BorrowedFd<'_>, call: &Call) {
    let answer = asked(call).and_then(|(address, wanted)| {
        let path = read_path(call.thread, address)?;
        if !is_far(&path) {
            return None;
        }
        let asker = Asker { thread: call.thread, process: process_of(call.thread)? };
        let route = route(&path, asker, |process| is_related(process, asker.process))?;
        // The process may be another one by now, with the same number.
        sys::is_valid(listener, call).then_some((route, wanted))
    });
    match answer {
        None => sys::go_on(listener, call),
        Some((route, wanted)) => {
            let result = carry_out(listener, call, &route, wanted);
            sys::answer(listener, call, result);
        }
    }
}

/// The address of the path that a call is about, and what it wants.
fn asked(call: &Call) -> Option<(u64, Wanted)> {
    let [a, b, c, d, e, _] = call.arguments;
    let open = |flags: u64| Wanted::Open { flags: OFlags::from_bits_retain(flags as u32) };
    #[cfg(target_arch = "x86_64")]
    match call.number {
        libc::SYS_open => return Some((a, open(b))),
        libc::SYS_stat => return Some((a, Wanted::Stat { flags: 0, into: b })),
        libc::SYS_lstat => {
            return Some((a, Wanted::Stat { flags: libc::AT_SYMLINK_NOFOLLOW, into: b }));
        }
        libc::SYS_access => return Some((a, Wanted::Access { mode: b as u32, flags: 0 })),
        libc::SYS_readlink => return Some((a, Wanted::ReadLink { into: b, length: c })),
        _ => {}
    }
    Some(match call.number {
        libc::SYS_openat => (b, open(c)),
        libc::SYS_newfstatat => (b, Wanted::Stat { flags: d as i32, into: c }),
        libc::SYS_statx => (b, Wanted::Statx { flags: c as i32, mask: d as u32, into: e }),
        libc::SYS_faccessat => (b, Wanted::Access { mode: c as u32, flags: 0 }),
        libc::SYS_faccessat2 => (b, Wanted::Access { mode: c as u32, flags: d as u32 }),
        libc::SYS_readlinkat => (b, Wanted::ReadLink { into: c, length: d }),
        _ => return None,
    })
}

/// Whether a path may lead out at all: quickly, since nearly none does.
fn is_far(path: &[u8]) -> bool {
    let start = path.iter().position(|byte| *byte != b'/').unwrap_or(0);
    let rest = path.get(start..).unwrap_or_default();
    start > 0 && [&b"proc/"[..], b"sys/", b"dev/"].iter().any(|name| rest.starts_with(name))
}

/// A path in the memory of a process.
fn read_path(thread: i32, address: u64) -> Option<Vec<u8>> {
    let mut path = Vec::with_capacity(256);
    let mut at = address;
    while path.len() < LONGEST_PATH {
        let mut piece = [0; 256];
        let until_page = PAGE - at % PAGE;
        let length = piece.len().min(usize::try_from(until_page).ok()?);
        let read = read_memory(thread, at, piece.get_mut(..length)?)?;
        let piece = piece.get(..read)?;
        match piece.iter().position(|byte| *byte == 0) {
            Some(end) => {
                path.extend_from_slice(piece.get(..end)?);
                return Some(path);
            }
            None => path.extend_from_slice(piece),
        }
        at += read as u64;
    }
    None
}

fn read_memory(thread: i32, address: u64, into: &mut [u8]) -> Option<usize> {
    let read = match sys::read_memory(thread, address, into) {
        // It belongs to another user, as whom we may.
        Err(Errno::PERM) => {
            let _name = name_of(thread)?;
            memory_of(thread).ok()?.read_at(into, address).ok()?
        }
        result => result.ok()?,
    };
    (read > 0).then_some(read)
}

fn write_memory(thread: i32, address: u64, from: &[u8]) -> Result<(), Errno> {
    match sys::write_memory(thread, address, from) {
        Err(Errno::PERM) => {
            let _name = name_of(thread).ok_or(Errno::SRCH)?;
            let written = memory_of(thread).and_then(|memory| memory.write_all_at(from, address));
            written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::FAULT))
        }
        result => result,
    }
}

/// The memory of a thread's process as a file: to open it, it is the user of files that counts, and
/// not that of processes.
fn memory_of(thread: i32) -> std::io::Result<File> {
    File::options().read(true).write(true).open(format!("/proc/{thread}/mem"))
}

/// This thread as the user of a process.
fn name_of(thread: i32) -> Option<InTheNameOf> {
    let owner = fs::metadata(format!("/proc/{thread}")).ok()?;
    Some(InTheNameOf::new(owner.uid(), owner.gid()))
}

/// The process of a thread.
fn process_of(thread: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())
}

/// Whether a process is of the same container as another one: both are below the same reaper, which
/// is a child of this program.
fn is_related(process: i32, other: i32) -> bool {
    matches!((reaper_of(process), reaper_of(other)), (Some(a), Some(b)) if a == b)
}

/// The child of this program that a process is below.
fn reaper_of(process: i32) -> Option<i32> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let mut below = process;
    // As deep as processes can be: what changes meanwhile must not lead in circles.
    for _ in 0..100_000 {
        match ProcessStat::of(below)?.parent() {
            parent if parent == own => return (below != process).then_some(below),
            0 | 1 => return None,
            parent => below = parent,
        }
    }
    None
}

fn carry_out(
    listener: BorrowedFd<'_>,
    call: &Call,
    route: &Route,
    wanted: Wanted,
) -> Result<i64, Errno> {
    let name = name_of(call.thread).ok_or(Errno::SRCH)?;
    match wanted {
        Wanted::Open { flags } => {
            let file = open(route, flags)?;
            drop(name);
            let close_on_exec = flags.contains(OFlags::CLOEXEC);
            sys::add_descriptor(listener, call, file.as_fd(), close_on_exec)
        }
        Wanted::Stat { flags, into } => {
            write_memory(call.thread, into, &sys::stat(&route.path, flags)?).map(|()| 0)
        }
        Wanted::Statx { flags, mask, into } => {
            let found = sys::statx(&route.path, flags, mask)?;
            write_memory(call.thread, into, &found).map(|()| 0)
        }
        Wanted::Access { mode, flags } => {
            let mode = Access::from_bits_retain(mode);
            if mode.contains(Access::WRITE_OK) && !route.writable {
                return Err(Errno::ROFS);
            }
            let nofollow = AtFlags::from_bits_retain(flags) & AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::accessat(CWD, &route.path, mode, nofollow | AtFlags::EACCESS).map(|()| 0)
        }
        Wanted::ReadLink { into, length } => {
            let target = rustix::fs::readlinkat(CWD, &route.path, Vec::new())?;
            let length = usize::try_from(length).map_err(|_| Errno::INVAL)?;
            let root = rustix::fs::readlink(format!("/proc/{}/root", call.thread), Vec::new())?;
            let target = seen_from(root.as_bytes(), target.as_bytes());
            let target = target.get(..length).unwrap_or(target);
            write_memory(call.thread, into, target)?;
            i64::try_from(target.len()).map_err(|_| Errno::INVAL)
        }
    }
}

/// A path of the machine as a process sees it whose root this is. What lies outside stays as it is.
fn seen_from<'path>(root: &[u8], path: &'path [u8]) -> &'path [u8] {
    match path.strip_prefix(root) {
        Some([]) => b"/",
        Some(below) if below.starts_with(b"/") => below,
        _ => path,
    }
}

/// Opens without ever waiting; whether the asker's own calls wait is his choice.
fn open(route: &Route, flags: OFlags) -> Result<OwnedFd, Errno> {
    let writes = flags.intersects(OFlags::WRONLY | OFlags::RDWR) || flags.contains(OFlags::TRUNC);
    if writes && !route.writable {
        return Err(Errno::ROFS);
    }
    let kept = flags - (OFlags::CREATE | OFlags::EXCL);
    let file = rustix::fs::openat(
        CWD,
        &route.path,
        kept | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    if !flags.intersects(OFlags::NONBLOCK | OFlags::PATH) {
        let now = rustix::fs::fcntl_getfl(&file)?;
        rustix::fs::fcntl_setfl(&file, now - OFlags::NONBLOCK)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_seen_from_the_root() {
        for (path, seen) in [
            ("/tmp/tree/bin/sh", "/bin/sh"),
            ("/tmp/tree", "/"),
            ("/tmp/treetop", "/tmp/treetop"),
            ("pipe:[7]", "pipe:[7]"),
        ] {
            assert_eq!(seen_from(b"/tmp/tree", path.as_bytes()), seen.as_bytes());
        }
        assert_eq!(seen_from(b"/", b"/bin/sh"), b"/bin/sh");
    }

    #[test]
    fn few_paths_are_looked_at_twice() {
        for (path, far) in [
            ("/proc/self", true),
            ("//sys/x", true),
            ("/dev/stdout", true),
            ("/process", false),
            ("proc/self", false),
            ("/usr/lib/libc.so", false),
            ("", false),
        ] {
            assert_eq!(is_far(path.as_bytes()), far, "{path}");
        }
    }
}
