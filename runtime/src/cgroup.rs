//! Control groups: how much a container may use, of versions 1, 2, or some of each (cgroups(7)).
//!
//! A container with limits gets a group of its own in each hierarchy that keeps one of them. The
//! new process moves itself there before it does anything else; the groups are removed when it has
//! ended. What a killed program left is removed by the next one that makes groups beside it.

mod change;
mod hierarchy;
mod limits;

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::Error;
use hierarchy::{Hierarchies, Hierarchy};
use limits::{Files, Setting, settings};

pub use change::{LaterGroups, change_limits};
pub use limits::{CpuSet, DiskLimit, DiskRate, Limits};

/// What the names of our groups begin with; the maker's process id and a number follow.
const PREFIX: &str = "tierce-";

static MADE: AtomicU32 = AtomicU32::new(0);

fn new_name() -> String {
    format!("{PREFIX}{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed))
}

/// The groups of one container. Dropped, they are removed, if nothing is left in them.
#[derive(Debug)]
pub(crate) struct Groups {
    directories: Vec<PathBuf>,
    joins: Vec<OwnedFd>,
}

impl Groups {
    /// Makes groups that keep the limits; none where there are no limits.
    pub(crate) fn with(limits: &Limits) -> Result<Option<Groups>, Error> {
        Groups::keeping(&settings(limits))
    }

    /// Makes groups that keep settings; none where there are no settings.
    fn keeping(settings: &[Setting]) -> Result<Option<Groups>, Error> {
        if settings.is_empty() {
            return Ok(None);
        }
        let hierarchies = Hierarchies::of_this_process()
            .map_err(|error| Error::setup("find out about control groups", error))?;
        let name = new_name();
        let mut groups = Groups { directories: Vec::new(), joins: Vec::new() };
        for setting in settings {
            let hierarchy = hierarchies.keeping(setting)?;
            let controller = setting.controller_of(hierarchy.is_unified());
            let directory = groups.in_hierarchy(hierarchy, controller, &name);
            let directory = directory.map_err(|error| unavailable(setting, error.to_string()))?;
            set(&directory, setting, hierarchy.is_unified())?;
        }
        for directory in &groups.directories {
            groups.joins.push(entrance(directory)?);
        }
        Ok(Some(groups))
    }

    /// Makes a group of version 2 below our own that limits nothing; none where there is no such
    /// hierarchy.
    pub(crate) fn unified() -> io::Result<Option<Groups>> {
        let hierarchies = Hierarchies::of_this_process()?;
        let Some(parent) = hierarchies.unified().map(Hierarchy::own) else { return Ok(None) };
        sweep(parent);
        let directory = parent.join(new_name());
        fs::create_dir(&directory)?;
        Ok(Some(Groups { directories: vec![directory], joins: Vec::new() }))
    }

    /// Where the groups are.
    pub(crate) fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Descriptors that move whoever writes `0` to them into the groups. Given once.
    pub(crate) fn joins(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.joins)
    }

    /// The group in one hierarchy, made if it is not there.
    fn in_hierarchy(
        &mut self,
        hierarchy: &Hierarchy,
        controller: &str,
        name: &str,
    ) -> io::Result<PathBuf> {
        let mut refusal = io::Error::from(io::ErrorKind::NotFound);
        for parent in hierarchy.parents() {
            let directory = parent.join(name);
            if self.directories.contains(&directory) {
                return Ok(directory);
            }
            sweep(&parent);
            match hierarchy.make(&parent, controller, name) {
                Ok(()) => {
                    self.directories.push(directory.clone());
                    return Ok(directory);
                }
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for directory in self.directories.drain(..) {
            remove(&directory);
        }
    }
}

/// A hierarchy of version 1, as it is mounted on the machine.
#[derive(Debug)]
pub(crate) struct Legacy {
    /// The name of the directory that it is mounted on.
    pub(crate) name: String,
    /// Its controllers, or `name=` with its name.
    pub(crate) options: Vec<String>,
}

/// Those of a machine whose controllers are in hierarchies of version 1; none where there is one
/// hierarchy of version 2 in their place.
pub(crate) fn legacy() -> io::Result<Vec<Legacy>> {
    let place = rustix::fs::statfs("/sys/fs/cgroup")?;
    if place.f_type == libc::CGROUP2_SUPER_MAGIC {
        return Ok(Vec::new());
    }
    let hierarchies = Hierarchies::of_this_process()?;
    let one = |hierarchy: &Hierarchy| {
        let name = hierarchy.mount().file_name()?.to_str()?.to_owned();
        let options: Vec<String> = hierarchy.options().map(str::to_owned).collect();
        (!options.is_empty()).then_some(Legacy { name, options })
    };
    Ok(hierarchies.legacy().filter_map(one).collect())
}

/// What moves whoever writes `0` to it into a group.
pub(crate) fn entrance(directory: &Path) -> Result<OwnedFd, Error> {
    let file = File::options().write(true).open(directory.join("cgroup.procs"));
    Ok(file.map_err(|e| failed("open", directory, e))?.into())
}

/// How often a group is asked to go whose last process is just ending.
const PATIENCE: usize = 50;

fn remove(directory: &Path) {
    for _ in 0..PATIENCE {
        match fs::remove_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(directory = %directory.display(), %error, "a group is left");
                return;
            }
            _ => return,
        }
    }
}

/// Removes groups whose makers are gone. One that is in use stays: the kernel refuses.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let maker = maker.and_then(|rest| rest.split_once('-')).map(|(maker, _)| maker);
        if maker.is_some_and(|maker| !Path::new("/proc").join(maker).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// A limit that cannot be kept.
fn unavailable(setting: &Setting, reason: String) -> Error {
    Error::NoController { limit: setting.limit, controller: setting.controller, reason }
}

impl Hierarchies {
    /// The hierarchy that can keep a setting.
    fn keeping(&self, setting: &Setting) -> Result<&Hierarchy, Error> {
        let found = [false, true].into_iter().find_map(|unified| {
            let found = self.with(setting.controller_of(unified));
            found.filter(|hierarchy| hierarchy.is_unified() == unified)
        });
        match found {
            None => Err(unavailable(setting, "this machine has none".into())),
            Some(hierarchy) if hierarchy.is_unified() && setting.unified.is_empty() => {
                Err(unavailable(setting, "version 2 of control groups knows no such limit".into()))
            }
            Some(hierarchy) => Ok(hierarchy),
        }
    }
}

fn set(directory: &Path, setting: &Setting, unified: bool) -> Result<(), Error> {
    let values = if unified { &setting.unified } else { &setting.legacy };
    for (at, (file, value)) in values.iter().enumerate() {
        let path = directory.join(file);
        let written = match value {
            Some(value) => fs::write(&path, value),
            // A set of processors begins empty in version 1, and nobody may join that.
            None => inherit(directory, file),
        };
        match written {
            // In a directory of the kernel's, a file that is not there may not be made.
            Err(_) if setting.files != Files::All && !path.exists() => {
                if setting.files == Files::First && at + 1 == values.len() {
                    return Err(unavailable(setting, "the kernel of this machine has none".into()));
                }
            }
            result => {
                result.map_err(|error| failed("write", &path, error))?;
                if setting.files == Files::First {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn inherit(directory: &Path, file: &str) -> io::Result<()> {
    let parent = directory.parent().unwrap_or(directory);
    fs::write(directory.join(file), fs::read(parent.join(file))?)
}

fn failed(operation: &str, path: &Path, error: io::Error) -> Error {
    Error::setup(format!("{operation} {}", path.display()), error)
}
