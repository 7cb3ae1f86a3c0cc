//! `name=value` lists, and the older `name value`.

use crate::diagnostic::Diagnostic;
use crate::syntax::{Line, Text, Word, is_blank, quoted_words};

/// A name and its value; both expand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The name, not empty.
    pub key: Word,
    /// The value, quotes and escapes kept.
    pub value: Word,
    /// Whether it was written `name value`, without `=`.
    pub legacy: bool,
}

/// Reads the arguments of `ENV` and `LABEL`. One word without `=` at the start makes the whole
/// rest of the line its value.
pub(super) fn parse_pairs(line: &Line<'_>) -> Result<Vec<Pair>, Diagnostic> {
    let words = quoted_words(line.rest, line.escape);
    let keyword = &line.keyword;
    let Some(first) = words.first() else {
        let message = format!("{} needs at least one argument", keyword.text);
        return Err(Diagnostic::error(keyword.span, message));
    };
    if !first.as_str().contains('=') {
        return parse_legacy(line).map(|pair| vec![pair]);
    }
    words.into_iter().map(|word| split_pair(line, word)).collect()
}

fn parse_legacy(line: &Line<'_>) -> Result<Pair, Diagnostic> {
    let Some((key, value)) = line.rest.split_once(is_blank) else {
        let message = format!("{} needs a name and a value", line.keyword.text);
        return Err(Diagnostic::error(line.rest.span(), message).help("write `name=value`"));
    };
    Ok(Pair { key: key.word(), value: value.trim().word(), legacy: true })
}

fn split_pair(line: &Line<'_>, word: Text<'_>) -> Result<Pair, Diagnostic> {
    let Some((key, value)) = word.split_once(|c| c == '=') else {
        let message = format!("`{}` has no `=`", word.as_str());
        return Err(Diagnostic::error(word.span(), message)
            .help("write `name=value`, with quotes around a value that holds blanks"));
    };
    if key.is_empty() {
        let message = format!("a name of {} is blank", line.keyword.text);
        return Err(Diagnostic::error(word.span(), message));
    }
    Ok(Pair { key: key.word(), value: value.word(), legacy: false })
}
