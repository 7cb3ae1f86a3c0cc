//! Parts of files in the address space, for the kernel alone to read.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::param::page_size;

/// A part of a file, mapped. Nothing here ever reads it: whoever may change or cut the file makes
/// `send` fail at worst.
pub(super) struct Window {
    start: *mut c_void,
    /// In bytes, from the page in which the part begins.
    length: usize,
    /// Where in the file the mapping begins.
    offset: u64,
}

// SAFETY: the mapping belongs to the process, whichever thread uses it, and is never written to.
unsafe impl Send for Window {}
// SAFETY: as above; nothing is changed through a shared reference.
unsafe impl Sync for Window {}

impl Window {
    /// Maps a part of a file that is not empty.
    ///
    /// # Errors
    /// If the part is too large, the file system maps no files, or there are too many mappings.
    pub(super) fn open(file: &File, part: &Range<u64>) -> io::Result<Window> {
        let offset = part.start - part.start % page_size() as u64;
        let length = usize::try_from(part.end - offset)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        // SAFETY: the kernel chooses a place where nothing is; no reference is made to it.
        let start = unsafe {
            mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, file, offset)
        }?;
        Ok(Window { start, length, offset })
    }

    /// Sends up to `length` bytes from `position` of the file on, without waiting.
    ///
    /// # Errors
    /// If the socket takes nothing now, or no more; if they are outside of the part; if the file
    /// is shorter.
    pub(super) fn send(
        &self,
        socket: impl AsFd,
        position: u64,
        length: usize,
    ) -> io::Result<usize> {
        let begin = position.checked_sub(self.offset).and_then(|at| usize::try_from(at).ok());
        let begin = begin.filter(|at| *at <= self.length && length <= self.length - at);
        let begin = begin.ok_or(io::ErrorKind::InvalidInput)?;
        let socket = socket.as_fd().as_raw_fd();
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the bytes are inside of the mapping, which lives as long as we do; the kernel
        // reads them and answers EFAULT where the file has ended.
        let sent = unsafe { libc::send(socket, self.start.byte_add(begin), length, flags) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: this is what was mapped, whole, and nobody has a reference into it.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}
