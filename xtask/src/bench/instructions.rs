//! How many instructions the commands execute that people and scripts type all day. A count is the
//! same on every machine and in every run, which no time of a few milliseconds is.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::tools::{Task, Tierce, Tool, perform};
use crate::packages::{self, Program};
use crate::step::Result;

/// Who counts.
const COUNTER: Program = Program { name: "valgrind", package: "valgrind" };

/// Ten instructions that need no base image, and read no files: the counter knows no openat2(2).
const DOCKERFILE: &str = "FROM scratch\n\
    ENV A=1 B=2\n\
    WORKDIR /work\n\
    LABEL a=b c=\"d e\"\n\
    ENV PATH=/bin:/usr/bin C=${A}\n\
    EXPOSE 80\n\
    USER 1000:1000\n\
    VOLUME /data\n\
    ENTRYPOINT [\"/one\"]\n\
    CMD [\"two\"]\n";

const IMAGE: &str = "tierce-bench/instructions:1";

/// One command's count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Count {
    /// What was measured: a commit, or a file.
    pub(crate) commit: String,
    /// When.
    pub(crate) date: String,
    /// Instructions in user mode, of all threads.
    pub(crate) instructions: u64,
}

/// Counts each of the commands, in a store with one image. By what people type.
pub(crate) fn count(ours: &Tierce, folder: &Path) -> Result<BTreeMap<String, Count>> {
    packages::ensure(&[COUNTER])?;
    let file = folder.join("Dockerfile");
    std::fs::write(&file, DOCKERFILE)
        .map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    let build = Task::Build { context: folder, tag: IMAGE, cache: true };
    perform(ours, &build)?;
    let again = ours.commands(&build).and_then(|commands| commands.into_iter().next());
    let again = again.ok_or("there is no command to build with")?;
    let commands = [
        ("`--version`", ours.command(&["--version"])),
        ("`image ls` of one image", ours.command(&["image", "ls"])),
        ("`ps` of no container", ours.command(&["ps"])),
        ("`build` of 10 instructions, nothing changed", again),
    ];
    commands
        .into_iter()
        .map(|(name, command)| {
            let count = Count { instructions: counted(&command)?, ..Count::default() };
            Ok((name.to_owned(), count))
        })
        .collect()
}

/// Runs a command under the counter.
fn counted(command: &Command) -> Result<u64> {
    let run = Command::new(COUNTER.name)
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot run {}: {e}", COUNTER.name))?;
    let said = String::from_utf8_lossy(&run.stderr);
    if !run.status.success() {
        return Err(format!(
            "{command:?} under {} ended with {}: {said}",
            COUNTER.name, run.status
        ));
    }
    collected(&said).ok_or_else(|| format!("{} told no count: {said}", COUNTER.name))
}

/// The count in what the counter says: `==7== Collected : 1234`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_what_the_counter_says() {
        let said = "==1== Events    : Ir\n==1== Collected : 1234567\n==1==\n";
        assert_eq!(collected(said), Some(1_234_567));
        assert_eq!(collected("==1== nothing\n"), None);
    }
}
