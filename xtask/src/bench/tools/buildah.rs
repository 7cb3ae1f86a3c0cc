//! buildah, with a store of its own.

use std::path::PathBuf;
use std::process::Command;

use super::{Peers, Task, Tool};
use crate::bench::arena::Arena;
use crate::step::{Result, typed};

struct Buildah {
    peers: Peers,
    version: String,
    root: PathBuf,
    runroot: PathBuf,
}

/// Looks for buildah.
pub(crate) fn find(peers: Peers, arena: &Arena) -> Result<Box<dyn Tool>> {
    let version = peers.version("buildah", &["--version"])?;
    let root = arena.folder("peers/buildah")?;
    let runroot = arena.folder("peers/buildah-run")?;
    Ok(Box::new(Buildah { peers, version, root, runroot }))
}

impl Buildah {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.peers.program("buildah");
        command.arg("--root").arg(&self.root).arg("--runroot").arg(&self.runroot);
        command.args(["--storage-driver", "overlay"]).args(words);
        command
    }
}

impl Tool for Buildah {
    fn name(&self) -> &'static str {
        "buildah"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn commands(&self, task: &Task) -> Option<Vec<Command>> {
        let one = |words: &[&str]| Some(vec![self.command(words)]);
        match task {
            Task::Pull { image } => one(&["pull", "-q", "--tls-verify=false", image]),
            Task::Push { image } => one(&["push", "-q", "--tls-verify=false", image]),
            // With layers kept, as the others keep theirs, and stages side by side.
            Task::Build { context, tag, cache } => {
                let mut build = self.command(&["build", "-q", "--layers", "--jobs", "4"]);
                build.args(["--network", "host", "-t", tag]);
                build.args((!cache).then_some("--no-cache")).arg(context);
                Some(vec![build])
            }
            Task::Run { image, script } => {
                let name = "tierce-bench-run";
                let from = self.command(&["from", "--pull-never", "--name", name, image]);
                let mut run = self.command(&["run", name, "--"]);
                run.args(*script);
                let rm = self.command(&["rm", name]);
                // The names that the first and the last print are nothing that ran.
                let lines = format!("{} >&2; {}; {} >&2", typed(&from), typed(&run), typed(&rm));
                Some(vec![self.peers.shell(&lines)])
            }
            Task::Name { image, name } => one(&["tag", image, name]),
            Task::Prune => Some(Vec::new()),
            Task::Remove { image } => one(&["rmi", "-f", image]),
            Task::Clear => Some(vec![
                self.command(&["rm", "-a"]),
                self.command(&["rmi", "-af"]),
                self.command(&["prune", "-af"]),
            ]),
            // Its working containers are not what the others call containers.
            Task::Keep { .. }
            | Task::Diff { .. }
            | Task::Commit { .. }
            | Task::Forget { .. }
            | Task::Prepare { .. } => None,
        }
    }
}
