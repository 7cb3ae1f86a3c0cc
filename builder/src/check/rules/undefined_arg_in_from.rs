//! A variable in FROM that no global ARG declares.

use std::collections::HashSet;

use super::{Phase, Report, Rule, Subject};
use crate::check::suggest::closest;

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "UndefinedArgInFrom",
    description: "FROM command must use declared ARGs",
    url: "https://docs.docker.com/go/dockerfile/rule/undefined-arg-in-from/",
    is_experimental: false,
    phase: Phase::From,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    let declared: HashSet<&str> = declared(subject).collect();
    for (from, place) in subject.froms() {
        let platform = from.instruction.platform.as_ref().map(|flag| &flag.value);
        for word in [Some(&from.instruction.image), platform].into_iter().flatten() {
            let Some(expansion) = subject.expand(word, &subject.stages.global) else { continue };
            for name in expansion.unset.iter().filter(|name| !declared.contains(name.as_str())) {
                if report.is_full() {
                    return;
                }
                let meant = closest(name, self::declared(subject));
                let meant = meant.map(|meant| format!(" (did you mean {meant}?)"));
                let meant = meant.unwrap_or_default();
                let detail = format!("FROM argument '{name}' is not declared{meant}");
                report.add(&RULE, place, detail);
            }
        }
    }
}

/// The names that FROM may use, those without a value included.
fn declared<'s>(subject: &'s Subject<'_>) -> impl Iterator<Item = &'s str> {
    let arguments = subject.dockerfile.meta_args.iter().flat_map(|s| &s.instruction.arguments);
    let written = arguments.map(|argument| argument.name.text.as_str());
    written.chain(subject.stages.global.iter().map(|(name, _)| name))
}
