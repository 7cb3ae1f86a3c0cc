//! The JSON form of an instruction's arguments.

use super::{Span, Text, Word};
use crate::diagnostic::Diagnostic;

/// What arguments turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonArray {
    /// A JSON array of strings: their values, and where each stands with its quotes.
    Strings(Vec<Word>),
    /// No JSON array, however close it may look.
    NotJson,
}

/// Reads `text` as a JSON array of strings. Invalid JSON is no error: it means the shell form.
///
/// # Errors
/// A valid array that holds anything but strings.
pub fn json_strings(text: Text<'_>) -> Result<JsonArray, Diagnostic> {
    let text = text.trim();
    if !text.as_str().starts_with('[') {
        return Ok(JsonArray::NotJson);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text.as_str()) else {
        return Ok(JsonArray::NotJson);
    };
    let strings = values
        .into_iter()
        .map(|value| match value {
            serde_json::Value::String(string) => Some(string),
            _ => None,
        })
        .collect::<Option<Vec<_>>>();
    let Some(strings) = strings else {
        let message = "a JSON array of arguments holds strings only";
        return Err(Diagnostic::error(text.span(), message).help("put every element in quotes"));
    };
    let spans = string_spans(text);
    let words = strings.into_iter().zip(spans).map(|(string, span)| Word::new(string, span));
    Ok(JsonArray::Strings(words.collect()))
}

/// Where the strings stand in a valid array of strings.
fn string_spans(text: Text<'_>) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut start = None;
    let mut escaped = false;
    for (at, byte) in text.as_str().bytes().enumerate() {
        match (byte, start) {
            _ if escaped => escaped = false,
            (b'\\', Some(_)) => escaped = true,
            (b'"', None) => start = Some(at),
            (b'"', Some(from)) => {
                spans.push(text.span_of(from..at + 1));
                start = None;
            }
            _ => {}
        }
    }
    spans
}
