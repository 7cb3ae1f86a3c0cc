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

/// The instruction that `blank` continues: the last that begins before it.
fn around<'a>(subject: &Subject<'a>, blank: Span) -> Option<Place<'a>> {
    let dockerfile = subject.dockerfile;
    let stages = &dockerfile.stages;
    let later = stages.partition_point(|stage| stage.from.span.start <= blank.start);
    match later.checked_sub(1).map(|index| &stages[index]) {
        None => before(&dockerfile.meta_args, blank),
        Some(stage) => before(&stage.body, blank).or(Some(Place::of(&stage.from))),
    }
}

fn before<I>(statements: &[Statement<I>], blank: Span) -> Option<Place<'_>> {
    let later = statements.partition_point(|statement| statement.span.start <= blank.start);
    later.checked_sub(1).map(|index| Place::of(&statements[index]))
}
