//! A second CMD, ENTRYPOINT or HEALTHCHECK, which makes the first pointless.

use super::{Phase, Report, Rule, Subject};
use crate::check::finding::Extent;
use crate::check::walk::walk;
use crate::instruction::Instruction;

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "MultipleInstructionsDisallowed",
    description: "Multiple instructions of the same type should not be used in the same stage",
    url: "https://docs.docker.com/go/dockerfile/rule/multiple-instructions-disallowed/",
    is_experimental: false,
    phase: Phase::Instructions,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    // What the stage has given so far, and where.
    let mut last: [Option<Extent>; 3] = [None; 3];
    let mut stage = None;
    walk(subject, |visit| {
        if stage != Some(visit.stage) {
            stage = Some(visit.stage);
            last = [None; 3];
        }
        let kind = match visit.instruction {
            Instruction::Cmd(_) => 0,
            Instruction::Entrypoint(_) => 1,
            Instruction::Healthcheck(_) => 2,
            _ => return,
        };
        if let Some(earlier) = last[kind] {
            let name = &visit.statement.keyword.text;
            let detail = format!(
                "Multiple {name} instructions should not be used in the same stage because only \
                 the last one will be used"
            );
            report.add_earlier(&RULE, earlier, visit.place, detail);
        }
        last[kind] = Some(visit.place.extent());
    });
}
