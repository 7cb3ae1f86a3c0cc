//! What the language has and this builder does not build yet, and what it may not do here. It is
//! refused before anything runs, all of it at once, each at its place: nothing is ever ignored.

use crate::diagnostic::Diagnostic;
use crate::instruction::{Add, CopySource, Flag, Instruction, Network, Run, Security};
use crate::request::{BuildRequest, NetworkMode};
use crate::stage::Dockerfile;
use crate::syntax::Span;

/// Everything in the needed stages that cannot be built.
pub(super) fn refused(
    dockerfile: &Dockerfile,
    needed: &[bool],
    request: &BuildRequest,
) -> Vec<Diagnostic> {
    let mut refused = Vec::new();
    for stage in dockerfile.stages.iter().filter(|stage| needed[stage.index]) {
        for statement in &stage.body {
            check(&statement.instruction, request, &mut refused);
        }
    }
    refused
}

/// What of one instruction cannot be built.
pub(super) fn check(
    instruction: &Instruction,
    request: &BuildRequest,
    refused: &mut Vec<Diagnostic>,
) {
    match instruction {
        Instruction::Run(run) => check_run(run, request, refused),
        Instruction::Add(add) => check_add(add, refused),
        _ => {}
    }
}

/// The refusal of a thing at its place.
pub(super) fn not_yet(what: &str, span: Span) -> Diagnostic {
    Diagnostic::error(span, format!("{what} is not supported yet"))
}

fn check_run(run: &Run, request: &BuildRequest, refused: &mut Vec<Diagnostic>) {
    let grants = &request.grants;
    if let Some(Flag { span, value: Security::Insecure }) = run.security
        && !grants.insecure
    {
        refused.push(not_allowed("security.insecure", span));
    }
    // Where the build has the machine's network, so has every RUN.
    if let Some(Flag { span, value: Network::Host }) = run.network
        && request.sandbox.network != NetworkMode::Host
        && !grants.host_network
    {
        refused.push(not_allowed("network.host", span));
    }
}

fn not_allowed(what: &str, span: Span) -> Diagnostic {
    Diagnostic::error(span, format!("{what} is not allowed"))
        .help(format!("allow it with `--allow {what}`"))
}

fn check_add(add: &Add, refused: &mut Vec<Diagnostic>) {
    if let Some(flag) = add.keep_git_dir {
        refused.push(not_yet("ADD --keep-git-dir", flag.span));
    }
    if let Some(flag) = add.unpack {
        refused.push(not_yet("ADD --unpack", flag.span));
    }
    if let Some(flag) = &add.checksum {
        refused.push(not_yet("ADD --checksum", flag.span));
    }
    for source in &add.sources {
        if let CopySource::Path(word) = source
            && let Some(what) = remote(&word.text)
        {
            refused.push(not_yet(&format!("ADD of {what}"), word.span));
        }
    }
}

/// What a source is that is no path.
pub(super) fn remote(source: &str) -> Option<&'static str> {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| source.starts_with(prefix));
    let path = source.split(['#', '?']).next().unwrap_or(source);
    if starts(&["http://", "https://"]) {
        return Some(if path.ends_with(".git") { "a git repository" } else { "a URL" });
    }
    starts(&["git://", "ssh://", "git@"]).then_some("a git repository")
}
