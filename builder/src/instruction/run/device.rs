//! `RUN --device`.

use super::csv::{fields, parse_bool};
use crate::diagnostic::Diagnostic;
use crate::syntax::Word;

/// A device of the Container Device Interface that a command asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name: `vendor.com/class=name`, or a class. Does not expand.
    pub name: Word,
    /// Whether the build fails without it.
    pub required: bool,
}

impl Device {
    /// Reads `[name=]NAME[,required[=bool]]`.
    pub(super) fn parse(word: &Word) -> Result<Self, Diagnostic> {
        let mut name: Option<Word> = None;
        let mut required = false;
        for field in fields(word)? {
            match field.text.split_once('=').map(|(key, value)| (key.to_ascii_lowercase(), value)) {
                Some((key, value)) if key == "required" => {
                    required = parse_bool(value).ok_or_else(|| {
                        let message = format!("`required` takes true or false, not `{value}`");
                        Diagnostic::error(field.span, message)
                    })?;
                }
                Some((key, value)) if key == "name" && name.is_none() => {
                    name = Some(Word::new(value, field.span));
                }
                None if field.text.eq_ignore_ascii_case("required") => required = true,
                // A qualified device name holds a `=` itself.
                _ if name.is_none() => name = Some(field),
                _ => {
                    let message = format!("unexpected field `{}` of a device", field.text);
                    return Err(Diagnostic::error(field.span, message)
                        .note("a device has one name and `required`"));
                }
            }
        }
        match name.filter(|name| !name.text.is_empty()) {
            Some(name) => Ok(Self { name, required }),
            None => Err(Diagnostic::error(word.span, "`--device` needs the name of a device")),
        }
    }
}
