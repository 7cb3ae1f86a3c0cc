//! The way out of an ordinary user's networks: slirp4netns, which speaks for them as a program of
//! the user's does.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use rustix::io::FdFlags;

use crate::error::{Doing, Failure};
use crate::machine::search_path;

/// The program.
const PROGRAM: &str = "slirp4netns";
/// What it is in the namespace.
const INTERFACE: &str = "tap0";
/// What is missing where there is none.
const DEVICE: &str = "/dev/net/tun";
/// The most of what it says that is shown, in bytes.
const MOST: u64 = 4 << 10;

/// The program that leads out.
pub(crate) struct WayOut(PathBuf);

impl WayOut {
    /// Finds it, where it can work.
    pub(crate) fn find() -> Option<WayOut> {
        missing().is_none().then(program).flatten().map(WayOut)
    }

    /// Opens the way out of a namespace. It closes with the last copy of what this gives.
    pub(super) fn open(&self, namespace: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
        let (is_over, stop) = io::pipe()?;
        let (mut ready, tell) = io::pipe()?;
        let said = self.start(namespace, &is_over, &tell)?;
        drop((is_over, tell));
        let mut answer = [0];
        // It ends with the pipe, if it is not ready before.
        if ready.read(&mut answer)? == 1 {
            return Ok(stop.into());
        }
        drop::<PipeWriter>(stop);
        Err(Failure::new(format!("{PROGRAM} has ended: {}", last_line(said))))
    }

    /// Starts it, and gives what it says.
    fn start(
        &self,
        namespace: BorrowedFd<'_>,
        is_over: &PipeReader,
        ready: &PipeWriter,
    ) -> Result<File, Failure> {
        let passed = |fd: BorrowedFd<'_>| -> io::Result<OwnedFd> {
            let copy = fd.try_clone_to_owned()?;
            rustix::io::fcntl_setfd(&copy, FdFlags::empty())?;
            Ok(copy)
        };
        let (is_over, ready) = (passed(is_over.as_fd())?, passed(ready.as_fd())?);
        let namespace = passed(namespace)?;
        // A pipe would end it when nobody listens any more.
        let said: File = rustix::fs::memfd_create("said", rustix::fs::MemfdFlags::CLOEXEC)?.into();
        let mut command = Command::new(&self.0);
        command
            .args(["--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path"])
            .arg(format!("--exit-fd={}", is_over.as_raw_fd()))
            .arg(format!("--ready-fd={}", ready.as_raw_fd()))
            .arg(format!("/proc/self/fd/{}", namespace.as_raw_fd()))
            .arg(INTERFACE)
            .current_dir("/")
            // What ends the keeper's group is not meant for all networks.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said.try_clone()?);
        let mut child = command.spawn().doing(|| format!("cannot start {}", self.0.display()))?;
        // How it ends is nobody's concern, but that it has.
        thread::Builder::new().name("way out".into()).spawn(move || child.wait())?;
        Ok(said)
    }
}

fn last_line(mut said: File) -> String {
    let mut text = String::new();
    // What cannot be read is not there.
    let _ = said.rewind().and_then(|()| said.take(MOST).read_to_string(&mut text));
    text.lines().last().unwrap_or_default().to_owned()
}

/// What is missing for a way out, in words; nothing if nothing is.
pub(crate) fn missing() -> Option<String> {
    if program().is_none() {
        return Some(format!("{PROGRAM} is not installed"));
    }
    let device = std::fs::File::options().read(true).write(true).open(DEVICE);
    device.err().map(|error| format!("{DEVICE} cannot be opened: {error}"))
}

fn program() -> Option<PathBuf> {
    search_path().into_iter().map(|dir| dir.join(PROGRAM)).find(|path| path.is_file())
}
