//! `HEALTHCHECK`.

use std::time::Duration;

use super::duration::parse_duration;
use super::flag::{Flag, Flags};
use super::{CommandLine, Directive};
use crate::diagnostic::Diagnostic;
use crate::syntax::{Line, Text, Word};

/// `HEALTHCHECK NONE` or `HEALTHCHECK [flags] CMD command`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// No check, not even the base image's.
    None,
    /// A check.
    Cmd(Probe),
}

/// How a container's health is checked. A duration of zero, like none, means the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is run, not empty; exit status 0 means healthy.
    pub command: CommandLine,
    /// `--interval`: the time between two checks.
    pub interval: Option<Flag<Duration>>,
    /// `--timeout`: how long a check may take.
    pub timeout: Option<Flag<Duration>>,
    /// `--start-period`: how long failures do not count.
    pub start_period: Option<Flag<Duration>>,
    /// `--start-interval`: the time between two checks in the start period.
    pub start_interval: Option<Flag<Duration>>,
    /// `--retries`: how many failures in a row mean unhealthy.
    pub retries: Option<Flag<u32>>,
}

impl Directive for Healthcheck {
    const KEYWORD: &'static str = "HEALTHCHECK";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        let (kind, command) = split_kind(line.rest);
        match kind.as_str().to_ascii_uppercase().as_str() {
            "CMD" => parse_probe(line, kind, command).map(Self::Cmd),
            "NONE" => {
                Flags::none(line)?;
                if command.is_empty() {
                    return Ok(Self::None);
                }
                Err(Diagnostic::error(command.span(), "HEALTHCHECK NONE takes no arguments"))
            }
            "" => Err(Diagnostic::error(line.keyword.span, "HEALTHCHECK needs `NONE` or `CMD`")),
            _ => {
                let message = format!("`{}` is no kind of health check", kind.as_str());
                Err(Diagnostic::error(kind.span(), message)
                    .help("write `HEALTHCHECK CMD command` or `HEALTHCHECK NONE`"))
            }
        }
    }
}

/// The first word, and what follows it.
fn split_kind(rest: Text<'_>) -> (Text<'_>, Text<'_>) {
    match rest.split_once(char::is_whitespace) {
        Some((kind, command)) => (kind, command.trim()),
        None => (rest, rest.slice(rest.as_str().len()..rest.as_str().len())),
    }
}

fn parse_probe(line: &Line<'_>, kind: Text<'_>, text: Text<'_>) -> Result<Probe, Diagnostic> {
    let mut flags = Flags::of(line);
    let mut duration = |name| -> Result<Option<Flag<Duration>>, Diagnostic> {
        flags.word(name)?.map(|flag| flag.try_map(|word| read_duration(&word))).transpose()
    };
    let interval = duration("interval")?;
    let timeout = duration("timeout")?;
    let start_period = duration("start-period")?;
    let start_interval = duration("start-interval")?;
    let retries = flags.word("retries")?;
    let retries = retries.map(|flag| flag.try_map(|word| read_retries(&word))).transpose()?;
    flags.finish()?;
    let command = CommandLine::parse(text)?;
    if command.is_empty() {
        return Err(Diagnostic::error(kind.span(), "HEALTHCHECK CMD needs a command"));
    }
    Ok(Probe { command, interval, timeout, start_period, start_interval, retries })
}

/// An empty value counts as none, which is zero.
fn read_duration(word: &Word) -> Result<Duration, Diagnostic> {
    if word.text.is_empty() {
        return Ok(Duration::ZERO);
    }
    parse_duration(&word.text).map_err(|error| Diagnostic::error(word.span, error.to_string()))
}

fn read_retries(word: &Word) -> Result<u32, Diagnostic> {
    match word.text.strip_prefix('+').unwrap_or(&word.text).parse::<i32>() {
        _ if word.text.is_empty() => Ok(0),
        Ok(number) if number >= 0 => Ok(number.unsigned_abs()),
        _ => {
            let message = format!("`--retries` takes a number from 0, not `{}`", word.text);
            Err(Diagnostic::error(word.span, message))
        }
    }
}
