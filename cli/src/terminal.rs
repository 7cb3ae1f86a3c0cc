//! A terminal for a container, joined to ours.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use crate::error::Failure;

/// A new terminal: what is written to one side is read from the other.
pub(crate) struct Terminal {
    ours: File,
    /// The container's side.
    theirs: File,
    /// The device of the container's side.
    pub(crate) device: PathBuf,
}

impl Terminal {
    /// Makes one, as large as ours.
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
        let terminal = Terminal { ours: ours.into(), theirs: theirs.into(), device };
        terminal.take_size();
        Ok(terminal)
    }

    /// The container's side, once more.
    pub(crate) fn theirs(&self) -> io::Result<OwnedFd> {
        Ok(self.theirs.try_clone()?.into())
    }

    /// Our side, to tell it about new sizes.
    pub(crate) fn sizes(&self) -> io::Result<Sizes> {
        Ok(Sizes(self.ours.try_clone()?))
    }

    fn take_size(&self) {
        if let Ok(sizes) = self.sizes() {
            sizes.take();
        }
    }

    /// Joins the terminal to our own input and output until the container has closed its side.
    /// Must come when the container has its descriptors: ours of its side is closed here.
    pub(crate) fn join(self, with_input: bool) -> Result<Joined, Failure> {
        let Terminal { ours, theirs, .. } = self;
        drop(theirs);
        let raw = if with_input { Raw::set()? } else { None };
        if with_input {
            let mut to = ours.try_clone()?;
            // Ends with the process: nobody can end a read of our standard input.
            thread::Builder::new().name("terminal input".into()).spawn(move || {
                let _ = copy(&mut io::stdin().lock(), &mut to);
            })?;
        }
        let output = thread::Builder::new().name("terminal output".into()).spawn(move || {
            // Reading ends with EIO when the other side is closed.
            let _ = copy(&mut &ours, &mut io::stdout());
        })?;
        Ok(Joined { output: Some(output), raw })
    }
}

/// Two joined terminals; dropped, ours is as it was before.
pub(crate) struct Joined {
    output: Option<JoinHandle<()>>,
    raw: Option<Raw>,
}

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some(output) = self.output.take() {
            // All that the container wrote is shown first.
            let _ = output.join();
        }
        self.raw = None;
    }
}

/// Passes the size of our terminal on.
pub(crate) struct Sizes(File);

impl Sizes {
    /// Takes ours over; without one there is nothing to take.
    pub(crate) fn take(&self) {
        let from = [tcgetwinsize(io::stdout()), tcgetwinsize(io::stdin())];
        if let Some(size) = from.into_iter().find_map(Result::ok) {
            let _ = tcsetwinsize(&self.0, size);
        }
    }
}

/// Our terminal while every key goes to the container.
struct Raw(Termios);

impl Raw {
    fn set() -> Result<Option<Raw>, Failure> {
        if !io::stdin().is_terminal() {
            return Err(Failure::new("standard input is no terminal")
                .hint("leave out `--tty`, or `--interactive`"));
        }
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Some(Raw(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The terminal may be gone; then there is nothing to restore.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Copies at once what comes, without waiting for more.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = [0; 8192];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(&buffer[..count])?;
        to.flush()?;
    }
}
