//! A blank line inside of an instruction.

use super::{Phase, Report, Rule, Subject};
use crate::check::finding::Place;
use crate::instruction::Statement;
use crate::syntax::Span;

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "NoEmptyContinuation",
    description: "Empty continuation lines will become errors in a future release",
    url: "https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/",
    is_experimental: false,
    phase: Phase::Lines,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    for blank in &subject.blank_continuations {
        if let Some(place) = around(subject, *blank) {
            report.add_in(&RULE, place, *blank, "Empty continuation line".to_owned());
        }
    }
}

/// The instruction that holds `blank`.
fn around<'a>(subject: &Subject<'a>, blank: Span) -> Option<Place<'a>> {
    let dockerfile = subject.dockerfile;
    let global = dockerfile.meta_args.iter().find_map(|statement| holds(statement, blank));
    // The last stage that begins before it has it.
    let stage = dockerfile.stages.partition_point(|stage| stage.from.span.start <= blank.start);
    let stage = stage.checked_sub(1).map(|index| &dockerfile.stages[index]);
    global.or_else(|| {
        let stage = stage?;
        let body = &stage.body;
        let next = body.partition_point(|statement| statement.span.start <= blank.start);
        let inside = next.checked_sub(1).and_then(|index| holds(&body[index], blank));
        inside.or_else(|| holds(&stage.from, blank))
    })
}

fn holds<I>(statement: &Statement<I>, blank: Span) -> Option<Place<'_>> {
    let span = statement.span;
    (span.start <= blank.start && blank.end <= span.end).then(|| Place::of(statement))
}
