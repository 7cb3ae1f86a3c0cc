//! docker-registry, Distribution's own: it is run by the fixtures, and has no commands.

use std::process::Command;

use super::{Task, Tool};
use crate::step::{Result, output};

struct DockerRegistry {
    version: String,
}

/// Asks the program on the path for its version.
pub(crate) fn find() -> Result<Box<dyn Tool>> {
    let said = output(Command::new("docker-registry").arg("--version"))?;
    let version = said.split_whitespace().last().unwrap_or_default().to_owned();
    Ok(Box::new(DockerRegistry { version }))
}

impl Tool for DockerRegistry {
    fn name(&self) -> &'static str {
        "docker-registry"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn commands(&self, task: &Task) -> Option<Vec<Command>> {
        // It has nothing to forget between rounds, either.
        matches!(task, Task::Clear).then(Vec::new)
    }
}
