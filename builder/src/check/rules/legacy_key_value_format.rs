//! `ENV name value` and `LABEL name value`.

use super::{Phase, Report, Rule, Subject};
use crate::check::walk::walk;
use crate::instruction::Instruction;

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "LegacyKeyValueFormat",
    description: "Legacy key/value format with whitespace separator should not be used",
    url: "https://docs.docker.com/go/dockerfile/rule/legacy-key-value-format/",
    is_experimental: false,
    phase: Phase::Instructions,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    walk(subject, |visit| {
        let pairs = match visit.instruction {
            Instruction::Env(env) => &env.variables,
            Instruction::Label(label) => &label.labels,
            _ => return,
        };
        if pairs.iter().any(|pair| pair.legacy) {
            let name = &visit.statement.keyword.text;
            let detail = format!(
                "\"{name} key=value\" should be used instead of legacy \"{name} key value\" format"
            );
            report.add(&RULE, visit.place, detail);
        }
    });
}
