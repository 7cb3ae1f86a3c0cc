//! `FROM … as …`: two keywords in different case.

use super::{Phase, Report, Rule, Subject};

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "FromAsCasing",
    description: "The 'as' keyword should match the case of the 'from' keyword",
    url: "https://docs.docker.com/go/dockerfile/rule/from-as-casing/",
    is_experimental: false,
    phase: Phase::Parse,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    for (from, place) in subject.froms() {
        let Some(name) = &from.instruction.name else { continue };
        let (from, written) = (&from.keyword.text, &name.keyword.text);
        // FROM in mixed case is the matter of another rule.
        let matches = match from {
            from if *from == from.to_lowercase() => *written == written.to_lowercase(),
            from if *from == from.to_uppercase() => *written == written.to_uppercase(),
            _ => true,
        };
        if !matches {
            let detail = format!("'{written}' and '{from}' keywords' casing do not match");
            report.add(&RULE, place, detail);
        }
    }
}
