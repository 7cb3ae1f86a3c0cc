//! A protocol of EXPOSE in upper case.

use super::ports::ports;
use super::{Phase, Report, Rule, Subject};
use crate::check::walk::walk;

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "ExposeProtoCasing",
    description: "Protocol in EXPOSE instruction should be lowercase",
    url: "https://docs.docker.com/go/dockerfile/rule/expose-proto-casing/",
    is_experimental: false,
    phase: Phase::Instructions,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    walk(subject, |visit| {
        for (written, port) in ports(subject, visit) {
            if !port.lower_case {
                let detail = format!(
                    "Defined protocol '{written}' in EXPOSE instruction should be lowercase"
                );
                report.add(&RULE, visit.place, detail);
            }
        }
    });
}
