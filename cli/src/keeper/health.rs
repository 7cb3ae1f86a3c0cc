//! Health checks: whether a container that runs is well, by a command in it.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use layerfs::Health;
use oci::Healthcheck;
use runtime::{Container, Stdio, Stream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::wire::Exec;
use super::{Init, Keeper};

/// How much is kept of what a check says, in bytes, as docker does.
const MAX_OUTPUT: usize = 4096;
/// How many results are kept.
const MAX_RESULTS: usize = 5;
/// docker's defaults.
const INTERVAL: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// What is known of a container's health.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Results {
    /// How many checks failed in a row.
    pub(crate) failing_streak: u32,
    /// The last checks.
    pub(crate) log: VecDeque<Outcome>,
}

/// One check.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Outcome {
    start: Timestamp,
    end: Timestamp,
    exit_code: i32,
    output: String,
}

impl Results {
    /// Where they are kept, in a container's directory.
    fn path(dir: &Path) -> PathBuf {
        dir.join("health.json")
    }

    /// Those of a container; none at all if nothing was checked yet.
    pub(crate) fn read(dir: &Path) -> Results {
        let text = fs::read(Results::path(dir)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Readers never see a part of them.
    fn write(&self, dir: &Path) -> io::Result<()> {
        let begun = dir.join("health.json.new");
        fs::write(&begun, serde_json::to_vec(self)?)?;
        fs::rename(begun, Results::path(dir))
    }
}

/// How a container is checked.
#[derive(Debug, Clone)]
pub(super) struct Check {
    args: Vec<String>,
    interval: Duration,
    timeout: Duration,
    start_period: Duration,
    start_interval: Duration,
    retries: u32,
}

impl Check {
    /// What an image or the command line says; `None` if nothing is to be checked.
    pub(super) fn read(check: &Healthcheck, shell: Option<&[String]>) -> Option<Check> {
        let (kind, words) = check.test.split_first()?;
        let args = match kind.as_str() {
            "CMD" if !words.is_empty() => words.to_vec(),
            "CMD-SHELL" => {
                let default = ["/bin/sh".to_owned(), "-c".to_owned()];
                let shell = shell.filter(|shell| !shell.is_empty()).unwrap_or(&default);
                shell.iter().cloned().chain([words.join(" ")]).collect()
            }
            _ => return None,
        };
        let time = |nanoseconds: i64, default: Duration| match u64::try_from(nanoseconds) {
            Ok(nanoseconds) if nanoseconds > 0 => Duration::from_nanos(nanoseconds),
            _ => default,
        };
        Some(Check {
            args,
            interval: time(check.interval, INTERVAL),
            timeout: time(check.timeout, INTERVAL),
            start_period: time(check.start_period, Duration::ZERO),
            start_interval: time(check.start_interval, START_INTERVAL),
            retries: u32::try_from(check.retries)
                .ok()
                .filter(|times| *times > 0)
                .unwrap_or(RETRIES),
        })
    }

    /// Checks a container as long as it runs.
    pub(super) fn watch(&self, keeper: &Keeper, init: &Arc<Init>, dir: &Path) {
        let began = Instant::now();
        let mut results = Results::default();
        let mut health = Health::Starting;
        loop {
            let starts = health == Health::Starting && began.elapsed() < self.start_period;
            let wait = if starts { self.start_interval } else { self.interval };
            if keeper.ends_within(init, wait) {
                return;
            }
            // Nothing in it would answer.
            if keeper.is_paused() {
                continue;
            }
            let outcome = self.once(keeper, init);
            if outcome.exit_code == 0 {
                results.failing_streak = 0;
                health = Health::Healthy;
            } else if health != Health::Starting || began.elapsed() >= self.start_period {
                results.failing_streak += 1;
                if results.failing_streak >= self.retries {
                    health = Health::Unhealthy;
                }
            }
            results.log.push_back(outcome);
            if results.log.len() > MAX_RESULTS {
                results.log.pop_front();
            }
            if let Err(error) = results.write(dir) {
                tracing::debug!(%error, "results of health checks are not kept");
            }
            keeper.note_run(|run| run.health = Some(health));
        }
    }

    fn once(&self, keeper: &Keeper, init: &Init) -> Outcome {
        let start = Timestamp::now();
        let (exit_code, output) = self.run(keeper, init).unwrap_or_else(|error| (-1, error));
        Outcome { start, end: Timestamp::now(), exit_code, output }
    }

    /// The status of the command and what it said.
    fn run(&self, keeper: &Keeper, init: &Init) -> Result<(i32, String), String> {
        let text = |error: io::Error| error.to_string();
        let (mut reader, writer) = io::pipe().map_err(text)?;
        let stderr: OwnedFd = writer.try_clone().map_err(text)?.into();
        let stdio = Stdio {
            stdin: Stream::Null,
            stdout: Stream::Fd(writer.into()),
            stderr: Stream::Fd(stderr),
        };
        let exec = Exec { args: self.args.clone(), ..Exec::default() };
        let mut process = keeper
            .household
            .enter(init, keeper.groups(init), &exec, stdio)
            .map_err(|failure| failure.message)?;
        let end = Instant::now() + self.timeout;
        let mut output = Vec::new();
        let mut buffer = [0; 4096];
        while wait_for(&reader, &process, end) {
            match reader.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                // The rest is read all the same: who writes must not wait for ever.
                Ok(count) => {
                    let room = MAX_OUTPUT.saturating_sub(output.len());
                    output.extend_from_slice(&buffer[..count.min(room)]);
                }
            }
        }
        if Instant::now() >= end {
            // Dropped, it is killed.
            let limit = self.timeout;
            return Err(format!("Health check exceeded timeout ({limit:?})"));
        }
        let code = process.wait().map_err(|error| error.to_string())?.shell_code();
        Ok((code, String::from_utf8_lossy(&output).into_owned()))
    }
}

/// Waits until there is something to read; false when the process has ended, or time is over.
fn wait_for(reader: &io::PipeReader, process: &Container, end: Instant) -> bool {
    let left = end.saturating_duration_since(Instant::now());
    let Ok(left) = Timespec::try_from(left) else { return false };
    let pidfd = process.pidfd();
    let mut ready = [
        PollFd::new(reader, PollFlags::IN),
        PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN),
    ];
    poll(&mut ready, Some(&left)).is_ok_and(|count| count > 0) && !ready[0].revents().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_read_with_dockers_defaults() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let mut check =
            Healthcheck { test: words(&["CMD-SHELL", "a b"]), ..Healthcheck::default() };
        let read = Check::read(&check, None).unwrap();
        assert_eq!(read.args, ["/bin/sh", "-c", "a b"]);
        assert_eq!((read.interval, read.retries), (Duration::from_secs(30), 3));
        let bash = words(&["bash", "-ec"]);
        assert_eq!(Check::read(&check, Some(&bash)).unwrap().args, ["bash", "-ec", "a b"]);
        check.test = words(&["NONE"]);
        assert!(Check::read(&check, None).is_none());
    }
}
