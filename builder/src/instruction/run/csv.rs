//! The comma-separated fields of `--mount` and `--device` (RFC 4180, one record).

use crate::diagnostic::Diagnostic;
use crate::syntax::{Span, Word};

/// The fields of `word`. A field in double quotes may hold commas, and `""` for a quote.
pub(super) fn fields(word: &Word) -> Result<Vec<Word>, Diagnostic> {
    let text = word.text.as_str();
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let (field, end) = match text[at..].strip_prefix('"') {
            Some(_) => quoted(word, at)?,
            None => bare(word, at)?,
        };
        found.push(Word::new(field, part(word, at, end)));
        if end >= text.len() {
            return Ok(found);
        }
        at = end + 1;
    }
}

/// The fields of a text that stands in no Dockerfile.
///
/// # Errors
/// A quote that is not closed or stands inside a field.
pub fn csv_fields(text: &str) -> Result<Vec<String>, Diagnostic> {
    let word = Word::new(text, Span::new(0, text.len()));
    Ok(fields(&word)?.into_iter().map(|field| field.text).collect())
}

/// The span of a part of the word, or of all of it where quotes were removed.
pub(super) fn part(word: &Word, start: usize, end: usize) -> Span {
    let Span { start: first, end: last } = word.span;
    if last - first == word.text.len() { Span::new(first + start, first + end) } else { word.span }
}

fn bare(word: &Word, at: usize) -> Result<(String, usize), Diagnostic> {
    let rest = &word.text[at..];
    let field = rest.split(',').next().unwrap_or(rest);
    if field.contains('"') {
        let message = format!("a quote stands inside the field `{field}`");
        return Err(Diagnostic::error(part(word, at, at + field.len()), message)
            .help("put the whole field in quotes: `\"source=a,b\"`"));
    }
    Ok((field.to_owned(), at + field.len()))
}

/// The field whose opening quote is at `at`, and the offset of the comma or end behind it.
fn quoted(word: &Word, at: usize) -> Result<(String, usize), Diagnostic> {
    let text = word.text.as_str();
    let mut field = String::new();
    let mut from = at + 1;
    loop {
        let Some(length) = text[from..].find('"') else {
            let span = part(word, at, text.len());
            return Err(Diagnostic::error(span, "the quote of this field is not closed"));
        };
        field.push_str(&text[from..from + length]);
        from += length + 1;
        match text[from..].chars().next() {
            Some('"') => {
                field.push('"');
                from += 1;
            }
            None | Some(',') => return Ok((field, from)),
            Some(_) => {
                let span = part(word, at, text.len());
                return Err(Diagnostic::error(span, "text follows the quote that closes a field"));
            }
        }
    }
}

/// A boolean as Go reads it.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Option<Vec<String>> {
        csv_fields(text).ok()
    }

    #[test]
    fn quotes_protect_commas() {
        for (text, expected) in [
            ("a,b", vec!["a", "b"]),
            ("a,,b,", vec!["a", "", "b", ""]),
            ("\"a,b\",c", vec!["a,b", "c"]),
            ("\"a\"\"b\"", vec!["a\"b"]),
            ("", vec![""]),
        ] {
            assert_eq!(split(text).as_deref(), Some(&expected.map_strings()[..]), "{text}");
        }
        for wrong in ["a\"b", "\"a", "\"a\"b"] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }

    trait MapStrings {
        fn map_strings(self) -> Vec<String>;
    }

    impl MapStrings for Vec<&str> {
        fn map_strings(self) -> Vec<String> {
            self.into_iter().map(str::to_owned).collect()
        }
    }
}
