//! Two stages of one name.

use std::collections::HashSet;

use super::{Phase, Report, Rule, Subject};

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "DuplicateStageName",
    description: "Stage names should be unique",
    url: "https://docs.docker.com/go/dockerfile/rule/duplicate-stage-name/",
    is_experimental: false,
    phase: Phase::Names,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    let mut seen = HashSet::new();
    for (from, place) in subject.froms() {
        let Some(name) = &from.instruction.name else { continue };
        if !seen.insert(&name.folded) {
            let name = &name.folded;
            let detail = format!("Duplicate stage name \"{name}\", stage names should be unique");
            report.add(&RULE, place.without_comments(), detail);
        }
    }
}
