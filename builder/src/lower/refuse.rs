//! What the language has and this builder does not build yet. It is refused before anything
//! runs, all of it at once, each at its place: nothing is ever ignored.

use crate::diagnostic::Diagnostic;
use crate::instruction::{Add, CopySource, Flag, Instruction, Key, Mount, Run, Security};
use crate::stage::Dockerfile;
use crate::syntax::Span;

/// What a mount of type secret is called.
pub(super) const SECRET: &str = "RUN --mount=type=secret";
/// What a mount of type ssh is called.
pub(super) const SSH: &str = "RUN --mount=type=ssh";

/// Everything in the needed stages that cannot be built yet.
pub(super) fn unsupported(dockerfile: &Dockerfile, needed: &[bool]) -> Vec<Diagnostic> {
    let mut refused = Vec::new();
    for stage in dockerfile.stages.iter().filter(|stage| needed[stage.index]) {
        for statement in &stage.body {
            check(&statement.instruction, &mut refused);
        }
    }
    refused
}

/// What of one instruction cannot be built yet.
pub(super) fn check(instruction: &Instruction, refused: &mut Vec<Diagnostic>) {
    match instruction {
        Instruction::Run(run) => check_run(run, refused),
        Instruction::Add(add) => check_add(add, refused),
        _ => {}
    }
}

/// The refusal of a thing at its place.
pub(super) fn not_yet(what: &str, span: Span) -> Diagnostic {
    Diagnostic::error(span, format!("{what} is not supported yet"))
}

fn check_run(run: &Run, refused: &mut Vec<Diagnostic>) {
    refused.extend(run.mounts.iter().filter_map(|flag| {
        let what = unsupported_mount(&flag.value)?;
        Some(not_yet(what, flag.span))
    }));
    refused.extend(run.devices.iter().map(|flag| not_yet("RUN --device", flag.span)));
    if let Some(Flag { span, value: Security::Insecure }) = run.security {
        refused.push(not_yet("RUN --security=insecure", span));
    }
}

/// What a mount of an unsupported type is, if its type can be told before variables are known.
fn unsupported_mount(mount: &Mount) -> Option<&'static str> {
    let field = mount.fields.iter().rev().find(|field| field.key == Key::Type)?;
    match field.value.as_ref()?.text.to_ascii_lowercase().as_str() {
        "secret" => Some(SECRET),
        "ssh" => Some(SSH),
        _ => None,
    }
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
