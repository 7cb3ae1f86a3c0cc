//! Files that ask for a frontend in a form that no Dockerfile has.

use std::collections::HashMap;

use super::directive::{start, syntax_after};
use super::{Source, Span, Word};
use crate::diagnostic::Diagnostic;

/// Why a file whose first lines are `// syntax=IMAGE`, or that is a JSON object with the key
/// `syntax`, is not read: it is written in the language of that frontend.
pub fn foreign_frontend(source: &Source) -> Option<Diagnostic> {
    let text = source.text.as_str();
    let image = syntax_after(text, "//").or_else(|| syntax_in_json(text))?;
    let message = format!("the file is written for `{}`, which is not run", image.text);
    Some(Diagnostic::error(image.span, message).note(format!(
        "a Dockerfile begins with `# syntax={}`, and is read without that image",
        image.text
    )))
}

/// The value of `syntax` in an object of texts, with the place of the key.
fn syntax_in_json(text: &str) -> Option<Word> {
    let at = start(text);
    let object = &text[at..];
    if !object.trim_start().starts_with('{') {
        return None;
    }
    let mut keys: HashMap<String, String> = serde_json::from_str(object).ok()?;
    let image = keys.remove("syntax")?;
    let key = object.find("\"syntax\"").map_or(at..at, |found| at + found..at + found + 8);
    Some(Word::new(image, Span::from(key)))
}
