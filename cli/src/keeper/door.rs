//! Where others come to a keeper: a socket in the container's directory, which is its owner's
//! alone.

use std::fs;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::enter::Asked;
use super::wire::{self, Attach, Kind, Reply, Request};
use super::{Keeper, NotRunning};

/// The socket's name in the container's directory.
pub(super) const NAME: &str = "door";

/// Opens a socket's address, however long its path is: 107 bytes are the most that the kernel
/// takes in one.
pub(super) fn by_short_path<T>(
    dir: &Path,
    open: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    use std::os::fd::AsRawFd;
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let dir = rustix::fs::open(dir, flags, rustix::fs::Mode::empty())?;
    open(&Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(NAME))
}

/// Lets others in from now on, until the process ends.
pub(crate) fn open(dir: &Path, keeper: Arc<Keeper>) -> io::Result<()> {
    match fs::remove_file(dir.join(NAME)) {
        // Of a keeper that was killed.
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = by_short_path(dir, |path| UnixListener::bind(path))?;
    thread::Builder::new().name("door".into()).spawn(move || {
        for asker in listener.incoming().flatten() {
            // One who asks too much at once is turned away.
            let _ = let_in(asker, keeper.clone());
        }
    })?;
    Ok(())
}

/// Serves one asker on a thread of its own.
pub(super) fn let_in(asker: UnixStream, keeper: Arc<Keeper>) -> io::Result<()> {
    thread::Builder::new().name("asker".into()).spawn(move || {
        // Whatever he wanted, he has gone away.
        let _ = serve(&asker, &keeper);
    })?;
    Ok(())
}

fn serve(asker: &UnixStream, keeper: &Keeper) -> io::Result<()> {
    while let Some(request) = wire::hear(asker)? {
        match request {
            Request::Start { .. } => wire::say(asker, &failed("it has been started already"))?,
            Request::Attach(attach) => return attend(asker, keeper, attach),
            Request::Signal(number) => {
                let reply = match keeper.signal(number) {
                    Ok(()) => Reply::Done,
                    Err(NotRunning) => failed("it is not running"),
                };
                wire::say(asker, &reply)?;
            }
            Request::Stop { signal, seconds } => {
                keeper.tell_end(asker.try_clone()?)?;
                keeper.stop(signal, seconds.map(Duration::from_secs));
            }
            Request::Wait => keeper.tell_end(asker.try_clone()?)?,
            Request::Resize(size) => keeper.resize(size),
            Request::Pause => wire::say(asker, &keeper.pause())?,
            Request::Unpause => wire::say(asker, &keeper.unpause())?,
            Request::Hold => return hold(asker, keeper),
            Request::Processes => wire::say(asker, &keeper.processes())?,
            Request::Usage => wire::say(asker, &keeper.usage())?,
            Request::Limit(limits) => wire::say(asker, &keeper.limit(&limits))?,
            Request::Exec(_) if keeper.is_paused() => {
                wire::say(asker, &failed("it is paused: unpause it before an exec"))?;
            }
            Request::Exec(exec) => match keeper.running() {
                Some(init) => {
                    let groups = keeper.groups(&init);
                    let (notes, asked) = (keeper.notes(), Asked { asker, exec: &exec });
                    return keeper.household.serve(&asked, &init, groups, notes.as_ref());
                }
                None => wire::say(asker, &failed("it is not running"))?,
            },
        }
    }
    Ok(())
}

/// What was asked for cannot be done.
pub(super) fn failed(message: impl Into<String>) -> Reply {
    Reply::Failed { message: message.into(), hint: None, code: 1 }
}

/// Holds the container still until the asker goes away.
fn hold(asker: &UnixStream, keeper: &Keeper) -> io::Result<()> {
    let reply = match keeper.pause() {
        // What has just ended holds still by itself.
        Reply::Failed { .. } if keeper.running().is_none() => Reply::Done,
        reply => reply,
    };
    let is_held = reply == Reply::Done;
    let said = wire::say(asker, &reply);
    if is_held {
        // Whatever ends the connection ends the wait.
        while matches!(wire::receive(asker), Ok(Some(_))) {}
        keeper.unpause();
    }
    said
}

/// Takes one more into the container's input and output.
fn attend(asker: &UnixStream, keeper: &Keeper, attach: Attach) -> io::Result<()> {
    let Some(outputs) = &keeper.outputs else {
        let message = "its input and output are those of the command that started it";
        return wire::say(asker, &failed(message));
    };
    outputs.add(asker)?;
    take_input(asker, keeper, attach)
}

/// Gives the container what a listener sends, until he goes away.
pub(super) fn take_input(asker: &UnixStream, keeper: &Keeper, attach: Attach) -> io::Result<()> {
    if let Some(size) = attach.size {
        keeper.resize(size);
    }
    let ended = loop {
        match wire::receive(asker) {
            Ok(Some((Kind::Stdin, bytes))) if attach.input => {
                if !bytes.is_empty() {
                    keeper.feed(&bytes);
                } else if attach.ends_input {
                    keeper.end_input();
                }
            }
            Ok(Some((Kind::Message, message))) => match wire::understand(&message)? {
                Request::Signal(number) => drop(keeper.signal(number)),
                Request::Resize(size) => keeper.resize(size),
                _ => {}
            },
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    if attach.input && attach.ends_input {
        keeper.end_input();
    }
    ended
}
