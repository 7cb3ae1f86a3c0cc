//! RUN.

use super::mounts::Mounts;
use super::stage::Lowering;
use super::{Lowerer, StageState, arguments};
use crate::error::BuildError;
use crate::instruction::{CommandLine, Network, Run, Security, Statement};
use crate::op::{self, Op, Script};
use crate::request::NetworkMode;
use crate::syntax::Heredoc;

/// Where the file of a here-document that is a program appears.
pub(crate) const SCRIPT_DIR: &str = "/dev/pipes";

impl Lowerer<'_> {
    pub(super) fn run(
        &mut self,
        lowering: &mut Lowering,
        statement: &Statement,
        run: &Run,
        triggered: bool,
    ) -> Result<(), BuildError> {
        let Mounts { mut mounts, inputs, wanted } =
            self.mounts(lowering, statement, run, triggered)?;
        let volumes = self.request.sandbox.volumes.iter();
        mounts.extend(volumes.map(|volume| op::Mount {
            target: volume.target.clone(),
            read_only: volume.read_only,
            content: op::MountContent::Host(volume.source.clone()),
        }));
        let state = &lowering.state;
        let (args, script) = command(state, &run.command, &statement.heredocs);
        let mut text = String::from("RUN ");
        text.push_str(&history_arguments(state));
        text.push_str(&args.join(" "));
        text.push_str(" # buildkit");
        let config = &state.draft.config.config;
        let cwd = &config.working_dir;
        let op = op::Run {
            args,
            env: state.draft.env.clone(),
            proxies: arguments::proxies(self.request),
            cwd: if cwd.is_empty() { "/".into() } else { cwd.clone() },
            user: config.user.clone(),
            network: match run.network.map(|flag| flag.value) {
                None | Some(Network::Default) => self.request.sandbox.network,
                Some(Network::None) => NetworkMode::None,
                Some(Network::Host) => NetworkMode::Host,
            },
            hostname: self.request.sandbox.hostname.clone(),
            settings: self.request.sandbox.settings.clone(),
            script,
            mounts,
            wanted,
            insecure: run.security.is_some_and(|flag| flag.value == Security::Insecure),
            times: state.times,
        };
        self.step(lowering, statement, Op::Run(Box::new(op)), inputs, triggered);
        self.history(lowering, text, false);
        Ok(())
    }
}

/// The arguments of the process, and the file that it executes if there is one to be made.
fn command(
    state: &StageState,
    command: &CommandLine,
    heredocs: &[Heredoc],
) -> (Vec<String>, Option<Script>) {
    let line = match command {
        CommandLine::Exec(words) => {
            return (words.iter().map(|word| word.text.clone()).collect(), None);
        }
        CommandLine::Shell(line) => &line.text,
    };
    let shell = |line: &str| state.draft.shell_command(line);
    match heredocs {
        [] => (shell(line), None),
        // A lone here-document is the program: for the shell, or for whom its first line names.
        [only] if Heredoc::begins(line.trim()) => {
            let content = only.body().into_owned();
            if content.starts_with("#!") {
                let args = shell(&format!("{SCRIPT_DIR}/{}", only.name));
                (args, Some(Script { name: only.name.clone(), content }))
            } else {
                (shell(&content), None)
            }
        }
        // All else is the shell's own affair, and handed over as it is written.
        several => {
            let mut line = line.clone();
            for heredoc in several {
                line.push('\n');
                line.push_str(&heredoc.content);
                line.push_str(&heredoc.name);
            }
            (shell(&line), None)
        }
    }
}

/// `|2 A=b C=d `: the declared arguments with the values that the process sees.
fn history_arguments(state: &StageState) -> String {
    let mut seen = indexmap::IndexMap::new();
    for (name, value) in &state.args {
        let value = state.draft.env.get(name).or(value.as_deref()).unwrap_or_default();
        seen.insert(name.as_str(), value);
    }
    if seen.is_empty() {
        return String::new();
    }
    let list = seen.iter().map(|(name, value)| format!("{name}={value} "));
    format!("|{} {}", seen.len(), list.collect::<String>())
}
