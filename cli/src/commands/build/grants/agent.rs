//! `--ssh`.

use std::convert::Infallible;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Doing, Failure};
use crate::machine::Machine;

/// The id of an agent that has no other.
const DEFAULT: &str = "default";

/// `ID[=PATH,…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AgentArg {
    /// What a Dockerfile calls it.
    pub(super) id: String,
    paths: Vec<PathBuf>,
}

impl FromStr for AgentArg {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (id, paths) = text.split_once('=').unwrap_or((text, ""));
        let id = if id.is_empty() { DEFAULT } else { id };
        let paths = if paths.is_empty() {
            Vec::new()
        } else {
            paths.split(',').map(PathBuf::from).collect()
        };
        Ok(Self { id: id.to_owned(), paths })
    }
}

impl AgentArg {
    /// Its socket, which is there.
    pub(super) fn socket(&self, machine: &Machine) -> Result<PathBuf, Failure> {
        let named;
        let path = match self.paths.as_slice() {
            [] => {
                named = machine.variable("SSH_AUTH_SOCK").map(PathBuf::from).ok_or_else(|| {
                    Failure::new(format!("there is no socket for the ssh agent {:?}", self.id))
                        .hint("set SSH_AUTH_SOCK, or name one with `--ssh ID=SOCKET`")
                })?;
                &named
            }
            [path] => path,
            // Several files can only be keys.
            [path, ..] => return Err(not_a_socket(path)),
        };
        let cannot = || format!("cannot use the ssh agent {:?} at {}", self.id, path.display());
        let metadata = std::fs::metadata(path).doing(cannot)?;
        if !metadata.file_type().is_socket() {
            return Err(not_a_socket(path));
        }
        std::path::absolute(path).doing(cannot)
    }
}

fn not_a_socket(path: &std::path::Path) -> Failure {
    Failure::new(format!("{} is not the socket of an ssh agent", path.display()))
        .hint("keys are taken from an agent only: `eval $(ssh-agent)`, then `ssh-add KEY`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_has_an_id_and_paths() {
        for (text, id, paths) in [
            ("default", "default", &[][..]),
            ("", "default", &[]),
            ("=/s", "default", &["/s"]),
            ("git=", "git", &[]),
            ("git=/a,/b", "git", &["/a", "/b"]),
            ("git=/a=b", "git", &["/a=b"]),
        ] {
            let paths = paths.iter().map(PathBuf::from).collect();
            let expected = AgentArg { id: id.to_owned(), paths };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }
}
