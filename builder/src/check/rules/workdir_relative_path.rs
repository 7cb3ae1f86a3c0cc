//! A first WORKDIR that depends on the base image.

use super::{Phase, Report, Rule, Subject};
use crate::check::walk::walk;
use crate::instruction::Instruction;

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "WorkdirRelativePath",
    description: "Relative workdir without an absolute workdir declared within the build can have \
                  unexpected results if the base image changes",
    url: "https://docs.docker.com/go/dockerfile/rule/workdir-relative-path/",
    is_experimental: false,
    phase: Phase::Instructions,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    walk(subject, |visit| {
        let Instruction::Workdir(workdir) = visit.instruction else { return };
        let Some(path) = subject.expand(&workdir.path, &visit.state.env) else { return };
        if !visit.state.has_workdir && !path.text.starts_with('/') {
            let detail = format!(
                "Relative workdir {:?} can have unexpected results if the base image changes",
                path.text
            );
            report.add(&RULE, visit.place, detail);
        }
    });
}
