//! `FROM --platform=linux/amd64`, where the name of the stage does not say so.

use oci::Platform;

use super::{Phase, Report, Rule, Subject};

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "FromPlatformFlagConstDisallowed",
    description: "FROM --platform flag should not use a constant value",
    url: "https://docs.docker.com/go/dockerfile/rule/from-platform-flag-const-disallowed/",
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
        let is_constant = expansion.used.is_empty() && expansion.unset.is_empty();
        let Ok(platform) = expansion.text.parse::<Platform>() else { continue };
        let name = from.instruction.name.as_ref().map_or("", |name| name.folded.as_str());
        let says_so = name.contains(&platform.os) || name.contains(&platform.architecture);
        if is_constant && !says_so {
            let detail = format!(
                "FROM --platform flag should not use constant value \"{}\"",
                expansion.text
            );
            report.add(&RULE, place, detail);
        }
    }
}
