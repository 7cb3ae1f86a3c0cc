//! `FROM`.

use super::Directive;
use super::flag::{Flag, Flags};
use crate::diagnostic::Diagnostic;
use crate::syntax::{Line, Word, blank_separated};

/// `FROM [--platform=P] image [AS name]`: begins a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// An image, an earlier stage or `scratch`. Expands from the global arguments.
    pub image: Word,
    /// The name of the stage.
    pub name: Option<StageName>,
    /// `--platform`. Expands from the global arguments.
    pub platform: Option<Flag<Word>>,
}

/// The name of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageName {
    /// The name in lower case: what it is looked up by.
    pub folded: String,
    /// The name as it was written.
    pub written: Word,
    /// The word `AS` as it was written.
    pub keyword: Word,
}

impl Directive for From {
    const KEYWORD: &'static str = "FROM";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        let mut flags = Flags::of(line);
        let platform = flags.word("platform")?;
        flags.finish()?;

        let mut words = blank_separated(line.rest).into_iter();
        let shape = || {
            let message = "FROM takes an image, or an image, `AS` and a name";
            Diagnostic::error(line.keyword.span.to(line.rest.span()), message)
        };
        let image = words.next().ok_or_else(shape)?;
        let name = match (words.next(), words.next(), words.next()) {
            (None, ..) => None,
            (Some(keyword), Some(written), None) if keyword.text.eq_ignore_ascii_case("as") => {
                Some(StageName::parse(keyword, written)?)
            }
            (Some(second), ..) => {
                let error = shape();
                return Err(Diagnostic { span: second.span, ..error });
            }
        };
        Ok(Self { image, name, platform })
    }
}

impl StageName {
    fn parse(keyword: Word, written: Word) -> Result<Self, Diagnostic> {
        let folded = written.text.to_lowercase();
        if is_stage_name(&folded) {
            return Ok(Self { folded, written, keyword });
        }
        let message = format!("`{}` cannot name a stage", written.text);
        Err(Diagnostic::error(written.span, message)
            .note("a stage's name begins with a letter, then letters, digits, `-`, `_` and `.`"))
    }
}

/// Whether `name` matches `[a-z][a-z0-9-_.]*`.
fn is_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
}
