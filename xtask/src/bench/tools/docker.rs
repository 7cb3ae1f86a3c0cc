//! docker, with BuildKit, and its daemon.

use std::process::Command;

use super::{Peers, Task, Tool};
use crate::bench::arena::in_memory;
use crate::bench::daemon::Daemons;
use crate::step::{Result, output, typed};

struct Docker {
    peers: Peers,
    version: String,
}

/// Looks for the client and its daemon, whose store must be in memory as those of the others are.
pub(crate) fn find(peers: Peers) -> Result<Box<dyn Tool>> {
    let said = output(peers.program("docker").args([
        "info",
        "--format",
        "{{.ServerVersion}} {{.Driver}} {{.DockerRootDir}}",
    ]))?;
    let mut words = said.split_whitespace();
    let (Some(version), Some(driver), Some(root)) = (words.next(), words.next(), words.next())
    else {
        return Err("the daemon does not answer".to_owned());
    };
    in_memory(std::path::Path::new(root))?;
    Ok(Box::new(Docker { version: format!("{version} ({driver})"), peers }))
}

impl Docker {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.peers.program("docker");
        command.args(words);
        command
    }

    /// Containers and images that a benchmark made, as the daemon may serve others too; and the build
    /// cache, which does not say whose it is.
    fn clear(&self) -> Vec<Command> {
        let docker = typed(&self.peers.program("docker"));
        vec![self.peers.shell(&format!(
            "for c in $({docker} ps -aq --filter name=tierce-bench); do {docker} rm -f $c; done
             for i in $({docker} images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' | grep tierce-bench); do {docker} rmi -f $i; done
             {docker} image prune -f
             {docker} builder prune -af"
        ))]
    }
}

impl Tool for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn daemons(&self) -> Daemons {
        Daemons::named(&["dockerd", "containerd", "containerd-shim"])
    }

    fn commands(&self, task: &Task) -> Option<Vec<Command>> {
        let one = |words: &[&str]| Some(vec![self.command(words)]);
        match task {
            Task::Pull { image } => one(&["pull", "-q", image]),
            Task::Push { image } => one(&["push", "-q", image]),
            Task::Build { context, tag, cache } => {
                let mut build = self.command(&["build", "-q", "--network", "host", "-t", tag]);
                build.args((!cache).then_some("--no-cache")).arg(context);
                build.env("DOCKER_BUILDKIT", "1");
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
            Task::Prune => Some(Vec::new()),
            Task::Remove { image } => one(&["rmi", "-f", image]),
            Task::Prepare { .. } => None,
            Task::Clear => Some(self.clear()),
        }
    }
}
