//! What a container is doing, in docker's words.

use std::fmt::Write as _;

use jiff::Timestamp;
use layerfs::{Container, ContainerState, Health};

use crate::ui::human;

/// `Up 3 minutes (healthy)`, `Exited (0) 2 hours ago`, as `docker ps` words it.
pub(crate) fn status(container: &Container, now: Timestamp) -> String {
    let since = |second: i64| human::duration(now.as_second() - second);
    match container.state {
        ContainerState::Created | ContainerState::Failed { .. } => "Created".into(),
        ContainerState::Running(run) => {
            let mut text = format!("Up {}", since(run.since));
            match run.health {
                _ if run.paused => text += " (Paused)",
                Some(Health::Starting) => text += " (health: starting)",
                Some(Health::Healthy) => text += " (healthy)",
                Some(Health::Unhealthy) => text += " (unhealthy)",
                None => {}
            }
            text
        }
        ContainerState::Restarting { code, at, .. } => {
            format!("Restarting ({code}) {} ago", since(at))
        }
        ContainerState::Exited { code, at, .. } => {
            let mut text = format!("Exited ({code})");
            if let Some(at) = at {
                let _ = write!(text, " {} ago", since(at));
            }
            text
        }
    }
}

/// The state in one word.
pub(crate) fn word(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Created | ContainerState::Failed { .. } => "created",
        ContainerState::Running(run) if run.paused => "paused",
        ContainerState::Running(_) => "running",
        ContainerState::Restarting { .. } => "restarting",
        ContainerState::Exited { .. } => "exited",
    }
}
