//! Where the bridges are: with the machine's interfaces, or, of an ordinary user, in a network
//! namespace that is held by the keepers of the containers on them. With the last of those, and
//! however they end, the kernel takes it away, with all that is in it.
//!
//! Each who holds it notes below the networks where he has it: who comes later takes it from him.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use layerfs::ProcessId;
use runtime::network::{in_namespace, new_namespace};
use serde::{Deserialize, Serialize};

use super::way_out::WayOut;
use crate::error::{Doing, Failure};

/// The directory for the notes of those who hold it.
const HOLDERS: &str = ".holders";

/// Where the bridges are.
pub(crate) enum Switchboard {
    /// With the machine's.
    Machines,
    /// In a namespace.
    Own(Held),
    /// There are none: nobody holds a namespace for them.
    Nowhere,
}

/// A namespace, and what ends the program that leads out of it when nobody has it open any more.
pub(crate) struct Held {
    namespace: OwnedFd,
    way_out: Option<OwnedFd>,
}

/// The note of one who holds it. Dropped, it goes.
pub(crate) struct Holder {
    _held: Held,
    note: PathBuf,
}

/// What such a note says.
#[derive(Serialize, Deserialize)]
struct Note {
    process: ProcessId,
    namespace: i32,
    way_out: Option<i32>,
}

impl Switchboard {
    /// Finds it; `dir` is that of the networks, which must be locked.
    pub(super) fn find(dir: &Path, in_first_user_namespace: bool) -> Result<Switchboard, Failure> {
        if in_first_user_namespace {
            return Ok(Switchboard::Machines);
        }
        let holders = dir.join(HOLDERS);
        fs::create_dir_all(&holders).doing(|| format!("cannot make {}", holders.display()))?;
        for entry in fs::read_dir(&holders)? {
            let path = entry?.path();
            match read(&path) {
                Some(held) => return Ok(Switchboard::Own(held)),
                // Its keeper was killed.
                None => fs::remove_file(&path)?,
            }
        }
        Ok(Switchboard::Nowhere)
    }

    /// Makes it, if it is nowhere, with the way out that there is.
    pub(super) fn ensure(&mut self) -> Result<(), Failure> {
        if let Switchboard::Nowhere = self {
            let namespace = new_namespace()?;
            let way_out = WayOut::find().and_then(|found| match found.open(namespace.as_fd()) {
                Ok(stop) => Some(stop),
                Err(failure) => {
                    tracing::warn!(%failure, "the networks have no way out");
                    None
                }
            });
            *self = Switchboard::Own(Held { namespace, way_out });
        }
        Ok(())
    }

    /// Notes that this process holds it, as long as what this gives is there; nothing where it is
    /// the machine's.
    pub(super) fn hold(&self, dir: &Path) -> Result<Option<Holder>, Failure> {
        let Switchboard::Own(held) = self else { return Ok(None) };
        let held = held.try_clone()?;
        let process = ProcessId::of(std::process::id())
            .ok_or_else(|| Failure::new("cannot read /proc/self/stat"))?;
        let note = Note {
            process,
            namespace: held.namespace.as_raw_fd(),
            way_out: held.way_out.as_ref().map(AsRawFd::as_raw_fd),
        };
        let path = dir.join(HOLDERS).join(format!("{}-{}", process.pid, note.namespace));
        fs::write(&path, serde_json::to_vec(&note)?)
            .doing(|| format!("cannot write {}", path.display()))?;
        Ok(Some(Holder { _held: held, note: path }))
    }

    /// Does something where the bridges are; nothing, if they are nowhere.
    pub(super) fn act<T: Send>(
        &self,
        act: impl FnOnce() -> Result<T, runtime::Error> + Send,
    ) -> Result<Option<T>, Failure> {
        match self {
            Switchboard::Machines => Ok(Some(act()?)),
            Switchboard::Nowhere => Ok(None),
            Switchboard::Own(held) => {
                Ok(Some(in_namespace(held.namespace.as_fd(), || Ok(act()))??))
            }
        }
    }
}

impl Held {
    fn try_clone(&self) -> io::Result<Held> {
        let way_out = self.way_out.as_ref().map(OwnedFd::try_clone).transpose()?;
        Ok(Held { namespace: self.namespace.try_clone()?, way_out })
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // One who was faster has swept it.
        let _ = fs::remove_file(&self.note);
    }
}

/// What a note leads to; nothing if its process is gone.
fn read(path: &Path) -> Option<Held> {
    let note: Note = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let open = |number: i32, write: bool| {
        let path = format!("/proc/{}/fd/{number}", note.process.pid);
        File::options().read(!write).write(write).open(path).map(OwnedFd::from).ok()
    };
    let namespace = open(note.namespace, false)?;
    let way_out = note.way_out.and_then(|number| open(number, true));
    // The number may have been another process's by then.
    let is_there = ProcessId::of(note.process.pid) == Some(note.process);
    is_there.then_some(Held { namespace, way_out })
}
