//! What the progress display calls the steps: `[stage 2/5] RUN make`.

use crate::instruction::{Instruction, Statement};

/// Counts the steps of a stage as they are lowered.
pub(super) struct Names {
    stage: String,
    next: usize,
    total: usize,
}

impl Names {
    /// For a stage of `total` steps. A file of one stage does not name it.
    pub(super) fn new(stage: String, total: usize) -> Names {
        Names { stage, next: 1, total }
    }

    /// The name of the next step, which `what` describes.
    pub(super) fn next(&mut self, what: &str) -> String {
        let Names { stage, next, total } = self;
        let blank = if stage.is_empty() { "" } else { " " };
        let width = total.to_string().len();
        let name = format!("[{stage}{blank}{next:width$}/{total}] {what}");
        *next += 1;
        name
    }
}

/// Whether an instruction makes a step.
pub(super) fn is_step(instruction: &Instruction) -> bool {
    matches!(
        instruction,
        Instruction::Add(_) | Instruction::Copy(_) | Instruction::Run(_) | Instruction::Workdir(_)
    )
}

/// A statement on one line, with the beginning of its first here-document.
pub(super) fn describe(statement: &Statement) -> String {
    let line = statement.text.replace(['\n', '\r'], " ");
    let keyword_end = line.find(char::is_whitespace).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(keyword_end);
    let mut text = format!("{}{rest}", keyword.to_ascii_uppercase());
    if let (Instruction::Run(_), Some(heredoc)) =
        (&statement.instruction, statement.heredocs.first())
    {
        let content = heredoc.content.trim();
        let mut lines = content.lines();
        let first = lines.next().unwrap_or_default();
        let more = if lines.next().is_some() { "..." } else { "" };
        text.push_str(&format!(" ({first}{more})"));
    }
    text
}
