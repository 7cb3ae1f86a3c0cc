//! A comment above ARG or FROM that does not begin with the name it would describe.

use super::{Phase, Report, Rule, Subject};
use crate::check::finding::Place;
use crate::instruction::{Arg, Instruction, Statement};

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "InvalidDefinitionDescription",
    description: "Comment for build stage or argument should follow the format: `# <arg/stage name> \
                  <description>`. If this is not intended to be a description comment, add an \
                  empty line or comment between the instruction and the comment.",
    url: "https://docs.docker.com/go/dockerfile/rule/invalid-definition-description/",
    is_experimental: true,
    phase: Phase::Parse,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    for statement in &subject.dockerfile.meta_args {
        check_arg(report, statement, &statement.instruction);
    }
    for (from, place) in subject.froms() {
        if let Some(name) = &from.instruction.name {
            check(report, place, from, "FROM", &[name.folded.as_str()]);
        }
    }
    for (_, statement) in subject.statements() {
        if let Instruction::Arg(arg) = &statement.instruction {
            check_arg(report, statement, arg);
        }
    }
}

fn check_arg<I>(report: &mut Report, statement: &Statement<I>, arg: &Arg) {
    let names: Vec<&str> = arg.arguments.iter().map(|arg| arg.name.text.as_str()).collect();
    check(report, Place::of(statement), statement, "ARG", &names);
}

fn check<I>(
    report: &mut Report,
    place: Place<'_>,
    statement: &Statement<I>,
    keyword: &str,
    names: &[&str],
) {
    let Some(comment) = statement.comments.last() else { return };
    let first = comment.text.split(' ').next().unwrap_or_default();
    if names.contains(&first) {
        return;
    }
    let name = match names {
        [name] => *name,
        _ => "<arg_key>",
    };
    let detail =
        format!("Comment for {keyword} should follow the format: `# {name} <description>`");
    report.add(&RULE, place, detail);
}
