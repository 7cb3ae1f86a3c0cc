//! A command at a terminal, as somebody types at one.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::Tierce;

/// How long a command may take to say what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both sides of a terminal of 33 rows and 77 columns.
///
/// # Panics
/// When the machine gives none.
pub fn terminal() -> (File, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).expect("a terminal");
    unlockpt(&ours).expect("a terminal");
    let name = ptsname(&ours, Vec::new()).expect("a name");
    let theirs = File::options()
        .read(true)
        .write(true)
        .open(name.to_str().expect("a text"))
        .expect("the other side");
    let size = Winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&ours, size).expect("a size");
    (ours.into(), theirs)
}

/// A command at a terminal of ours.
#[derive(Debug)]
pub struct Session {
    ours: File,
    theirs: File,
    /// The command.
    pub child: Child,
    seen: String,
}

impl Session {
    /// Starts a command.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(tierce: &Tierce, args: &[&str]) -> Session {
        let (ours, theirs) = terminal();
        let stream = || Stdio::from(OwnedFd::from(theirs.try_clone().expect("a copy")));
        let mut command = tierce.command(args);
        let child = command.stdin(stream()).stdout(stream()).stderr(stream());
        let child = child.spawn().expect("tierce starts");
        Session { ours, theirs, child, seen: String::new() }
    }

    /// Waits until it has said something, and forgets all that it said up to there.
    ///
    /// # Panics
    /// When it does not say that in time.
    pub fn until(&mut self, text: &str) {
        let begin = Instant::now();
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let mut ready = [PollFd::from_borrowed_fd(self.ours.as_fd(), PollFlags::IN)];
            let second = Timespec { tv_sec: 1, tv_nsec: 0 };
            if poll(&mut ready, Some(&second)).expect("a poll") > 0 {
                let mut buffer = [0; 1024];
                let count = self.ours.read(&mut buffer).expect("what the command says");
                self.seen += &String::from_utf8_lossy(&buffer[..count]);
            }
            assert!(begin.elapsed() < PATIENCE, "{text:?} does not come: {:?}", self.seen);
        }
    }

    /// Types keys.
    ///
    /// # Panics
    /// When the terminal does not take them.
    pub fn type_keys(&mut self, keys: &[u8]) {
        self.ours.write_all(keys).expect("keys");
    }

    /// The exit status; the terminal is as it was.
    ///
    /// # Panics
    /// When it is not, or a signal ended the command.
    pub fn end(mut self, before: &Termios) -> i32 {
        let code = self.child.wait().expect("an end").code().expect("a status");
        let after = tcgetattr(&self.theirs).expect("modes");
        assert_eq!(before.local_modes, after.local_modes);
        assert_eq!(before.output_modes, after.output_modes);
        code
    }
}
