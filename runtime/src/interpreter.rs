//! What a program's file begins with: a script names the program that reads it.
//!
//! Runs under the rules of `child`: no allocation, no lock, no panic.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How many scripts may read each other, as the kernel has it.
const DEEPEST: usize = 5;
/// As much of a first line as the kernel reads.
const LINE: usize = 256;

/// Fails where a program, or the one that reads it if it is a script, and so on, is behind a magic
/// link: `/proc/self/exe` is the program that the new process still is, a file of the machine.
pub(crate) fn check(program: &CStr) -> Result<(), Errno> {
    let mut line;
    let mut path = program;
    for _ in 0..DEEPEST {
        let Some(file) = open(path)? else { return Ok(()) };
        line = [0_u8; LINE + 1];
        let Ok(length) = rustix::io::read(&file, line.get_mut(..LINE).unwrap_or_default()) else {
            return Ok(());
        };
        match interpreter(&mut line, length) {
            Some(next) => path = next,
            None => return Ok(()),
        }
    }
    Ok(())
}

/// Opens a program to read it; nothing if only the kernel can.
fn open(path: &CStr) -> Result<Option<OwnedFd>, Errno> {
    let find = |flags| {
        rustix::fs::openat2(
            CWD,
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::NO_MAGICLINKS,
        )
    };
    let found = match find(OFlags::PATH) {
        // The kernel asks to try again after a rename; execve then decides.
        Err(Errno::AGAIN) => return Ok(None),
        answer => answer?,
    };
    // To open anything else might do something.
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode);
    if kind != FileType::RegularFile {
        return Ok(None);
    }
    Ok(find(OFlags::RDONLY | OFlags::NONBLOCK).ok())
}

/// The path behind `#!`, ended by a nul in its place.
fn interpreter(line: &mut [u8; LINE + 1], length: usize) -> Option<&CStr> {
    let whole = line.get_mut(..=length.min(LINE))?;
    let rest = if whole.starts_with(b"#!") { whole.get_mut(2..)? } else { return None };
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = rest.iter().position(|byte| !is_blank(byte))?;
    let rest = rest.get_mut(start..)?;
    let end = rest.iter().position(|byte| is_blank(byte) || matches!(byte, b'\n' | 0))?;
    *rest.get_mut(end)? = 0;
    CStr::from_bytes_with_nul(rest.get(..=end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_behind_a_script_is_found() {
        for (text, expected) in [
            ("#!/bin/sh\necho", Some(c"/bin/sh")),
            ("#! \t/usr/bin/env  sh\n", Some(c"/usr/bin/env")),
            ("#!/bin/sh", Some(c"/bin/sh")),
            ("#!", None),
            ("\u{7f}ELF", None),
            ("", None),
        ] {
            let mut line = [0; LINE + 1];
            line[..text.len()].copy_from_slice(text.as_bytes());
            assert_eq!(
                interpreter(&mut line, text.len()).filter(|path| !path.is_empty()),
                expected,
                "{text}"
            );
        }
    }
}
