//! Holding all processes of a container still, and letting them go on.
//!
//! The freezer of control groups, version 2, does it where there is one: processes do not notice,
//! and can still be killed. Version 1's keeps a process from being killed, so that a keeper that
//! dies would leave its container behind; where that is all there is, and where no group can be
//! made, each process is stopped by SIGSTOP.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cgroup::Groups;
use crate::error::Error;
use crate::inmates::Inmates;

/// How long the kernel may take to hold a group still; a process that waits for a disk comes later.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often processes are looked for that were started while others were stopped.
const ROUNDS: usize = 100;

/// Holds the processes of one container still, as often as that is wanted. Dropped, it forgets
/// them as they are; to be kept until they have ended.
#[derive(Debug, Default)]
pub struct Freezer {
    /// A group that was made for this.
    made: Option<Groups>,
    held: Option<Held>,
}

/// How processes are held still.
#[derive(Debug)]
enum Held {
    /// By their group.
    Group(PathBuf),
    /// One by one.
    Stopped,
}

impl Freezer {
    /// Whether they are held still.
    pub fn is_frozen(&self) -> bool {
        self.held.is_some()
    }

    /// Holds the container still whose processes are `of`; `groups` are those made for its limits.
    ///
    /// # Errors
    /// When its processes cannot be found, stopped, or frozen.
    pub fn freeze(&mut self, of: &Inmates, groups: &[PathBuf]) -> Result<(), Error> {
        if self.held.is_some() {
            return Ok(());
        }
        let held = match self.group(groups) {
            Some(group) => match freeze_group(&group, of) {
                Ok(()) => Held::Group(group),
                // Others than us may rule over groups here.
                Err(_) => stop_all(of)?,
            },
            None => stop_all(of)?,
        };
        self.held = Some(held);
        Ok(())
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn thaw(&mut self, of: &Inmates) -> Result<(), Error> {
        match self.held.take() {
            None => Ok(()),
            Some(Held::Group(group)) => {
                let file = group.join("cgroup.freeze");
                fs::write(&file, "0")
                    .map_err(|error| Error::setup(format!("write {}", file.display()), error))
            }
            Some(Held::Stopped) => {
                for pid in found(of)? {
                    send(pid, Signal::CONT);
                }
                Ok(())
            }
        }
    }

    /// The group to freeze: one of the container's own, or one made for it.
    fn group(&mut self, groups: &[PathBuf]) -> Option<PathBuf> {
        if let Some(group) = groups.iter().find(|group| group.join("cgroup.freeze").exists()) {
            return Some(group.clone());
        }
        if self.made.is_none() {
            self.made = Groups::unified().ok().flatten();
        }
        self.made.as_ref()?.directories().first().cloned()
    }
}

/// Moves what is not in the group yet into it, and freezes it.
fn freeze_group(group: &Path, of: &Inmates) -> io::Result<()> {
    let members = group.join("cgroup.procs");
    for _ in 0..ROUNDS {
        let inside: HashSet<i32> =
            fs::read_to_string(&members)?.lines().filter_map(|line| line.parse().ok()).collect();
        let outside: Vec<i32> = of.all()?.into_iter().filter(|pid| !inside.contains(pid)).collect();
        if outside.is_empty() {
            break;
        }
        for pid in outside {
            match fs::write(&members, pid.to_string()) {
                // It has ended.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                result => result?,
            }
        }
    }
    fs::write(group.join("cgroup.freeze"), "1")?;
    let end = Instant::now() + PATIENCE;
    while !is_frozen(group)? && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn is_frozen(group: &Path) -> io::Result<bool> {
    let events = fs::read_to_string(group.join("cgroup.events"))?;
    Ok(events.lines().any(|line| line == "frozen 1"))
}

/// Stops one after the other until none is left that was started meanwhile.
fn stop_all(of: &Inmates) -> Result<Held, Error> {
    let mut stopped = HashSet::new();
    for _ in 0..ROUNDS {
        let new: Vec<i32> = found(of)?.into_iter().filter(|pid| stopped.insert(*pid)).collect();
        if new.is_empty() {
            break;
        }
        new.into_iter().for_each(|pid| send(pid, Signal::STOP));
    }
    Ok(Held::Stopped)
}

fn found(of: &Inmates) -> Result<Vec<i32>, Error> {
    match of.all() {
        // It has just ended.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        all => all.map_err(|error| Error::setup("find the processes of the container", error)),
    }
}

fn send(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended.
        let _ = kill_process(pid, signal);
    }
}
