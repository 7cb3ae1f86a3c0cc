//! `MAINTAINER`.

use super::{Phase, Report, Rule, Subject};
use crate::check::finding::Place;
use crate::instruction::Instruction;

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "MaintainerDeprecated",
    description: "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    url: "https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/",
    is_experimental: false,
    phase: Phase::Parse,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    for (_, statement) in subject.statements() {
        if let Instruction::Maintainer(_) = &statement.instruction {
            let detail = "Maintainer instruction is deprecated in favor of using label";
            report.add(&RULE, Place::of(statement), detail.to_owned());
        }
    }
}
