//! An instruction with the text that it came from.

use super::{Directive, HEREDOC_KEYWORDS, Instruction, Onbuild};
use crate::diagnostic::Diagnostic;
use crate::syntax::{
    Comment, Directives, Heredoc, Line, LogicalLine, LogicalLines, Source, Span, Word,
};

/// An instruction where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement<I = Instruction> {
    /// The instruction.
    pub instruction: I,
    /// The logical line, continuations included, here-documents not.
    pub span: Span,
    /// The keyword as it was written.
    pub keyword: Word,
    /// The logical line, continuations joined and blanks at both ends removed: what progress and
    /// history show.
    pub text: String,
    /// The comments right above.
    pub comments: Vec<Comment>,
    /// The here-documents that the line began, in order.
    pub heredocs: Vec<Heredoc>,
}

impl<I> Statement<I> {
    /// The instruction, and the rest of the statement.
    pub(crate) fn take(self) -> (I, Statement<()>) {
        let Self { instruction, span, keyword, text, comments, heredocs } = self;
        (instruction, Statement { instruction: (), span, keyword, text, comments, heredocs })
    }

    /// The statement with another instruction.
    pub(crate) fn with<J>(self, instruction: J) -> Statement<J> {
        let Self { instruction: _, span, keyword, text, comments, heredocs } = self;
        Statement { instruction, span, keyword, text, comments, heredocs }
    }
}

/// Reads the instruction of one logical line.
pub(crate) fn parse_statement(line: &LogicalLine) -> Result<Statement, Diagnostic> {
    build_statement(&line.split(), line.comments.clone())
}

pub(super) fn build_statement(
    line: &Line<'_>,
    comments: Vec<Comment>,
) -> Result<Statement, Diagnostic> {
    Ok(Statement {
        instruction: Instruction::parse(line)?,
        span: line.text.span(),
        keyword: line.keyword.clone(),
        text: line.text.as_str().to_owned(),
        comments,
        heredocs: line.heredocs.to_vec(),
    })
}

/// Whether `<<` in a line with these keywords begins a here-document. `ONBUILD` takes them for
/// its trigger.
pub(crate) fn takes_heredocs(line: &Line<'_>) -> bool {
    let takes = |keyword: &str| {
        HEREDOC_KEYWORDS.iter().any(|(known, takes)| *takes && keyword.eq_ignore_ascii_case(known))
    };
    if line.keyword.text.eq_ignore_ascii_case(Onbuild::KEYWORD) {
        return takes(&Line::split(line.rest, &[], line.escape).keyword.text);
    }
    takes(&line.keyword.text)
}

/// All of the arguments as one word, of an instruction that takes exactly one.
pub(super) fn whole_rest(line: &Line<'_>) -> Result<Word, Diagnostic> {
    if line.rest.is_empty() {
        let message = format!("{} needs an argument", line.keyword.text);
        return Err(Diagnostic::error(line.keyword.span, message));
    }
    Ok(line.rest.word())
}

/// The instructions that `commit --change` takes: those that only edit the config.
const CHANGES: &[&str] = &[
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "SHELL",
    "STOPSIGNAL",
    "UNSET",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Reads the instructions of one `--change` of `commit`, of which there may be more than one on
/// lines of their own.
///
/// # Errors
/// Everything that is wrong, also an instruction that does more than edit the config.
pub fn parse_change(source: &Source) -> Result<Vec<Statement>, Vec<Diagnostic>> {
    let directives = Directives::default();
    let mut statements = Vec::new();
    let mut wrong = Vec::new();
    for line in LogicalLines::new(source, &directives, takes_heredocs) {
        let parsed = line.and_then(|line| parse_statement(&line)).and_then(refuse_other);
        match parsed {
            Ok(statement) => statements.push(statement),
            Err(diagnostic) => wrong.push(diagnostic),
        }
    }
    if wrong.is_empty() { Ok(statements) } else { Err(wrong) }
}

fn refuse_other(statement: Statement) -> Result<Statement, Diagnostic> {
    let keyword = statement.instruction.keyword();
    if CHANGES.contains(&keyword) {
        return Ok(statement);
    }
    let message = format!("{keyword} is no change of the config");
    Err(Diagnostic::error(statement.keyword.span, message)
        .note(format!("these are: {}", CHANGES.join(", "))))
}
