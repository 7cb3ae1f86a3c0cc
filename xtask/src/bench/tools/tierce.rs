//! Tierce itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Task, Tool};
use crate::step::{Result, output};

/// A program and its store.
pub(crate) struct Tierce {
    binary: PathBuf,
    root: PathBuf,
    version: String,
}

impl Tierce {
    /// The program at a path, with a store.
    pub(crate) fn new(binary: &Path, root: PathBuf) -> Result<Self> {
        let version = output(Command::new(binary).arg("--version"))?;
        let version = version.split_whitespace().nth(1).unwrap_or_default().to_owned();
        Ok(Tierce { binary: binary.to_owned(), root, version })
    }

    /// The program.
    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// A command on the store.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--root").arg(&self.root).args(words);
        command
    }
}

impl Tool for Tierce {
    fn name(&self) -> &'static str {
        "tierce"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn keeps_compressed_layers(&self) -> bool {
        true
    }

    fn commands(&self, task: &Task) -> Option<Vec<Command>> {
        let one = |words: &[&str]| Some(vec![self.command(words)]);
        match task {
            Task::Pull { image } => one(&["pull", "-q", image]),
            Task::Push { image } => one(&["push", "-q", image]),
            Task::Build { context, tag, cache } => {
                let mut build = self.command(&["build", "-q", "-t", tag]);
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
            Task::Commit { name, image } => one(&["commit", name, image]),
            Task::Forget { name } => one(&["rm", "-f", name]),
            Task::Name { image, name } => one(&["tag", image, name]),
            Task::Remove { image } => one(&["rmi", image]),
            Task::Prune => one(&["prune", "--force"]),
            Task::Prepare { .. } => None,
            // Nothing of it runs between commands: a store is a folder.
            Task::Clear => {
                let mut remove = Command::new("rm");
                remove.arg("-rf").arg(&self.root);
                Some(vec![remove])
            }
        }
    }
}
