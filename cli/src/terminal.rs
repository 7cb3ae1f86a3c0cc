//! Terminals: those that containers get, and ours while it is joined to one of them.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::str::FromStr;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use crate::error::Failure;
use crate::keeper::wire::Size;

/// A new terminal: what is written to one side is read from the other.
pub(crate) struct Terminal {
    ours: File,
    /// The container's side.
    theirs: File,
    /// The device of the container's side.
    pub(crate) device: PathBuf,
}

impl Terminal {
    /// Makes one.
    pub(crate) fn open() -> Result<Terminal, Failure> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let device = PathBuf::from(name.to_string_lossy().into_owned());
        let theirs = rustix::fs::open(
            &device,
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        Ok(Terminal { ours: ours.into(), theirs: theirs.into(), device })
    }

    /// The container's side, once more.
    pub(crate) fn theirs(&self) -> io::Result<OwnedFd> {
        Ok(self.theirs.try_clone()?.into())
    }

    /// Tells it its size.
    pub(crate) fn resize(&self, size: Size) {
        resize(&self.ours, size);
    }

    /// Our side, once more.
    pub(crate) fn ours(&self) -> io::Result<File> {
        self.ours.try_clone()
    }

    /// Our side alone: reading from it ends when the container has closed its own.
    pub(crate) fn into_ours(self) -> File {
        self.ours
    }
}

/// Tells a terminal its size.
pub(crate) fn resize(terminal: &File, size: Size) {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // One that was just closed has no size.
    let _ = tcsetwinsize(terminal, size);
}

/// The size of the terminal that we are used from.
pub(crate) fn our_size() -> Option<Size> {
    let sizes = [tcgetwinsize(io::stdout()), tcgetwinsize(io::stdin())];
    let size = sizes.into_iter().find_map(Result::ok)?;
    Some(Size { rows: size.ws_row, columns: size.ws_col })
}

/// Fails where our standard input is no terminal.
pub(crate) fn require_ours() -> Result<(), Failure> {
    if io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Failure::new("the input device is not a TTY").hint("leave out `--tty`, or `--interactive`"))
}

/// Our terminal while every key goes to the container; dropped, it is as it was before.
pub(crate) struct Raw(Termios);

impl Raw {
    /// Sets it.
    pub(crate) fn set() -> Result<Raw, Failure> {
        require_ours()?;
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The terminal may be gone; then there is nothing to restore.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// The keys that leave a container to itself, and how many of them were typed so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DetachKeys {
    keys: Vec<u8>,
    typed: usize,
}

impl Default for DetachKeys {
    /// Control-P, control-Q.
    fn default() -> DetachKeys {
        DetachKeys { keys: vec![0x10, 0x11], typed: 0 }
    }
}

impl DetachKeys {
    /// Looks for the keys in what was typed. What certainly belongs to no sequence is passed on;
    /// the second value says whether the sequence is complete.
    pub(crate) fn take(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(typed.len());
        for byte in typed {
            if self.keys.get(self.typed) == Some(byte) {
                self.typed += 1;
                if self.typed == self.keys.len() {
                    self.typed = 0;
                    return (passed, true);
                }
                continue;
            }
            passed.extend_from_slice(&self.keys[..self.typed]);
            self.typed = usize::from(self.keys.first() == Some(byte) && self.keys.len() > 1);
            if self.typed == 0 {
                passed.push(*byte);
            }
        }
        (passed, false)
    }
}

impl FromStr for DetachKeys {
    type Err = String;

    /// Docker's notation: single characters and `ctrl-X`, with commas between; nothing at all
    /// turns them off.
    fn from_str(text: &str) -> Result<Self, String> {
        let key = |key: &str| match key.as_bytes() {
            [byte] => Ok(*byte),
            [b'c', b't', b'r', b'l', b'-', control @ (b'a'..=b'z' | b'@' | b'['..=b'_')] => {
                Ok(control.to_ascii_uppercase() - b'@')
            }
            _ => Err(format!("`{key}` is no key: a key is a character or ctrl-CHARACTER")),
        };
        let keys = if text.is_empty() {
            Vec::new()
        } else {
            text.split(',').map(key).collect::<Result<_, _>>()?
        };
        Ok(DetachKeys { keys, typed: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_over_several_reads_and_nothing_else_is_lost() {
        let mut keys = DetachKeys::default();
        assert_eq!(keys.take(b"ab\x10"), (b"ab".to_vec(), false));
        assert_eq!(keys.take(b"c"), (b"\x10c".to_vec(), false));
        assert_eq!(keys.take(b"\x10\x10"), (b"\x10".to_vec(), false));
        assert_eq!(keys.take(b"\x11rest"), (Vec::new(), true));
        let mut none: DetachKeys = "".parse().unwrap();
        assert_eq!(none.take(b"\x10\x11"), (b"\x10\x11".to_vec(), false));
    }

    #[test]
    fn keys_are_read_in_dockers_notation() {
        let keys: DetachKeys = "ctrl-a,x,ctrl-@,ctrl-]".parse().unwrap();
        assert_eq!(keys.keys, [1, b'x', 0, 0x1d]);
        for text in ["ctrl-", "xy", "ctrl-A1", "a,,b"] {
            assert!(text.parse::<DetachKeys>().is_err(), "{text}");
        }
    }
}
