//! What happens to containers, in docker's words, as events.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::Value;

use super::container_state::{ContainerState, Health, LOST, Run};
use crate::state::containers::ContainerRow;
use crate::state::{events, now};

/// Notes what happened to a container, with its labels and `more`.
pub(super) fn note(
    c: &Connection,
    container: &ContainerRow,
    action: &str,
    more: &[(&str, &str)],
) -> rusqlite::Result<()> {
    let config: Value = serde_json::from_str(&container.config).unwrap_or_default();
    let labels = config["runtime"]["Labels"].as_object().into_iter().flatten();
    let mut attributes: BTreeMap<&str, &str> =
        labels.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
    attributes.insert("image", &container.image_name);
    attributes.insert("name", &container.name);
    attributes.extend(more.iter().copied());
    let attributes = serde_json::json!(attributes).to_string();
    events::insert(c, "container", action, &container.id, &attributes)
}

/// Notes what a change of a container's state comes to; often it is nothing. A container runs as
/// soon as its state names who keeps it: before, its process is only being made.
pub(super) fn note_change(
    c: &Connection,
    container: &ContainerRow,
    after: ContainerState,
) -> rusqlite::Result<()> {
    // What is no state any more was none that ran.
    let before = serde_json::from_str(&container.state).unwrap_or(ContainerState::Created);
    let code = code_of(after).to_string();
    let ran = run_of(before).map_or(0, |run| now().saturating_sub(run.since).max(0)).to_string();
    let die = || note(c, container, "die", &[("execDuration", &ran), ("exitCode", &code)]);
    match (is_kept(before), is_kept(after)) {
        (false, true) => note(c, container, "start", &[])?,
        (true, false) => die()?,
        // It ended before its keeper came to write down that it runs.
        (false, false) if run_of(before).is_some() && has_ended(after) => {
            note(c, container, "start", &[])?;
            die()?;
        }
        _ => {}
    }
    let (ContainerState::Running(now), earlier) = (after, run_of(before)) else { return Ok(()) };
    if let Some(earlier) = earlier
        && earlier.paused != now.paused
    {
        note(c, container, if now.paused { "pause" } else { "unpause" }, &[])?;
    }
    match now.health.filter(|_| earlier.and_then(|run| run.health) != now.health) {
        Some(Health::Healthy) => note(c, container, "health_status: healthy", &[]),
        Some(Health::Unhealthy) => note(c, container, "health_status: unhealthy", &[]),
        Some(Health::Starting) | None => Ok(()),
    }
}

fn run_of(state: ContainerState) -> Option<Run> {
    match state {
        ContainerState::Running(run) => Some(run),
        _ => None,
    }
}

fn is_kept(state: ContainerState) -> bool {
    run_of(state).is_some_and(|run| run.keeper.is_some())
}

/// Whether it was seen to end.
fn has_ended(state: ContainerState) -> bool {
    matches!(state, ContainerState::Exited { at: Some(_), .. } | ContainerState::Restarting { .. })
}

fn code_of(state: ContainerState) -> i32 {
    match state {
        ContainerState::Failed { code }
        | ContainerState::Restarting { code, .. }
        | ContainerState::Exited { code, .. } => code,
        ContainerState::Created | ContainerState::Running(_) => LOST,
    }
}
