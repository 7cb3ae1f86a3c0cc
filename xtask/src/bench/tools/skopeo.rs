//! skopeo, which moves images, and umoci, which unpacks them.

use std::path::PathBuf;
use std::process::Command;

use super::{Peers, Task, Tool};
use crate::bench::arena::Arena;
use crate::step::Result;

struct Skopeo {
    peers: Peers,
    version: String,
    root: PathBuf,
}

/// Looks for both.
pub(crate) fn find(peers: Peers, arena: &Arena) -> Result<Box<dyn Tool>> {
    let version = format!(
        "{} + {}",
        peers.version("skopeo", &["--version"])?,
        peers.version("umoci", &["--version"])?
    );
    let root = arena.folder("peers/skopeo")?;
    Ok(Box::new(Skopeo { peers, version, root }))
}

impl Skopeo {
    fn copy(&self, words: &[&str]) -> Command {
        let mut command = self.peers.program("skopeo");
        command.args(["copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"]);
        command.args(words);
        command
    }

    fn path(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }
}

impl Tool for Skopeo {
    fn name(&self) -> &'static str {
        "skopeo+umoci"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn commands(&self, task: &Task) -> Option<Vec<Command>> {
        let (layout, bundle, plain) =
            (self.path("layout:t"), self.path("bundle"), self.path("plain"));
        match task {
            Task::Pull { image } => {
                let mut unpack = self.peers.program("umoci");
                unpack.args(["unpack", "--image", &layout, &bundle]);
                Some(vec![
                    self.copy(&[&format!("docker://{image}"), &format!("oci:{layout}")]),
                    unpack,
                ])
            }
            Task::Prepare { from } => Some(vec![self.copy(&[
                "--dest-decompress",
                &format!("docker://{from}"),
                &format!("dir:{plain}"),
            ])]),
            Task::Push { image } => {
                Some(vec![self.copy(&[&format!("dir:{plain}"), &format!("docker://{image}")])])
            }
            Task::Run { script, .. } => {
                let mut run = Command::new("chroot");
                run.arg(format!("{bundle}/rootfs")).args(*script);
                run.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
                Some(vec![run])
            }
            Task::Clear => {
                let mut remove = Command::new("sh");
                remove.arg("-c").arg(format!("rm -rf '{}'/*", self.root.display()));
                Some(vec![remove])
            }
            Task::Build { .. }
            | Task::Keep { .. }
            | Task::Diff { .. }
            | Task::Commit { .. }
            | Task::Forget { .. }
            | Task::Prune
            | Task::Name { .. }
            | Task::Remove { .. } => None,
        }
    }
}
