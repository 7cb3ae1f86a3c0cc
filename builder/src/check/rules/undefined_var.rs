//! A variable that nothing sets before its use.

use std::collections::BTreeSet;

use super::{Phase, Report, Rule, Subject};
use crate::check::suggest::closest;
use crate::check::walk::{Visit, each_argument, walk};
use crate::instruction::{CopySource, Flag, Instruction, Pair};
use crate::syntax::{Heredoc, Word};

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "UndefinedVar",
    description: "Variables should be defined before their use",
    url: "https://docs.docker.com/go/dockerfile/rule/undefined-var/",
    is_experimental: false,
    phase: Phase::Instructions,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    walk(subject, |visit| {
        if report.is_full() {
            return;
        }
        let env = &visit.state.env;
        if let Instruction::Arg(arg) = visit.instruction {
            each_argument(subject, env, arg, |declared| {
                add(report, visit, &declared.unset);
            });
        }
        for word in words(visit.instruction) {
            if let Some(expansion) = subject.expand(word, env) {
                add(report, visit, &expansion.unset);
            }
        }
        for heredoc in heredocs(visit.instruction).filter(|heredoc| heredoc.expand) {
            if let Some(expansion) = subject.expand_heredoc(heredoc, env) {
                add(report, visit, &expansion.unset);
            }
        }
    });
}

/// Arguments of the builder's, which no ARG declares.
const OF_THE_BUILDER: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

fn add(report: &mut Report, visit: &Visit<'_>, unset: &BTreeSet<String>) {
    for name in unset {
        let declared = visit.state.declared.contains(name);
        if declared || OF_THE_BUILDER.contains(&name.as_str()) || report.is_full() {
            continue;
        }
        let meant = closest(name, visit.state.env.iter().map(|(name, _)| name));
        let meant = meant.map(|meant| format!(" (did you mean ${meant}?)")).unwrap_or_default();
        let detail = format!("Usage of undefined variable '${name}'{meant}");
        report.add(&RULE, visit.place, detail);
    }
}

/// The words of an instruction that expand, in the order in which they do; ARG is read apart,
/// as its words see one another.
fn words(instruction: &Instruction) -> Vec<&Word> {
    match instruction {
        Instruction::Env(env) => of_pairs(&env.variables),
        Instruction::Label(label) => of_pairs(&label.labels),
        Instruction::Add(add) => {
            let flags = [&add.chown, &add.chmod, &add.checksum];
            of_files(&flags, &add.sources, &add.destination)
        }
        Instruction::Copy(copy) => {
            of_files(&[&copy.chown, &copy.chmod], &copy.sources, &copy.destination)
        }
        Instruction::Run(run) => {
            let fields = run.mounts.iter().flat_map(|mount| &mount.value.fields);
            fields.filter_map(|field| field.value.as_ref()).collect()
        }
        Instruction::Workdir(workdir) => vec![&workdir.path],
        Instruction::User(user) => vec![&user.user],
        Instruction::Volume(volume) => volume.paths.iter().collect(),
        Instruction::Stopsignal(stopsignal) => vec![&stopsignal.signal],
        _ => Vec::new(),
    }
}

fn of_pairs(pairs: &[Pair]) -> Vec<&Word> {
    pairs.iter().flat_map(|pair| [&pair.key, &pair.value]).collect()
}

fn of_files<'w>(
    flags: &[&'w Option<Flag<Word>>],
    sources: &'w [CopySource],
    destination: &'w Word,
) -> Vec<&'w Word> {
    let flags = flags.iter().filter_map(|flag| flag.as_ref()).map(|flag| &flag.value);
    let sources = sources.iter().filter_map(|source| match source {
        CopySource::Path(word) => Some(word),
        CopySource::Heredoc(_) => None,
    });
    flags.chain(sources).chain([destination]).collect()
}

fn heredocs(instruction: &Instruction) -> impl Iterator<Item = &Heredoc> {
    let sources = match instruction {
        Instruction::Add(add) => &add.sources[..],
        Instruction::Copy(copy) => &copy.sources[..],
        _ => &[],
    };
    sources.iter().filter_map(|source| match source {
        CopySource::Heredoc(heredoc) => Some(heredoc),
        CopySource::Path(_) => None,
    })
}
