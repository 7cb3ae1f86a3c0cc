//! A stage named as something that is no stage.

use super::{Phase, Report, Rule, Subject};

/// What a stage of this name would hide.
const RESERVED: [&str; 2] = ["context", "scratch"];

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "ReservedStageName",
    description: "Reserved words should not be used as stage names",
    url: "https://docs.docker.com/go/dockerfile/rule/reserved-stage-name/",
    is_experimental: false,
    phase: Phase::Names,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    for (from, place) in subject.froms() {
        let name = from.instruction.name.as_ref().map(|name| name.folded.as_str());
        if let Some(name) = name.filter(|name| RESERVED.contains(name)) {
            let detail =
                format!("Stage name should not use the same name as reserved stage \"{name}\"");
            report.add(&RULE, place.without_comments(), detail);
        }
    }
}
