//! Other limits for a container that runs.

use std::fs;
use std::path::{Path, PathBuf};

use super::hierarchy::{Hierarchies, Hierarchy};
use super::limits::{Limits, Setting, settings};
use super::{Groups, set, unavailable};
use crate::error::Error;
use crate::inmates::Inmates;

/// How often it is looked for processes that have been started meanwhile.
const ROUNDS: usize = 20;

/// Groups that a container has got while it ran. Dropped, they are removed.
#[derive(Debug)]
pub struct LaterGroups(Groups);

impl LaterGroups {
    /// Where they are.
    pub fn directories(&self) -> &[PathBuf] {
        self.0.directories()
    }
}

/// Has a container that runs keep these limits besides what it keeps already. `groups` are all
/// that it has; where none of them can keep a limit, it gets another.
///
/// # Errors
/// When a limit cannot be kept here, or not by what runs already; some may be kept by then.
pub fn change_limits(
    limits: &Limits,
    groups: &[PathBuf],
    inmates: &Inmates,
) -> Result<Option<LaterGroups>, Error> {
    let hierarchies = Hierarchies::of_this_process()
        .map_err(|error| Error::setup("find out about control groups", error))?;
    let (mut later, mut refused) = (Vec::new(), Vec::new());
    for setting in settings(limits) {
        let hierarchy = hierarchies.keeping(&setting)?;
        match groups.iter().find(|group| hierarchy.holds(group)) {
            None => later.push(setting),
            Some(group) => {
                if set(group, &setting, hierarchy.is_unified()).is_err() {
                    refused.push((group, hierarchy, setting));
                }
            }
        }
    }
    // Memory may not be more than memory and swap together: which of the two can be written first
    // depends on what was there.
    for (group, hierarchy, setting) in refused {
        set(group, &setting, hierarchy.is_unified())?;
    }
    move_into(&later, inmates)
}

/// Makes groups for settings, and moves all processes of a container there.
fn move_into(settings: &[Setting], inmates: &Inmates) -> Result<Option<LaterGroups>, Error> {
    let Some(groups) = Groups::keeping(settings)? else { return Ok(None) };
    let cannot = |error| Error::setup("find the processes of the container", error);
    let mut moved = Vec::new();
    for _ in 0..ROUNDS {
        let left: Vec<i32> = inmates.all().map_err(cannot)?;
        let left: Vec<i32> = left.into_iter().filter(|pid| !moved.contains(pid)).collect();
        if left.is_empty() {
            break;
        }
        for directory in groups.directories() {
            left.iter().try_for_each(|pid| enter(directory, *pid, &settings[0]))?;
        }
        moved.extend(left);
    }
    Ok(Some(LaterGroups(groups)))
}

fn enter(directory: &Path, pid: i32, setting: &Setting) -> Result<(), Error> {
    match fs::write(directory.join("cgroup.procs"), pid.to_string()) {
        // It has ended meanwhile.
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        result => result.map_err(|error| unavailable(setting, error.to_string())),
    }
}

impl Hierarchy {
    fn holds(&self, group: &Path) -> bool {
        group.starts_with(self.mount())
    }
}
