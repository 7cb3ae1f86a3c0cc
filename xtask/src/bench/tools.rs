//! The tools that are compared, and how each is told to do the same.

mod buildah;
mod docker;
mod docker_registry;
mod podman;
mod skopeo;
mod tierce;

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use tierce::Tierce;

use super::arena::Arena;
use super::daemon::Daemons;
use crate::step::{Result, output, typed};

/// What a tool is asked to do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Task<'a> {
    /// Get an image from a registry, unpacked.
    Pull { image: &'a str },
    /// Put an image into a registry.
    Push { image: &'a str },
    /// Build a folder's Dockerfile.
    Build { context: &'a Path, tag: &'a str, cache: bool },
    /// Run a shell's script in a new container that then goes; no network.
    Run { image: &'a str, script: &'a [&'a str] },
    /// The same in a container that stays.
    Keep { image: &'a str, name: &'a str, script: &'a [&'a str] },
    /// Tell what a container changed.
    Diff { name: &'a str },
    /// Make an image of what a container changed.
    Commit { name: &'a str, image: &'a str },
    /// Remove a container.
    Forget { name: &'a str },
    /// Remove an image.
    Remove { image: &'a str },
    /// Give an image another name.
    Name { image: &'a str, name: &'a str },
    /// Remove the layers of removed images, where that is a step of its own.
    Prune,
    /// Have an image ready with its layers not compressed.
    Prepare { from: &'a str },
    /// Forget everything.
    Clear,
}

/// A tool.
pub(crate) trait Tool {
    /// Its name in the tables.
    fn name(&self) -> &'static str;

    /// What it says it is.
    fn version(&self) -> &str;

    /// The commands of a task; `None` if that is not what the tool does.
    fn commands(&self, task: &Task) -> Option<Vec<Command>>;

    /// What works for it behind its commands.
    fn daemons(&self) -> Daemons {
        Daemons::default()
    }

    /// Whether a layer that was compressed for one push is kept for the next.
    fn keeps_compressed_layers(&self) -> bool {
        false
    }
}

/// Does a task, unmeasured.
pub(crate) fn perform(tool: &dyn Tool, task: &Task) -> Result<String> {
    let commands =
        tool.commands(task).ok_or_else(|| format!("{} has nothing for {task:?}", tool.name()))?;
    let mut said = String::new();
    for mut command in commands {
        let result = command
            .stdin(std::process::Stdio::null())
            .output()
            .map_err(|e| format!("cannot run `{}`: {e}", typed(&command)))?;
        if !result.status.success() {
            let errors = String::from_utf8_lossy(&result.stderr);
            return Err(format!("`{}` failed: {}", typed(&command), errors.trim()));
        }
        said.push_str(&String::from_utf8_lossy(&result.stdout));
    }
    Ok(said)
}

/// How the peers' programs are reached.
pub(crate) struct Peers {
    via: Vec<String>,
    scratch: PathBuf,
}

impl Peers {
    /// A peer's program behind the prefix; what it writes on its way is in memory too.
    fn program(&self, name: &str) -> Command {
        let mut words = self.via.iter().map(String::as_str).chain([name]);
        let mut command = Command::new(words.next().unwrap_or(name));
        command.args(words).env("TMPDIR", &self.scratch);
        command
    }

    /// A shell's lines, in the same surroundings.
    fn shell(&self, lines: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-ec", lines]).env("TMPDIR", &self.scratch);
        command
    }

    /// The version that a program tells, if it is there.
    fn version(&self, name: &str, args: &[&str]) -> Result<String> {
        let said = output(self.program(name).args(args).stderr(std::process::Stdio::null()))?;
        Ok(said
            .split(|c: char| c.is_whitespace() || c == ',')
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
            .unwrap_or("of an unknown version")
            .to_owned())
    }
}

/// A peer, or why it takes no part.
pub(crate) type Found = (&'static str, Result<Box<dyn Tool>>);

/// All peers.
pub(crate) fn peers(via: &[String], arena: &Arena) -> Result<Vec<Found>> {
    let via: Vec<String> = via.to_vec();
    let scratch = arena.folder("peers/tmp")?;
    let reach = || Peers { via: via.clone(), scratch: scratch.clone() };
    Ok(vec![
        ("docker", docker::find(reach())),
        ("buildah", buildah::find(reach(), arena)),
        ("podman", podman::find(reach(), arena)),
        ("skopeo+umoci", skopeo::find(reach(), arena)),
        ("docker-registry", docker_registry::find()),
    ])
}
