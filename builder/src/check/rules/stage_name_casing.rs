//! The name of a stage with capitals.

use super::{Phase, Report, Rule, Subject};

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "StageNameCasing",
    description: "Stage names should be lowercase",
    url: "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/",
    is_experimental: false,
    phase: Phase::Parse,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    for (from, place) in subject.froms() {
        let name = from.instruction.name.as_ref().map(|name| &name.written.text);
        if let Some(name) = name.filter(|name| name.to_lowercase() != **name) {
            report.add(&RULE, place, format!("Stage name '{name}' should be lowercase"));
        }
    }
}
