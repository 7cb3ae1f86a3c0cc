//! CMD and ENTRYPOINT for a shell, which does not pass signals on.

use super::{Phase, Report, Rule, Subject};
use crate::check::walk::walk;
use crate::instruction::{CommandLine, Instruction};

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "JSONArgsRecommended",
    description: "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related \
                  to OS signals",
    url: "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
    is_experimental: false,
    phase: Phase::Instructions,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    walk(subject, |visit| {
        let command = match visit.instruction {
            Instruction::Cmd(cmd) => &cmd.command,
            Instruction::Entrypoint(entrypoint) => &entrypoint.command,
            _ => return,
        };
        // Who chose a shell meant it.
        if matches!(command, CommandLine::Shell(_)) && !visit.state.has_shell {
            let name = &visit.statement.keyword.text;
            let detail = format!(
                "JSON arguments recommended for {name} to prevent unintended behavior related to \
                 OS signals"
            );
            report.add(&RULE, visit.place, detail);
        }
    });
}
