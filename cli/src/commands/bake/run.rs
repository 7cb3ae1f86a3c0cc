//! The builds of a plan, as many at once as do not wait for each other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use bake::{Plan, Target};
use builder::Cancel;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value};

use super::Args;
use super::words::words;
use crate::app::App;
use crate::error::{Doing, Failure, Outcome};
use crate::signals;

/// How often it is looked whether a build has ended, or is to end.
const PACE: Duration = Duration::from_millis(20);

/// Builds all targets of a plan, each after those that it uses.
pub(super) fn run(args: &Args, app: &App, plan: &Plan) -> Outcome {
    let scratch = tempfile::tempdir().doing(|| "cannot make a directory for the targets".into())?;
    let used = plan.targets.values().flat_map(Target::uses);
    let place = |name: &str| (name.to_owned(), scratch.path().join(name));
    let linked: BTreeMap<String, PathBuf> = used.map(place).collect();
    let runner = Runner { args, app, plan, linked, scratch: scratch.path() };
    let cancel = Cancel::new()?;
    let _interrupts = signals::cancel_on_signal(&cancel)?;
    let status = runner.all(&cancel)?;
    if let (0, Some(file)) = (status, &args.metadata_file) {
        let text = format!("{:#}\n", runner.metadata()?);
        std::fs::write(file, text).doing(|| format!("cannot write {}", file.display()))?;
    }
    Ok(status)
}

struct Runner<'a> {
    args: &'a Args,
    app: &'a App,
    plan: &'a Plan,
    /// Where the images are of targets that others use.
    linked: BTreeMap<String, PathBuf>,
    scratch: &'a Path,
}

impl Runner<'_> {
    /// Builds all; the first failure ends those that run.
    fn all(&self, cancel: &Cancel) -> Outcome {
        let at_once = match self.args.jobs {
            0 => self.app.threads().get().max(2),
            jobs => jobs,
        };
        let (sender, receiver) = mpsc::channel();
        let mut waiting: BTreeSet<&String> = self.plan.targets.keys().collect();
        let mut done: BTreeSet<&String> = BTreeSet::new();
        let mut running = 0;
        let mut failure: Option<Outcome> = None;
        std::thread::scope(|scope| {
            loop {
                let is_ready = |name: &&&String| {
                    let mut uses = self.plan.targets[**name].uses();
                    uses.all(|used| done.iter().any(|done| *done == used))
                };
                while failure.is_none() && running < at_once {
                    let Some(name) = waiting.iter().find(is_ready).copied() else { break };
                    waiting.remove(name);
                    match self.command(name) {
                        Ok(command) => {
                            running += 1;
                            let sender = sender.clone();
                            let input = self.plan.targets[name].dockerfile_inline.clone();
                            let shown = (self.plan.targets.len() > 1).then_some(name.as_str());
                            scope.spawn(move || {
                                let status = build(command, input, shown, cancel);
                                // Whoever waits lives as long as we do.
                                let _ = sender.send((name, status));
                            });
                        }
                        Err(error) => failure = Some(Err(error)),
                    }
                }
                if running == 0 {
                    break;
                }
                let Ok((name, status)) = receiver.recv() else { break };
                running -= 1;
                match status {
                    Ok(0) => drop(done.insert(name)),
                    Ok(status) if failure.is_none() => {
                        cancel.cancel();
                        failure = Some(Ok(status));
                    }
                    Err(error) if failure.is_none() => {
                        cancel.cancel();
                        failure = Some(Err(error).doing(|| format!("target {name}")));
                    }
                    _ => {}
                }
            }
        });
        failure.unwrap_or(Ok(0))
    }

    /// The build of a target.
    fn command(&self, name: &str) -> Result<Command, Failure> {
        let target = &self.plan.targets[name];
        let mut target = target.clone();
        if self.plan.linked.contains(name) {
            target.outputs = None;
        }
        // The same program, even if its file has been replaced meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("tierce").arg("--root").arg(self.app.root());
        command.arg(format!("--isolation={}", self.app.isolation_word())).arg("build");
        if let Some(layout) = self.linked.get(name) {
            let output = format!("--output=type=oci,tar=false,dest={}", layout.display());
            command.arg(output);
            // It becomes what it would without.
            let has_none = target.outputs.as_ref().is_none_or(Vec::is_empty);
            if has_none && !self.plan.linked.contains(name) && target.call.is_none() {
                command.arg("--output=type=docker");
            }
        }
        let progress = match (&self.args.progress, self.plan.targets.len()) {
            (Some(progress), 1) => Some(progress.as_str()),
            (Some(progress), _) if matches!(progress.as_str(), "quiet" | "none") => {
                Some(progress.as_str())
            }
            (None, 1) => None,
            // What moves on the terminal would mix.
            _ => Some("plain"),
        };
        if let Some(progress) = progress {
            command.arg(format!("--progress={progress}"));
        }
        if self.args.metadata_file.is_some() {
            command.arg("--metadata-file").arg(self.metadata_of(name));
        }
        Ok({
            command.args(words(&target, &self.linked)?);
            command
        })
    }

    fn metadata_of(&self, name: &str) -> PathBuf {
        // No target has a dot in its name.
        self.scratch.join(format!("{name}.json"))
    }

    /// What all builds came to.
    fn metadata(&self) -> Result<Value, Failure> {
        let mut all = Map::new();
        for name in self.plan.targets.keys() {
            // What was asked only a question came to nothing.
            if let Ok(text) = std::fs::read_to_string(self.metadata_of(name)) {
                let read = serde_json::from_str(&text);
                all.insert(
                    name.clone(),
                    read.doing(|| format!("cannot read what {name} came to"))?,
                );
            }
        }
        Ok(Value::Object(all))
    }
}

/// Runs one build to its end; `shown` stands before what it says.
fn build(
    mut command: Command,
    input: Option<String>,
    shown: Option<&str>,
    cancel: &Cancel,
) -> Outcome {
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    if shown.is_some() {
        command.stderr(Stdio::piped());
    }
    let mut child = command.spawn().doing(|| "cannot start the build".to_owned())?;
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    std::thread::scope(|scope| {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // A build that does not read it says why.
            scope.spawn(move || drop(stdin.write_all(input.as_bytes())));
        }
        if let (Some(stderr), Some(shown)) = (stderr, shown) {
            scope.spawn(move || tell(stderr, shown));
        }
        wait(&mut child, cancel)
    })
}

/// Repeats what a build says, line by line, with its name before it.
fn tell(said: impl Read, name: &str) {
    let mut said = BufReader::new(said);
    let mut line = Vec::new();
    while said.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&line);
        anstream::eprintln!("[{name}] {}", text.trim_end_matches('\n'));
        line.clear();
    }
}

fn wait(child: &mut Child, cancel: &Cancel) -> Outcome {
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return Ok(code.unwrap_or(signals::CANCELLED));
        }
        if cancel.is_cancelled() && !told {
            told = true;
            if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // One that has just ended is what was wanted.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        std::thread::sleep(PACE);
    }
}
