//! The user namespace of an ordinary user's store: all commands and keepers that work there at one
//! time share one, so that containers can be connected with each other, and their files be reached.
//!
//! A file of the store names the processes that are in it. It lasts as long as one of them does.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use layerfs::ProcessId;
use rustix::fs::{FlockOperation, flock};

/// The file, one process a line: its number and when it started.
const FILE: &str = "members";
/// The most that is read of it, in bytes.
const MOST: u64 = 1 << 20;

/// The file, locked.
pub(crate) struct Members {
    file: File,
    alive: Vec<ProcessId>,
}

impl Members {
    /// Waits for the file of a store, and reads it.
    pub(crate) fn lock(root: &Path) -> io::Result<Members> {
        if !fs::exists(root)? {
            DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        }
        let path = root.join(FILE);
        let mut file = File::options().create(true).append(true).read(true).open(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        let mut text = String::new();
        file.rewind()?;
        Read::by_ref(&mut file).take(MOST).read_to_string(&mut text)?;
        let alive =
            text.lines().filter_map(read).filter(|one| ProcessId::of(one.pid) == Some(*one));
        Ok(Members { alive: alive.collect(), file })
    }

    /// The processes that are in the namespace.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.alive.iter().map(|process| process.pid).collect()
    }

    /// Adds this process, and lets the next one have the file.
    pub(crate) fn add_self(mut self) -> io::Result<()> {
        self.alive.extend(ProcessId::of(std::process::id()));
        let text: String =
            self.alive.iter().map(|one| format!("{} {}\n", one.pid, one.start)).collect();
        self.file.set_len(0)?;
        self.file.write_all(text.as_bytes())
    }
}

fn read(line: &str) -> Option<ProcessId> {
    let (pid, start) = line.split_once(' ')?;
    Some(ProcessId { pid: pid.parse().ok()?, start: start.parse().ok()? })
}
