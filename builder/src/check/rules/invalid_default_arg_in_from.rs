//! A FROM that names no image where no build argument is given.

use super::{Phase, Report, Rule, Subject};
use oci::Reference;

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "InvalidDefaultArgInFrom",
    description: "Default value for global ARG results in an empty or invalid base image name",
    url: "https://docs.docker.com/go/dockerfile/rule/invalid-default-arg-in-from/",
    is_experimental: false,
    phase: Phase::Defaults,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    let Some(defaults) = &subject.stages.defaults else { return };
    for (from, place) in subject.froms() {
        let written = &from.instruction.image;
        let Some(expansion) = subject.expand(written, defaults) else { return };
        if expansion.text.parse::<Reference>().is_err() {
            let detail = format!(
                "Default value for ARG {} results in empty or invalid base image name",
                written.text
            );
            report.add(&RULE, place.without_comments(), detail);
        }
    }
}
