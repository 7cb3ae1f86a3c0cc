//! The way out of an ordinary user's networks: a program that speaks for them as any of the user's
//! does. There are two such, of which either will do.

mod pasta;
mod slirp;

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::io::FdFlags;

use crate::error::{Doing, Failure};
use crate::machine::search_path;

/// What it is in the namespace.
const INTERFACE: &str = "tap0";
/// What either needs.
const DEVICE: &str = "/dev/net/tun";
/// The most of what it says that is shown, in bytes.
const MOST: u64 = 4 << 10;

/// A program that leads out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Slirp,
    Pasta,
}

impl Program {
    /// The first that is installed is used: pasta, as some distributions have it, loses what comes
    /// after one side of a connection has said all.
    const ALL: [Program; 2] = [Program::Slirp, Program::Pasta];

    fn name(self) -> &'static str {
        match self {
            Program::Slirp => "slirp4netns",
            Program::Pasta => "pasta",
        }
    }

    fn path(self) -> Option<PathBuf> {
        let places = search_path().into_iter().map(|dir| dir.join(self.name()));
        places.into_iter().find(|path| path.is_file())
    }
}

/// The program that leads out, and where it is.
pub(crate) struct WayOut {
    program: Program,
    path: PathBuf,
}

impl WayOut {
    /// Finds it, where it can work.
    pub(crate) fn find() -> Option<WayOut> {
        missing().is_none().then(installed).flatten()
    }

    /// Opens the way out of a namespace. It closes with the last copy of what this gives.
    pub(super) fn open(&self, namespace: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
        match self.program {
            Program::Slirp => slirp::open(&self.path, namespace),
            Program::Pasta => pasta::open(&self.path, namespace),
        }
    }
}

fn installed() -> Option<WayOut> {
    let find = |program: Program| Some(WayOut { program, path: program.path()? });
    Program::ALL.into_iter().find_map(find)
}

/// What is missing for a way out, in words; nothing if nothing is.
pub(crate) fn missing() -> Option<String> {
    if installed().is_none() {
        let [one, other] = Program::ALL.map(Program::name);
        return Some(format!("neither {one} nor {other} is installed"));
    }
    let device = File::options().read(true).write(true).open(DEVICE);
    device.err().map(|error| format!("{DEVICE} cannot be opened: {error}"))
}

/// A descriptor that a program inherits.
fn passed(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let copy = fd.try_clone_to_owned()?;
    rustix::io::fcntl_setfd(&copy, FdFlags::empty())?;
    Ok(copy)
}

/// A program that was started, and what it says.
struct Started {
    child: Child,
    said: File,
}

impl Started {
    /// Starts it apart from us: what ends the keeper's group is not meant for all networks.
    fn start(mut command: Command, stdin: Stdio) -> Result<Started, Failure> {
        // A pipe would end it when nobody listens any more.
        let said: File = rustix::fs::memfd_create("said", rustix::fs::MemfdFlags::CLOEXEC)?.into();
        command
            .current_dir("/")
            .process_group(0)
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(said.try_clone()?);
        let name = command.get_program().to_owned();
        let child = command.spawn().doing(|| format!("cannot start {}", name.display()))?;
        Ok(Started { child, said })
    }

    /// Leaves it to itself: how it ends is nobody's concern, but that it has.
    fn leave(self) -> io::Result<()> {
        let mut child = self.child;
        thread::Builder::new().name("way out".into()).spawn(move || child.wait())?;
        Ok(())
    }

    /// Why it ended.
    fn failure(self, program: Program) -> Failure {
        let mut text = String::new();
        let mut said = self.said;
        // What cannot be read is not there.
        let _ = said.rewind().and_then(|()| said.take(MOST).read_to_string(&mut text));
        let last = text.lines().last().unwrap_or_default();
        Failure::new(format!("{} has ended: {last}", program.name()))
    }
}
