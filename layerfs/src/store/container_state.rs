//! What a container is doing, and whether that is still so.

use std::fs;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use crate::state::now;

/// The exit code of a container whose keeper died without writing one: SIGKILL's, by which the
/// kernel ends the container then.
pub(super) const LOST: i32 = 137;

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum ContainerState {
    /// It never ran.
    Created,
    /// It never ran, because it could not be started.
    Failed {
        /// The status that stands for the reason.
        code: i32,
    },
    /// It runs.
    Running(Run),
    /// It ended, and its keeper will start it again.
    Restarting {
        /// The process that will.
        keeper: ProcessId,
        /// The status that it ended with.
        code: i32,
        /// When it ended, in seconds since 1970.
        at: i64,
        /// How often it was started again.
        restarts: u32,
    },
    /// It ran.
    Exited {
        /// The status of its first process, 128 + n for signal n.
        code: i32,
        /// When it ended, in seconds since 1970; `None` if nobody was there to see it.
        at: Option<i64>,
        /// When it was started, in seconds since 1970.
        #[serde(default)]
        since: Option<i64>,
        /// How often it was started again.
        #[serde(default)]
        restarts: u32,
    },
}

/// A process of the machine. Ids are used again, so the time of its start belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// As the machine counts.
    pub pid: u32,
    /// When it started, in clock ticks since the machine's start.
    pub start: u64,
}

/// A container that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its first process; while that is being made, the one that makes it.
    #[serde(flatten)]
    pub process: ProcessId,
    /// When it was started, in seconds since 1970.
    pub since: i64,
    /// The process that writes its end down, and with which it ends.
    #[serde(default)]
    pub keeper: Option<ProcessId>,
    /// Whether it is held still.
    #[serde(default)]
    pub paused: bool,
    /// What its health check says; `None` if it has none.
    #[serde(default)]
    pub health: Option<Health>,
    /// How often it was started again.
    #[serde(default)]
    pub restarts: u32,
    /// Its run before this one; `None` if it never ran.
    #[serde(default)]
    pub before: Option<Before>,
}

/// A run of a container that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// When it ended, in seconds since 1970; `None` if nobody was there to see it.
    pub at: Option<i64>,
    /// When it was started, in seconds since 1970.
    pub since: Option<i64>,
}

/// What a health check says of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Too early to tell.
    Starting,
    /// It works.
    Healthy,
    /// It failed too often in a row.
    Unhealthy,
}

impl ProcessId {
    /// The process of this id; `None` if there is none, or none any more that does anything.
    pub fn of(pid: u32) -> Option<ProcessId> {
        Some(ProcessId { pid, start: start_of_process(pid)? })
    }

    fn is_alive(self) -> bool {
        start_of_process(self.pid) == Some(self.start)
    }

    fn wait_for_end(self, limit: Duration) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let Some(Ok(pidfd)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) else { return };
        // Only what was open before this is certainly the process that was meant.
        if self.is_alive() {
            let limit = Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: 0 };
            // Who waits in vain goes on like who did not wait.
            let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit));
        }
    }
}

impl Run {
    /// Who knows its end.
    fn witness(&self) -> ProcessId {
        self.keeper.unwrap_or(self.process)
    }
}

impl ContainerState {
    /// The state of a container whose first process is `pid`, which must still be there to be
    /// waited for; `None` if there is no such process.
    pub fn running(pid: u32) -> Option<ContainerState> {
        let process = ProcessId::of(pid)?;
        Some(ContainerState::Running(Run {
            process,
            since: now(),
            keeper: None,
            paused: false,
            health: None,
            restarts: 0,
            before: None,
        }))
    }

    /// The state of a container that ended now.
    pub fn exited(code: i32) -> ContainerState {
        ContainerState::Exited { code, at: Some(now()), since: None, restarts: 0 }
    }

    /// What this state becomes with the end of the container, now.
    #[must_use]
    pub fn ended(self, code: i32) -> ContainerState {
        let (since, restarts) = match self {
            ContainerState::Running(run) => (Some(run.since), run.restarts),
            ContainerState::Restarting { restarts, .. } => (None, restarts),
            ContainerState::Exited { since, restarts, .. } => (since, restarts),
            ContainerState::Created | ContainerState::Failed { .. } => (None, 0),
        };
        ContainerState::Exited { code, at: Some(now()), since, restarts }
    }

    /// What this state becomes when the container, which was about to run, could not be started:
    /// when it ran last stays true.
    #[must_use]
    pub fn failed(self, code: i32) -> ContainerState {
        match self {
            ContainerState::Running(Run {
                before: Some(Before { at, since }), restarts, ..
            }) => ContainerState::Exited { code, at, since, restarts },
            ContainerState::Exited { at, since, restarts, .. } => {
                ContainerState::Exited { code, at, since, restarts }
            }
            ContainerState::Restarting { at, restarts, .. } => {
                ContainerState::Exited { code, at: Some(at), since: None, restarts }
            }
            _ => ContainerState::Failed { code },
        }
    }

    /// The state of one that begins to run after this.
    pub(super) fn followed_by(self, next: ContainerState) -> ContainerState {
        match (self, next) {
            (ContainerState::Exited { at, since, .. }, ContainerState::Running(run)) => {
                ContainerState::Running(Run { before: Some(Before { at, since }), ..run })
            }
            (_, next) => next,
        }
    }

    /// Whether it runs, or will again without being asked to.
    pub fn is_running(self) -> bool {
        matches!(self, ContainerState::Running(_) | ContainerState::Restarting { .. })
    }

    /// Waits until a container that runs has ended, but no longer than `limit`.
    pub(crate) fn wait_for_end(self, limit: Duration) {
        match self {
            ContainerState::Running(run) => {
                run.witness().wait_for_end(limit);
                run.process.wait_for_end(limit);
            }
            ContainerState::Restarting { keeper, .. } => keeper.wait_for_end(limit),
            ContainerState::Created
            | ContainerState::Failed { .. }
            | ContainerState::Exited { .. } => {}
        }
    }

    /// What is true where the process that was to write the end down is gone, too.
    pub(super) fn checked(self) -> ContainerState {
        match self {
            ContainerState::Running(run) if !run.witness().is_alive() => ContainerState::Exited {
                code: LOST,
                at: None,
                since: Some(run.since),
                restarts: run.restarts,
            },
            ContainerState::Restarting { keeper, code, at, restarts } if !keeper.is_alive() => {
                ContainerState::Exited { code, at: Some(at), since: None, restarts }
            }
            state => state,
        }
    }
}

/// Field 22 of `/proc/<pid>/stat` (proc_pid_stat(5)); `None` if there is no such process.
fn start_of_process(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses that may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_running_and_no_other_of_its_id_ever_was() {
        let state = ContainerState::running(std::process::id()).unwrap();
        assert!(state.checked().is_running());
        let ContainerState::Running(mut run) = state else { unreachable!() };
        run.process.start += 1;
        let since = Some(run.since);
        let lost = ContainerState::Exited { code: LOST, at: None, since, restarts: 0 };
        assert_eq!(ContainerState::Running(run).checked(), lost);
    }

    #[test]
    fn a_container_runs_as_long_as_its_keeper_says() {
        let state = ContainerState::running(std::process::id()).unwrap();
        let ContainerState::Running(mut run) = state else { unreachable!() };
        run.keeper = Some(run.process);
        run.process.start += 1;
        assert!(ContainerState::Running(run).checked().is_running());
    }

    #[test]
    fn one_that_cannot_be_started_never_ran_or_ran_before() {
        let starting = ContainerState::running(std::process::id()).unwrap();
        let first = ContainerState::Created.followed_by(starting).failed(127);
        assert_eq!(first, ContainerState::Failed { code: 127 });
        assert!(!first.is_running());
        let ended = ContainerState::Exited { code: 0, at: Some(8), since: Some(7), restarts: 0 };
        let second = ended.followed_by(starting).failed(126);
        assert_eq!(
            second,
            ContainerState::Exited { code: 126, at: Some(8), since: Some(7), restarts: 0 }
        );
        assert_eq!(first.followed_by(starting), starting);
    }

    #[test]
    fn states_of_earlier_versions_are_read() {
        let text = r#"{"is":"running","pid":7,"start":8,"since":9}"#;
        let ContainerState::Running(run) = serde_json::from_str(text).unwrap() else {
            unreachable!()
        };
        assert_eq!((run.process, run.since), (ProcessId { pid: 7, start: 8 }, 9));
        let text = r#"{"is":"exited","code":3,"at":null}"#;
        let state: ContainerState = serde_json::from_str(text).unwrap();
        assert!(matches!(state, ContainerState::Exited { code: 3, at: None, .. }));
    }
}
