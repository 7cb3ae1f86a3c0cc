//! Keywords in upper and in lower case.

use super::{Phase, Report, Rule, Subject};
use crate::check::finding::Place;

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "ConsistentInstructionCasing",
    description: "All commands within the Dockerfile should use the same casing (either upper or \
                  lower)",
    url: "https://docs.docker.com/go/dockerfile/rule/consistent-instruction-casing/",
    is_experimental: false,
    phase: Phase::Casing,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    let (mut lower, mut upper) = (0, 0);
    each_keyword(subject, |keyword, _| {
        lower += usize::from(keyword == keyword.to_lowercase());
        upper += usize::from(keyword == keyword.to_uppercase());
    });
    let (is_lower, case) = if lower > upper { (true, "lowercase") } else { (false, "uppercase") };
    each_keyword(subject, |keyword, place| {
        let right = if is_lower { keyword.to_lowercase() } else { keyword.to_uppercase() };
        if keyword != right {
            let detail = format!(
                "Command '{keyword}' should match the case of the command majority ({case})"
            );
            report.add(&RULE, place.without_comments(), detail);
        }
    });
}

/// The keywords of the stages; global arguments do not count.
fn each_keyword(subject: &Subject<'_>, mut each: impl FnMut(&str, Place<'_>)) {
    for stage in &subject.dockerfile.stages {
        each(&stage.from.keyword.text, Place::of(&stage.from));
        for statement in &stage.body {
            each(&statement.keyword.text, Place::of(statement));
        }
    }
}
