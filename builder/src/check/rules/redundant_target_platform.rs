//! `FROM --platform=$TARGETPLATFORM`.

use super::{Phase, Report, Rule, Subject};

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "RedundantTargetPlatform",
    description: "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the \
                  default behavior",
    url: "https://docs.docker.com/go/dockerfile/rule/redundant-target-platform/",
    is_experimental: false,
    phase: Phase::From,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    for (from, place) in subject.froms() {
        let Some(written) = from.instruction.platform.as_ref().map(|flag| &flag.value) else {
            continue;
        };
        let Some(expansion) = subject.expand(written, &subject.stages.global) else { continue };
        let only = expansion.used.len() == 1 && expansion.used.contains("TARGETPLATFORM");
        let target = subject.stages.global.get("TARGETPLATFORM");
        if only && expansion.unset.is_empty() && target == Some(expansion.text.as_str()) {
            let written = &written.text;
            let detail = format!(
                "Setting platform to predefined {written} in FROM is redundant as this is the \
                 default behavior"
            );
            report.add(&RULE, place, detail);
        }
    }
}
