//! Those who build a case, each by its own commands.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use testutil::Case;

use super::image::Image;
use super::options::Peer;
use crate::step::{Result, typed};

/// The name of the base image in every store.
pub(crate) const BASE: &str = "busybox";

/// The name of what is built: that of this run alone, in stores that others use, too.
fn tag() -> String {
    format!("tierce-compare:{}", std::process::id())
}

/// How long a peer may take for a case, in seconds: one that never ends refuses it, too.
const LIMIT: &str = "120";

/// Who builds.
#[derive(Debug, Clone)]
pub(crate) enum Builder {
    /// The binary, and its store.
    Tierce(PathBuf, PathBuf),
    /// A peer, and the words before its command.
    Peer(Peer, Vec<String>),
}

impl Builder {
    /// A command of this builder.
    fn command(&self, words: &[&str]) -> Command {
        match self {
            Builder::Tierce(binary, root) => {
                let mut command = Command::new(binary);
                command.arg("--root").arg(root).args(words);
                command
            }
            Builder::Peer(peer, via) => {
                let name = match peer {
                    Peer::Docker => "docker",
                    Peer::Buildah => "buildah",
                };
                let mut command = Command::new("timeout");
                command.arg(LIMIT).args(via).arg(name).args(words).env("DOCKER_BUILDKIT", "1");
                command
            }
        }
    }

    /// Takes the base image from an archive.
    pub(crate) fn load(&self, archive: &Path) -> Result<()> {
        let mut command = match self {
            Builder::Peer(Peer::Buildah, _) => {
                let mut command = self.command(&["pull", "-q"]);
                let mut source = OsString::from("docker-archive:");
                source.push(archive);
                command.arg(source);
                command
            }
            _ => {
                let mut command = self.command(&["load", "-q", "-i"]);
                command.arg(archive);
                command
            }
        };
        quietly(&mut command)
    }

    /// Builds the base image of `context`.
    pub(crate) fn build_base(&self, context: &Path) -> Result<()> {
        let mut command = self.command(&["build", "-q", "-t", BASE]);
        quietly(command.arg(context))
    }

    /// Builds a case whose context stands in `context`, with files of its own in `scratch`. The
    /// answer's inner error is the builder's refusal.
    pub(crate) fn build(
        &self,
        case: &Case,
        context: &Path,
        scratch: &Path,
    ) -> Result<std::result::Result<Image, String>> {
        let words: &[&str] = match self {
            Builder::Peer(Peer::Buildah, _) => &["build", "--no-cache", "--format", "docker"],
            _ => &["build", "--no-cache", "--progress", "plain"],
        };
        let mut command = self.command(words);
        command.args(["-t", &tag(), "-f"]).arg(case.dir.join("Dockerfile"));
        let request = &case.expected.request;
        for (name, value) in &request.args {
            command.arg("--build-arg").arg(format!("{name}={value}"));
        }
        for (name, value) in &request.labels {
            command.arg("--label").arg(format!("{name}={value}"));
        }
        for (number, (id, content)) in request.secrets.iter().enumerate() {
            let file = scratch.join(format!("secret-{number}"));
            std::fs::write(&file, content).map_err(|e| format!("{}: {e}", file.display()))?;
            command.arg("--secret").arg(format!("id={id},src={}", file.display()));
        }
        if let Some(target) = &request.target {
            command.args(["--target", target]);
        }
        if !matches!(self, Builder::Peer(Peer::Buildah, _)) {
            for what in &request.allow {
                command.args(["--allow", what]);
            }
        }
        let line = typed(&command);
        let output =
            command.arg(context).output().map_err(|e| format!("cannot run `{line}`: {e}"))?;
        if !output.status.success() {
            let said = refusal(&String::from_utf8_lossy(&output.stderr));
            // That is no opinion on the case.
            let is_gone = said.contains("Cannot connect to the Docker daemon");
            return if is_gone { Err(said) } else { Ok(Err(said)) };
        }
        let archive = scratch.join("built.tar");
        let _ = std::fs::remove_file(&archive);
        match self.save(&tag(), &archive) {
            Ok(()) => Image::read(&archive).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Removes what the last case left in the store.
    pub(crate) fn forget(&self) {
        // Where the last case was refused, there is nothing.
        let _ = self.command(&["rmi", "-f", &tag()]).output();
    }

    /// Writes an image to an archive.
    pub(crate) fn save(&self, name: &str, archive: &Path) -> Result<()> {
        let mut command = match self {
            Builder::Peer(Peer::Buildah, _) => {
                let mut command = self.command(&["push", "-q", name]);
                command.arg(format!("docker-archive:{}:{}", archive.display(), tag()));
                command
            }
            _ => {
                let mut command = self.command(&["save", "-o"]);
                command.arg(archive).arg(name);
                command
            }
        };
        quietly(&mut command)
    }
}

/// Runs a command; what it prints counts only if it fails.
fn quietly(command: &mut Command) -> Result<()> {
    let line = typed(command);
    let output = command.output().map_err(|e| format!("cannot run `{line}`: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "`{line}` ended with {}: {}",
        output.status,
        refusal(&String::from_utf8_lossy(&output.stderr))
    ))
}

/// What a builder said last.
fn refusal(said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let begin = lines.iter().rposition(|line| {
        ["ERROR: ", "error: ", "Error: "].iter().any(|word| line.starts_with(word))
    });
    let shown = &lines[begin.unwrap_or(lines.len().saturating_sub(3))..];
    shown.iter().take(4).copied().collect::<Vec<_>>().join(" / ")
}
