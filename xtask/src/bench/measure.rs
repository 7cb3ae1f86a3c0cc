//! What a command costs: time, processor and memory of its whole tree of processes.
//!
//! A measured command is started by a small process of its own, the supervisor, to which all that
//! the command leaves behind becomes a child: so nothing escapes the count, and the peak of memory
//! is that of this command alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use rustix::process::{Pid, Signal, WaitOptions};
use serde::{Deserialize, Serialize};

use super::daemon::Daemons;
use crate::step::{Result, typed};

/// No measured command may take longer.
const LIMIT: Duration = Duration::from_secs(900);
/// What is left behind gets this long to end by itself.
const GRACE: Duration = Duration::from_secs(3);

/// What a run took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Seconds on the clock.
    pub(crate) wall: f64,
    /// Seconds of processor, of all processes, daemons included.
    pub(crate) cpu: f64,
    /// The most memory that one process held, in bytes.
    pub(crate) peak: u64,
}

/// One command for the supervisor.
#[derive(Serialize, Deserialize)]
struct Step {
    words: Vec<String>,
    environment: Vec<(String, String)>,
    directory: Option<PathBuf>,
}

/// What the supervisor is told.
#[derive(Serialize, Deserialize)]
struct Order {
    steps: Vec<Step>,
    log: PathBuf,
    answer: PathBuf,
}

/// Where the measuring leaves its notes.
pub(crate) struct Measure {
    scratch: PathBuf,
}

impl Measure {
    /// Notes go to a folder.
    pub(crate) fn new(scratch: &Path) -> Self {
        Measure { scratch: scratch.to_owned() }
    }

    /// Runs commands one after the other, and answers with what they and the daemons took.
    pub(crate) fn commands(&self, commands: &[Command], daemons: &Daemons) -> Result<Cost> {
        let order = Order {
            steps: commands.iter().map(step).collect::<Result<_>>()?,
            log: self.scratch.join("log"),
            answer: self.scratch.join("answer"),
        };
        let file = self.scratch.join("order");
        write(&file, &order)?;
        let before = daemons.sample()?;
        let xtask =
            std::env::current_exe().map_err(|e| format!("cannot find xtask itself: {e}"))?;
        let status = Command::new(xtask)
            .arg("supervise")
            .arg(&file)
            .stdin(Stdio::null())
            .status()
            .map_err(|e| format!("cannot start the supervisor: {e}"))?;
        if !status.success() {
            let lines: Vec<String> = commands.iter().map(typed).collect();
            return Err(format!("`{}` failed: {}", lines.join("; "), tail(&order.log)));
        }
        let cost: Cost = read(&order.answer)?;
        Ok(daemons.since(&before)?.added_to(cost))
    }

    /// What the last measured commands printed.
    pub(crate) fn printed(&self) -> Result<String> {
        let log = self.scratch.join("log");
        std::fs::read_to_string(&log).map_err(|e| format!("cannot read {}: {e}", log.display()))
    }
}

fn step(command: &Command) -> Result<Step> {
    let text = |s: &std::ffi::OsStr| {
        s.to_str().map(str::to_owned).ok_or_else(|| format!("{} is no text", s.display()))
    };
    Ok(Step {
        words: std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(text)
            .collect::<Result<_>>()?,
        environment: command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)))
            .map(|(name, value)| Ok((text(name)?, text(value)?)))
            .collect::<Result<_>>()?,
        directory: command.get_current_dir().map(Path::to_owned),
    })
}

/// The supervisor's entry: runs what the file says, reaps everything, and writes down the cost.
pub(crate) fn supervise(args: &[String]) -> Result<()> {
    let [file] = args else { return Err("supervise: a file with the order".to_owned()) };
    let order: Order = read(Path::new(file))?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|e| format!("cannot become the parent of what is left behind: {e}"))?;
    let log = std::fs::File::create(&order.log)
        .map_err(|e| format!("cannot create {}: {e}", order.log.display()))?;
    let start = Instant::now();
    for step in &order.steps {
        run(step, &log)?;
    }
    let wall = start.elapsed().as_secs_f64();
    reap();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)
        .map_err(|e| format!("cannot read what the children took: {e}"))?;
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let cost = Cost {
        wall,
        cpu: cpu as f64 / 1e6,
        peak: u64::try_from(usage.max_rss()).unwrap_or_default() * 1024,
    };
    write(&order.answer, &cost)
}

fn run(step: &Step, log: &std::fs::File) -> Result<()> {
    let output = || log.try_clone().map_err(|e| format!("cannot share the log: {e}"));
    let (program, args) = step.words.split_first().ok_or("an order without words")?;
    let mut command = Command::new(program);
    command.args(args).envs(step.environment.iter().cloned());
    command.stdin(Stdio::null()).stdout(output()?).stderr(output()?);
    if let Some(directory) = &step.directory {
        command.current_dir(directory);
    }
    let mut child = command.spawn().map_err(|e| format!("cannot run {program}: {e}"))?;
    let pid = Pid::from_child(&child);
    let (ended, watched) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        if watched.recv_timeout(LIMIT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    });
    let status = child.wait().map_err(|e| format!("cannot wait for {program}: {e}"))?;
    drop(ended);
    if status.success() { Ok(()) } else { Err(format!("{program} ended with {status}")) }
}

/// Waits for what the commands left behind, so that it counts; what stays longer is no part of
/// them.
fn reap() {
    let start = Instant::now();
    while start.elapsed() < GRACE {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => std::thread::sleep(Duration::from_millis(2)),
            Err(_) => return,
        }
    }
}

fn write<T: Serialize>(file: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_string(value).map_err(|e| e.to_string())?;
    std::fs::write(file, text).map_err(|e| format!("cannot write {}: {e}", file.display()))
}

fn read<T: for<'a> Deserialize<'a>>(file: &Path) -> Result<T> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| format!("cannot read {}: {e}", file.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("cannot understand {}: {e}", file.display()))
}

/// The last lines of a log, on one line.
fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join(" | ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_command_keeps_its_words_and_environment_for_the_supervisor() {
        let mut command = Command::new("echo");
        command.arg("a b").env("TMPDIR", "/x").current_dir("/");
        let step = step(&command).unwrap();
        assert_eq!(step.words, ["echo", "a b"]);
        assert_eq!(step.environment, [("TMPDIR".to_owned(), "/x".to_owned())]);
        assert_eq!(step.directory.as_deref(), Some(Path::new("/")));
    }
}
