//! COPY or ADD of what the ignore file leaves out.

use super::{Phase, Report, Rule, Subject};
use crate::check::walk::walk;
use crate::instruction::{CopySource, Instruction};
use crate::paths::clean;

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "CopyIgnoredFile",
    description: "Attempting to Copy file that is excluded by .dockerignore",
    url: "https://docs.docker.com/go/dockerfile/rule/copy-ignored-file/",
    is_experimental: false,
    phase: Phase::Instructions,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    // What is taken back in cannot be told without looking at the files.
    if subject.ignore.is_empty() || subject.ignore.has_exceptions() {
        return;
    }
    walk(subject, |visit| {
        let (verb, sources) = match visit.instruction {
            Instruction::Copy(copy) if copy.from.is_none() => ("Copy", &copy.sources),
            Instruction::Add(add) => ("Add", &add.sources),
            _ => return,
        };
        for source in sources {
            let CopySource::Path(word) = source else { continue };
            let Some(path) = subject.expand(word, &visit.state.env) else { continue };
            if verb == "Add" && is_remote(&path.text) {
                continue;
            }
            let path = clean(&path.text);
            // The context itself is left out by what matches any name only.
            let is_context = path == "." || path == "/";
            if subject.ignore.matches(&path) && (!is_context || subject.ignore.matches("any")) {
                let detail =
                    format!("Attempting to {verb} file {path:?} that is excluded by .dockerignore");
                report.add(&RULE, visit.place, detail);
            }
        }
    });
}

fn is_remote(source: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@"].iter().any(|it| source.starts_with(it))
}
