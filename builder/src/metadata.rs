//! What the instructions do that only edit an image's config.

use oci::ImageConfig;
use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::environment::Environment;
use crate::history;
use crate::instruction::{
    CommandLine, Env, Expose, Healthcheck, Instruction, Label, Pair, Probe, Property, Shell,
    Statement, Unset, Volume, parse_change, parse_port, parse_signal,
};
use crate::lower::{Scope, set_variable};
use crate::paths::clean_absolute;
use crate::syntax::{Escape, Source, Word};

/// The shell of an image that names none.
const DEFAULT_SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// An image's config while instructions edit it.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// The config so far.
    pub(crate) config: ImageConfig,
    /// The variables that words expand with: the config's, and build arguments.
    pub(crate) env: Environment,
    /// Whether CMD was set since the base: ENTRYPOINT then leaves it alone.
    pub(crate) cmd_set: bool,
}

/// A config with the instructions of `commit --change` applied.
///
/// # Errors
/// Everything that is wrong with them.
pub fn apply_changes(
    config: &ImageConfig,
    changes: &Source,
) -> Result<ImageConfig, Vec<Diagnostic>> {
    let env = Environment::from_config(&config.config.env);
    let mut draft = Draft { config: config.clone(), env, cmd_set: false };
    for statement in parse_change(changes)? {
        draft.apply(&statement, Escape::Backslash).map_err(|diagnostic| vec![diagnostic])?;
        if let Instruction::Workdir(workdir) = &statement.instruction {
            let scope = Scope { env: &draft.env, escape: Escape::Backslash };
            let path = scope.word(&workdir.path).map_err(|diagnostic| vec![diagnostic])?;
            draft.set_workdir(&path);
        }
    }
    draft.sort_sets();
    Ok(draft.config)
}

impl Draft {
    /// Applies an instruction that makes no layer, and answers with what history says of it:
    /// nothing for ONBUILD, and nothing for an instruction that this function does not handle.
    pub(crate) fn apply(
        &mut self,
        statement: &Statement,
        escape: Escape,
    ) -> Result<Option<String>, Diagnostic> {
        if let Instruction::Env(env) = &statement.instruction {
            return self.env(env, escape).map(Some);
        }
        let env = self.env.clone();
        let scope = Scope { env: &env, escape };
        let text = match &statement.instruction {
            Instruction::Label(label) => self.label(label, &scope)?,
            Instruction::Expose(expose) => self.expose(expose, &scope)?,
            Instruction::Volume(volume) => self.volume(volume, &scope)?,
            Instruction::Unset(unset) => self.unset(unset, &scope)?,
            Instruction::Cmd(cmd) => self.cmd(&cmd.command),
            Instruction::Entrypoint(entrypoint) => self.entrypoint(&entrypoint.command),
            Instruction::Shell(shell) => self.shell(shell),
            Instruction::Healthcheck(check) => self.healthcheck(check),
            Instruction::User(user) => {
                self.config.config.user = scope.word(&user.user)?;
                format!("USER {}", self.config.config.user)
            }
            Instruction::Stopsignal(stop) => {
                let signal = scope.word(&stop.signal)?;
                parse_signal(&signal)
                    .map_err(|e| Diagnostic::error(stop.signal.span, e.to_string()))?;
                self.config.config.stop_signal = Some(signal.clone());
                format!("STOPSIGNAL {signal}")
            }
            Instruction::Maintainer(maintainer) => {
                let name = maintainer.name.text.clone();
                let text = format!("MAINTAINER {name}");
                self.config.author = Some(name);
                text
            }
            Instruction::Onbuild(onbuild) => {
                self.config.config.on_build.push(onbuild.trigger.clone());
                return Ok(None);
            }
            Instruction::Add(_)
            | Instruction::Arg(_)
            | Instruction::Copy(_)
            | Instruction::Env(_)
            | Instruction::From(_)
            | Instruction::Run(_)
            | Instruction::Workdir(_) => return Ok(None),
        };
        Ok(Some(text))
    }

    /// Sets the working directory, relative to the one before, and answers with it.
    pub(crate) fn set_workdir(&mut self, path: &str) -> String {
        // Docker keeps an absolute path as it is written, and cleans only what it joins.
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            clean_absolute(&format!("{}/{path}", self.config.config.working_dir))
        };
        self.config.config.working_dir.clone_from(&path);
        path
    }

    /// A command as the config holds it: the shell form behind the shell.
    pub(crate) fn command(&self, command: &CommandLine) -> Vec<String> {
        match command {
            CommandLine::Exec(words) => words.iter().map(|word| word.text.clone()).collect(),
            CommandLine::Shell(word) => self.shell_command(&word.text),
        }
    }

    /// A line behind the shell.
    pub(crate) fn shell_command(&self, line: &str) -> Vec<String> {
        let mut args = match &self.config.config.shell {
            Some(shell) if !shell.is_empty() => shell.clone(),
            _ => DEFAULT_SHELL.map(str::to_owned).to_vec(),
        };
        args.push(line.to_owned());
        args
    }

    /// Brings what is a set in the config into the one order in which it is written.
    pub(crate) fn sort_sets(&mut self) {
        self.config.config.labels.sort_keys();
        self.config.config.exposed_ports.sort_keys();
        self.config.config.volumes.sort_keys();
    }

    fn env(&mut self, env: &Env, escape: Escape) -> Result<String, Diagnostic> {
        let mut text = String::from("ENV");
        let scope = Scope { env: &self.env, escape };
        let expand = |pair: &Pair| Ok((scope.word(&pair.key)?, scope.word(&pair.value)?));
        let set: Vec<(String, String)> =
            env.variables.iter().map(expand).collect::<Result<_, _>>()?;
        let config = &mut self.config.config.env;
        for ((key, value), written) in set.into_iter().zip(&env.variables) {
            set_variable(&mut self.env, &key, &value, &written.key)?;
            let pair = format!("{key}={value}");
            text.push_str(&format!(" {pair}"));
            let name = |entry: &String| entry.split('=').next() == Some(&key);
            match config.iter().position(name) {
                Some(known) => config[known] = pair,
                None => config.push(pair),
            }
        }
        Ok(text)
    }

    fn label(&mut self, label: &Label, scope: &Scope<'_>) -> Result<String, Diagnostic> {
        let mut text = String::from("LABEL");
        for pair in &label.labels {
            let (key, value) = (scope.word(&pair.key)?, scope.word(&pair.value)?);
            text.push_str(&format!(" {key}={value}"));
            self.config.config.labels.insert(key, value);
        }
        Ok(text)
    }

    fn expose(&mut self, expose: &Expose, scope: &Scope<'_>) -> Result<String, Diagnostic> {
        let mut keys = Vec::new();
        for word in &expose.ports {
            for port in scope.words(word)? {
                let ports = parse_port(&port)
                    .map_err(|error| Diagnostic::error(word.span, error.to_string()))?;
                keys.extend(ports.keys());
            }
        }
        for key in &keys {
            self.config.config.exposed_ports.insert(key.clone(), Value::Object(Map::new()));
        }
        Ok(format!("EXPOSE {}", history::plain_list(&keys)))
    }

    fn volume(&mut self, volume: &Volume, scope: &Scope<'_>) -> Result<String, Diagnostic> {
        let mut paths = Vec::new();
        for word in &volume.paths {
            let path = scope.word(word)?;
            if path.is_empty() {
                return Err(Diagnostic::error(word.span, "a path of VOLUME is blank"));
            }
            self.config.config.volumes.insert(path.clone(), Value::Object(Map::new()));
            paths.push(path);
        }
        Ok(format!("VOLUME {}", history::plain_list(&paths)))
    }

    fn unset(&mut self, unset: &Unset, scope: &Scope<'_>) -> Result<String, Diagnostic> {
        let config = &mut self.config.config;
        let mut names = Vec::new();
        for word in &unset.names {
            for name in scope.words(word)? {
                match unset.property {
                    Property::Env | Property::Label | Property::Volume => names.push(name),
                    Property::Expose => {
                        let ports = parse_port(&name)
                            .map_err(|error| Diagnostic::error(word.span, error.to_string()))?;
                        names.extend(ports.keys());
                    }
                }
            }
        }
        let is_left = |name: &String| !unset.names.is_empty() && !names.contains(name);
        match unset.property {
            Property::Env => {
                let mut env = Environment::from_config(&config.env);
                names.iter().for_each(|name| env.unset(name));
                names.iter().for_each(|name| self.env.unset(name));
                config.env = env.to_config();
            }
            Property::Expose => config.exposed_ports.retain(|name, _| is_left(name)),
            Property::Label => config.labels.retain(|name, _| is_left(name)),
            Property::Volume => config.volumes.retain(|name, _| is_left(name)),
        }
        names.insert(0, format!("UNSET {}", unset.property.name()));
        Ok(names.join(" "))
    }

    fn cmd(&mut self, command: &CommandLine) -> String {
        let args = self.command(command);
        let text = format!("CMD {}", history::quoted_list(&args));
        self.config.config.cmd = Some(args);
        self.config.config.args_escaped = true;
        self.cmd_set = true;
        text
    }

    fn entrypoint(&mut self, command: &CommandLine) -> String {
        let args = self.command(command);
        let text = format!("ENTRYPOINT {}", history::quoted_list(&args));
        self.config.config.entrypoint = Some(args);
        if !self.cmd_set {
            self.config.config.cmd = None;
        }
        text
    }

    fn shell(&mut self, shell: &Shell) -> String {
        let words: Vec<String> = shell.words.iter().map(|word| word.text.clone()).collect();
        let text = format!("SHELL {}", history::plain_list(&words));
        self.config.config.shell = Some(words);
        text
    }

    fn healthcheck(&mut self, check: &Healthcheck) -> String {
        let check = match check {
            Healthcheck::None => {
                oci::Healthcheck { test: vec!["NONE".into()], ..oci::Healthcheck::default() }
            }
            Healthcheck::Cmd(probe) => config_healthcheck(probe),
        };
        let text = format!("HEALTHCHECK {}", history::healthcheck(&check));
        self.config.config.healthcheck = Some(check);
        text
    }
}

fn config_healthcheck(probe: &Probe) -> oci::Healthcheck {
    let nanos = |flag: &Option<crate::instruction::Flag<std::time::Duration>>| {
        let duration = flag.as_ref().map(|flag| flag.value).unwrap_or_default();
        i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
    };
    let words = |words: &[Word]| words.iter().map(|word| word.text.clone()).collect::<Vec<_>>();
    let test = match &probe.command {
        CommandLine::Shell(line) => vec!["CMD-SHELL".to_owned(), line.text.clone()],
        CommandLine::Exec(args) => [vec!["CMD".to_owned()], words(args)].concat(),
    };
    oci::Healthcheck {
        test,
        interval: nanos(&probe.interval),
        timeout: nanos(&probe.timeout),
        start_period: nanos(&probe.start_period),
        start_interval: nanos(&probe.start_interval),
        retries: probe.retries.as_ref().map(|flag| i64::from(flag.value)).unwrap_or_default(),
    }
}
