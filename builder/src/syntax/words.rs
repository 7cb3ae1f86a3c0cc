//! Two ways of parting arguments into words.

use super::{Escape, Text, Word};

/// Whether `c` parts words: blank, tab and their kin, but no other white space.
pub fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\x0b' | '\x0c')
}

/// The words between blanks; quotes mean nothing.
pub fn blank_separated(text: Text<'_>) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.as_str().char_indices() {
        match (is_blank(c), start) {
            (true, Some(from)) => {
                words.push(text.slice(from..at).word());
                start = None;
            }
            (false, None) => start = Some(at),
            _ => {}
        }
    }
    if let Some(from) = start {
        words.push(text.slice(from..text.as_str().len()).word());
    }
    words
}

/// The words between white space that is neither quoted nor escaped. Quotes and escapes stay in
/// the words: expansion removes them.
pub fn quoted_words(text: Text<'_>, escape: Escape) -> Vec<Text<'_>> {
    let mut words = Vec::new();
    let mut word: Option<usize> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.as_str().char_indices();
    let mut end = text.as_str().len();
    while let Some((at, c)) = chars.next() {
        if c.is_whitespace() && quote.is_none() {
            if let Some(from) = word.take() {
                words.push(text.slice(from..at));
            }
            continue;
        }
        word.get_or_insert(at);
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            // In single quotes nothing escapes; elsewhere an escape takes the next character
            // with it, and one at the very end is dropped.
            (c, open) if c == escape.as_char() && open != Some('\'') => match chars.next() {
                Some(_) => {}
                None => end = at,
            },
            _ => {}
        }
    }
    if let Some(from) = word.filter(|from| *from < end) {
        words.push(text.slice(from..end));
    }
    words
}
