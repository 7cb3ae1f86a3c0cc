//! `UNSET`.

use super::Directive;
use super::flag::Flags;
use crate::diagnostic::Diagnostic;
use crate::syntax::{Line, Word, blank_separated};

/// `UNSET ENV|EXPOSE|LABEL|VOLUME name…`: takes back what the base or an earlier instruction
/// said. Docker knows no such instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unset {
    /// What is taken back.
    pub property: Property,
    /// The names of variables and labels, the ports, the paths; they expand. None is all there
    /// are, which variables must be named for.
    pub names: Vec<Word>,
}

/// What an image has a set of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// `ENV`
    Env,
    /// `EXPOSE`
    Expose,
    /// `LABEL`
    Label,
    /// `VOLUME`
    Volume,
}

impl Property {
    const ALL: [Property; 4] = [Self::Env, Self::Expose, Self::Label, Self::Volume];

    /// The keyword of the instruction that sets it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Env => "ENV",
            Self::Expose => "EXPOSE",
            Self::Label => "LABEL",
            Self::Volume => "VOLUME",
        }
    }
}

impl Directive for Unset {
    const KEYWORD: &'static str = "UNSET";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        Flags::none(line)?;
        let names = || Property::ALL.into_iter().map(Property::name);
        let mut words = blank_separated(line.rest).into_iter();
        let Some(first) = words.next() else {
            let error = Diagnostic::error(line.keyword.span, "UNSET does not say what");
            return Err(error.help("write `UNSET ENV name`, or EXPOSE, LABEL or VOLUME for ENV"));
        };
        let known = |property: &Property| first.text.eq_ignore_ascii_case(property.name());
        let Some(property) = Property::ALL.into_iter().find(known) else {
            let message = format!("UNSET cannot take back `{}`", first.text);
            return Err(Diagnostic::error(first.span, message)
                .did_you_mean(&first.text, names())
                .help("write `UNSET ENV name`, or EXPOSE, LABEL or VOLUME for ENV"));
        };
        let names: Vec<Word> = words.collect();
        if property == Property::Env && names.is_empty() {
            return Err(Diagnostic::error(line.rest.span(), "UNSET ENV names no variable")
                .help("write `UNSET ENV name`"));
        }
        Ok(Self { property, names })
    }
}
