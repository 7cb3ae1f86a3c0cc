//! Our own input and output joined to those of a container that has a keeper.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::lock;
use super::wire::{self, Attach, Kind, Reply, Request};
use crate::error::Failure;
use crate::signals::Caught;
use crate::terminal::{self, DetachKeys, Raw};

/// How we take part.
pub(crate) struct Joining {
    /// Whether the container reads what we do.
    pub(crate) input: bool,
    /// What of its output we show.
    pub(crate) shown: Shown,
    /// Whether it has a terminal.
    pub(crate) terminal: bool,
    /// Whether signals that we get are meant for it.
    pub(crate) signals: bool,
    /// Which keys leave it to itself.
    pub(crate) detach_keys: DetachKeys,
}

/// What of a container's output is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

impl Shown {
    /// All of it.
    pub(crate) const ALL: Shown = Shown { stdout: true, stderr: true };
}

/// How we part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parted {
    /// The container has ended with this status.
    Ended(i32),
    /// It goes on without us.
    Left,
    /// Nobody told.
    Lost,
}

impl Joining {
    /// What the keeper has to know.
    pub(crate) fn attach(&self, ends_input: bool) -> Attach {
        let size = self.terminal.then(terminal::our_size).flatten();
        // A terminal has no end: who leaves it can come back.
        Attach { input: self.input, ends_input: ends_input && !self.terminal, size }
    }

    /// Checks that what is asked for can be had, before anything is started.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.terminal && self.input { terminal::require_ours() } else { Ok(()) }
    }

    /// Takes part until one of the two goes. `caught` are the signals that came so far.
    pub(crate) fn until_we_part(
        &self,
        keeper: &UnixStream,
        caught: Caught,
    ) -> Result<Parted, Failure> {
        // Dropped at the end, the terminal is as it was before.
        let _raw = if self.terminal && self.input { Some(Raw::set()?) } else { None };
        let speaker = Speaker(Arc::new(Mutex::new(keeper.try_clone()?)));
        let left = Arc::new(AtomicBool::new(false));
        self.pass_signals(&caught, &speaker)?;
        if self.input {
            self.pass_input(speaker, left.clone())?;
        }
        let parted = listen(keeper, self.shown)?;
        caught.ignore();
        Ok(if left.load(Ordering::SeqCst) { Parted::Left } else { parted })
    }

    fn pass_signals(&self, caught: &Caught, speaker: &Speaker) -> Result<(), Failure> {
        if self.signals {
            let speaker = speaker.clone();
            caught.tell(move |number| speaker.say(&Request::Signal(number)))?;
        }
        if self.terminal {
            let speaker = speaker.clone();
            caught.tell_size(move || {
                if let Some(size) = terminal::our_size() {
                    speaker.say(&Request::Resize(size));
                }
            })?;
        }
        Ok(())
    }

    /// On a thread that ends with the process: nobody can end a read of our standard input.
    fn pass_input(&self, speaker: Speaker, left: Arc<AtomicBool>) -> Result<(), Failure> {
        let mut keys = self.terminal.then(|| self.detach_keys.clone());
        thread::Builder::new().name("input".into()).spawn(move || {
            let mut buffer = vec![0; 32 << 10];
            loop {
                let count = match io::stdin().lock().read(&mut buffer) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                    Ok(count) => count,
                    Err(_) => 0,
                };
                let typed = &buffer[..count];
                let Some(keys) = &mut keys else {
                    if speaker.send(typed).is_err() || count == 0 {
                        return;
                    }
                    continue;
                };
                let (passed, leave) = keys.take(typed);
                if !passed.is_empty() && speaker.send(&passed).is_err() {
                    return;
                }
                if leave {
                    left.store(true, Ordering::SeqCst);
                    return speaker.hang_up();
                }
                if count == 0 {
                    return;
                }
            }
        })?;
        Ok(())
    }
}

/// Says what the container says, until that ends.
fn listen(keeper: &UnixStream, shown: Shown) -> Result<Parted, Failure> {
    loop {
        let written = match wire::receive(keeper) {
            Ok(Some((Kind::Stdout, _))) if !shown.stdout => Ok(()),
            Ok(Some((Kind::Stderr, _))) if !shown.stderr => Ok(()),
            Ok(Some((Kind::Stdout, bytes))) => write(io::stdout().lock(), &bytes),
            Ok(Some((Kind::Stderr, bytes))) => write(io::stderr().lock(), &bytes),
            Ok(Some((Kind::Message, message))) => match wire::understand(&message)? {
                Reply::Ended(code) => return Ok(Parted::Ended(code)),
                Reply::Failed { message, hint, code } => {
                    return Err(super::ask::reported(message, hint, code));
                }
                Reply::Done | Reply::Processes(_) | Reply::Usage(_) => Ok(()),
            },
            Ok(Some((Kind::Stdin, _))) => Ok(()),
            Ok(None) | Err(_) => return Ok(Parted::Lost),
        };
        // As if SIGPIPE had ended us; the container goes on, and its log.
        written.map_err(|_| Failure::silent(141))?;
    }
}

fn write(mut to: impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

/// Our side of the connection, for several threads.
#[derive(Clone)]
struct Speaker(Arc<Mutex<UnixStream>>);

impl Speaker {
    fn say(&self, request: &Request) {
        // A container that has just ended needs nothing any more.
        let _ = wire::say(&*lock(&self.0), request);
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        wire::send(&*lock(&self.0), Kind::Stdin, bytes)
    }

    fn hang_up(&self) {
        let _ = lock(&self.0).shutdown(std::net::Shutdown::Both);
    }
}
