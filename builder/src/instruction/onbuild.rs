//! `ONBUILD`.

use super::flag::Flags;
use super::statement::{build_statement, parse_statement};
use super::{Directive, Instruction, Statement};
use crate::diagnostic::Diagnostic;
use crate::syntax::{Directives, Line, LogicalLines, Source};

/// `ONBUILD instruction`: runs when the image becomes the base of another build.
#[derive(Debug, Clone, PartialEq)]
pub struct Onbuild {
    /// The instruction's text as the image's config stores it, here-documents included.
    pub trigger: String,
    /// The instruction, read.
    pub statement: Box<Statement>,
}

impl Directive for Onbuild {
    const KEYWORD: &'static str = "ONBUILD";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        Flags::none(line)?;
        if line.rest.is_empty() {
            let message = "ONBUILD needs an instruction";
            return Err(Diagnostic::error(line.keyword.span, message));
        }
        let inner = Line::split(line.rest, line.heredocs, line.escape);
        refuse_trigger(&inner)?;
        let mut trigger = line.untrimmed_rest.to_owned();
        for heredoc in line.heredocs {
            trigger.push('\n');
            trigger.push_str(&heredoc.content);
            trigger.push_str(&heredoc.name);
        }
        let statement = Box::new(build_statement(&inner, Vec::new())?);
        Ok(Self { trigger, statement })
    }
}

/// Refuses what cannot be a trigger.
fn refuse_trigger(inner: &Line<'_>) -> Result<(), Diagnostic> {
    let keyword = inner.keyword.text.to_ascii_uppercase();
    let message = match keyword.as_str() {
        "ONBUILD" => "ONBUILD cannot be the trigger of ONBUILD".to_owned(),
        "FROM" | "MAINTAINER" => format!("{keyword} cannot be a trigger of ONBUILD"),
        _ => return Ok(()),
    };
    Err(Diagnostic::error(inner.keyword.span, message))
}

/// Reads a trigger from a base image's config. `source` holds its text alone.
///
/// # Errors
/// What is wrong with the text: no instruction or more than one, or one that cannot be a trigger.
pub fn parse_onbuild_trigger(source: &Source) -> Result<Statement, Diagnostic> {
    let directives = Directives::default();
    let mut lines = LogicalLines::new(source, &directives, super::takes_heredocs);
    let Some(line) = lines.next().transpose()? else {
        let span = (0..source.text.len()).into();
        return Err(Diagnostic::error(span, "the trigger of ONBUILD is blank"));
    };
    if let Some(second) = lines.next().transpose()? {
        let message = "a trigger of ONBUILD is one instruction";
        return Err(Diagnostic::error(second.span, message));
    }
    refuse_trigger(&line.split())?;
    let statement = parse_statement(&line)?;
    debug_assert!(!matches!(statement.instruction, Instruction::Onbuild(_)));
    Ok(statement)
}
