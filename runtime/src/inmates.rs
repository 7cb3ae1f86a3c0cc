//! The processes of a container that runs, as the machine numbers them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::confinement::Confinement;
use crate::process_stat::ProcessStat;

/// The processes of a container that runs.
#[derive(Debug, Clone)]
pub struct Inmates {
    /// Its first process.
    pub init: i32,
    /// What it is confined to, if it has no namespaces.
    pub confinement: Option<Arc<Confinement>>,
}

impl Inmates {
    /// Their ids.
    ///
    /// # Errors
    /// When the first process has gone, or may not be looked at by this user.
    pub fn all(&self) -> io::Result<Vec<i32>> {
        let guests = self.confinement.as_ref().map(|confinement| confinement.processes());
        processes(self.init, &guests.unwrap_or_default())
    }
}

/// The ids of all processes of the container whose first process is `init`: those in its process
/// namespace, and whatever they started, in namespaces further down too; and of those who have
/// joined one that has no such namespace. In ascending order.
fn processes(init: i32, guests: &[i32]) -> io::Result<Vec<i32>> {
    let namespace = namespace(init)?;
    // One that has no process namespace of its own has what its first process started.
    let is_ours = self::namespace_of_self()? == namespace;
    let mut inside: HashSet<i32> = guests.iter().copied().chain([init]).collect();
    let mut outside = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        match self::namespace(pid) {
            Ok(found) if found == namespace && !is_ours => drop(inside.insert(pid)),
            // It may have gone meanwhile.
            _ => outside.extend(ProcessStat::of(pid).map(|stat| (pid, stat.parent()))),
        }
    }
    // A child may be listed before its parent.
    loop {
        let before = outside.len();
        outside.retain(|(pid, parent)| !(inside.contains(parent) && inside.insert(*pid)));
        if outside.len() == before {
            break;
        }
    }
    let mut all: Vec<i32> = inside.into_iter().collect();
    all.sort_unstable();
    Ok(all)
}

fn namespace_of_self() -> io::Result<PathBuf> {
    fs::read_link("/proc/self/ns/pid")
}

fn namespace(pid: i32) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_namespace_of_its_own_it_has_what_its_first_process_started() {
        let own = i32::try_from(std::process::id()).unwrap();
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let below = i32::try_from(child.id()).unwrap();
        let all = processes(own, &[]).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let parent = i32::try_from(std::os::unix::process::parent_id()).unwrap();
        assert!(all.contains(&own) && all.contains(&below) && !all.contains(&parent), "{all:?}");
    }

    #[test]
    fn a_process_that_is_not_there_has_no_container() {
        assert!(processes(i32::MAX, &[]).is_err());
    }
}
