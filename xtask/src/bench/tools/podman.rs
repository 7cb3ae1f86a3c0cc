//! podman, with a store of its own.

use std::path::PathBuf;
use std::process::Command;

use super::{Peers, Task, Tool};
use crate::bench::arena::Arena;
use crate::step::Result;

struct Podman {
    peers: Peers,
    version: String,
    root: PathBuf,
    runroot: PathBuf,
}

/// Looks for podman.
pub(crate) fn find(peers: Peers, arena: &Arena) -> Result<Box<dyn Tool>> {
    let version = peers.version("podman", &["--version"])?;
    let root = arena.folder("peers/podman")?;
    let runroot = arena.folder("peers/podman-run")?;
    Ok(Box::new(Podman { peers, version, root, runroot }))
}

impl Podman {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.peers.program("podman");
        command.arg("--root").arg(&self.root).arg("--runroot").arg(&self.runroot);
        command.args(["--storage-driver", "overlay"]).args(words);
        command
    }
}

impl Tool for Podman {
    fn name(&self) -> &'static str {
        "podman"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn commands(&self, task: &Task) -> Option<Vec<Command>> {
        let one = |words: &[&str]| Some(vec![self.command(words)]);
        match task {
            Task::Pull { image } => one(&["pull", "-q", "--tls-verify=false", image]),
            Task::Push { image } => one(&["push", "-q", "--tls-verify=false", image]),
            // `podman build` is buildah, which stands for itself, but has to fill this store.
            Task::Build { context, tag, cache } => {
                let mut build = self.command(&["build", "-q", "--network", "host", "-t", tag]);
                build.args((!cache).then_some("--no-cache")).arg(context);
                Some(vec![build])
            }
            Task::Run { image, script } => {
                let mut run = self.command(&["run", "--rm", "--network", "none", image]);
                run.args(*script);
                Some(vec![run])
            }
            Task::Keep { image, name, script } => {
                let mut run = self.command(&["run", "--network", "none", "--name", name, image]);
                run.args(*script);
                Some(vec![run])
            }
            Task::Diff { name } => one(&["diff", name]),
            Task::Commit { name, image } => one(&["commit", "-q", name, image]),
            Task::Forget { name } => one(&["rm", "-f", name]),
            Task::Name { image, name } => one(&["tag", image, name]),
            Task::Prune => Some(Vec::new()),
            Task::Remove { image } => one(&["rmi", "-f", image]),
            Task::Prepare { .. } => None,
            Task::Clear => Some(vec![self.command(&["rm", "-af"]), self.command(&["rmi", "-af"])]),
        }
    }
}
