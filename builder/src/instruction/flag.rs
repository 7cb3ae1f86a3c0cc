//! The `--flags` between a keyword and its arguments.

use crate::diagnostic::Diagnostic;
use crate::syntax::{Line, RawFlag, Span, Word};

/// A flag's value and where the whole flag stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag<T> {
    /// The flag from its dashes to the end of its value.
    pub span: Span,
    /// The value.
    pub value: T,
}

impl<T> Flag<T> {
    /// The flag with its value read by `read`.
    pub(super) fn try_map<U, E>(self, read: impl FnOnce(T) -> Result<U, E>) -> Result<Flag<U>, E> {
        Ok(Flag { span: self.span, value: read(self.value)? })
    }
}

/// The flags of one line, handed out by name. What was asked for is what is known: the rest is
/// refused by [`Flags::finish`].
pub(super) struct Flags {
    left: Vec<RawFlag>,
    known: Vec<&'static str>,
}

impl Flags {
    pub(super) fn of(line: &Line<'_>) -> Self {
        Self { left: line.flags.clone(), known: Vec::new() }
    }

    /// Refuses every flag of an instruction that has none.
    pub(super) fn none(line: &Line<'_>) -> Result<(), Diagnostic> {
        Self::of(line).finish()
    }

    /// The value of a flag that may stand once.
    pub(super) fn word(&mut self, name: &'static str) -> Result<Option<Flag<Word>>, Diagnostic> {
        self.take_one(name)?.map(with_value).transpose()
    }

    /// The values of a flag that may stand more than once.
    pub(super) fn words(&mut self, name: &'static str) -> Result<Vec<Flag<Word>>, Diagnostic> {
        self.take(name).into_iter().map(with_value).collect()
    }

    /// A flag that is true when bare.
    pub(super) fn boolean(&mut self, name: &'static str) -> Result<Option<Flag<bool>>, Diagnostic> {
        let Some(raw) = self.take_one(name)? else { return Ok(None) };
        let value = match raw.value.as_ref().map(|word| word.text.to_ascii_lowercase()).as_deref() {
            None | Some("true") => true,
            Some("false") => false,
            Some(_) => {
                let message = format!("`--{name}` takes true or false");
                return Err(Diagnostic::error(raw.span, message));
            }
        };
        Ok(Some(Flag { span: raw.span, value }))
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(self) -> Result<(), Diagnostic> {
        let Some(raw) = self.left.first() else { return Ok(()) };
        let error = Diagnostic::error(raw.span, format!("unknown flag `--{}`", raw.name));
        match crate::diagnostic::suggest(&raw.name, self.known.iter().copied()) {
            Some(name) => Err(error.label(format!("did you mean --{name}?"))),
            None => Err(error),
        }
    }

    fn take(&mut self, name: &'static str) -> Vec<RawFlag> {
        self.known.push(name);
        self.left.extract_if(.., |raw| raw.name == name).collect()
    }

    fn take_one(&mut self, name: &'static str) -> Result<Option<RawFlag>, Diagnostic> {
        let mut taken = self.take(name).into_iter();
        let first = taken.next();
        match taken.next() {
            None => Ok(first),
            Some(second) => {
                Err(Diagnostic::error(second.span, format!("`--{name}` is given more than once")))
            }
        }
    }
}

fn with_value(raw: RawFlag) -> Result<Flag<Word>, Diagnostic> {
    match raw.value {
        Some(value) => Ok(Flag { span: raw.span, value }),
        None => {
            let message = format!("`--{0}` needs a value: `--{0}=…`", raw.name);
            Err(Diagnostic::error(raw.span, message))
        }
    }
}
