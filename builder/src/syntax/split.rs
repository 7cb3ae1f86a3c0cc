//! A line into keyword, flags and arguments.

use super::words::is_blank;
use super::{Escape, Heredoc, LogicalLine, Span, Text, Word};

/// A logical line, parted.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// All of it, blanks at both ends removed.
    pub text: Text<'a>,
    /// The first word.
    pub keyword: Word,
    /// The words that begin with `--`, up to the first that does not or to a bare `--`.
    pub flags: Vec<RawFlag>,
    /// What follows, blanks at both ends removed.
    pub rest: Text<'a>,
    /// What follows the keyword, flags included and blanks at the end kept.
    pub untrimmed_rest: &'a str,
    /// The here-documents that the line begins.
    pub heredocs: &'a [Heredoc],
    /// The file's escape character.
    pub escape: Escape,
}

/// `--name` or `--name=value`, quotes and escapes resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFlag {
    /// The name without its dashes.
    pub name: String,
    /// The value, if there is a `=`.
    pub value: Option<Word>,
    /// All of it.
    pub span: Span,
}

impl LogicalLine {
    /// Parts the line.
    pub fn split(&self) -> Line<'_> {
        Line::split(Text::new(&self.text, &self.map), &self.heredocs, self.escape)
    }
}

impl<'a> Line<'a> {
    /// Parts `line`, which may be the tail of another (the trigger of ONBUILD).
    pub fn split(line: Text<'a>, heredocs: &'a [Heredoc], escape: Escape) -> Self {
        let text = line.trim();
        let keyword_end = text.as_str().find(is_blank).unwrap_or(text.as_str().len());
        let untrimmed = line.as_str().trim_start();
        let untrimmed_rest = untrimmed[keyword_end..].trim_start();
        let behind = text.slice(keyword_end..text.as_str().len());
        let (flags, rest) = split_flags(behind, escape);
        let keyword = text.slice(0..keyword_end).word();
        Self { text, keyword, flags, rest: rest.trim(), untrimmed_rest, heredocs, escape }
    }
}

/// The flags at the start of `text`, and what follows them.
fn split_flags(text: Text<'_>, escape: Escape) -> (Vec<RawFlag>, Text<'_>) {
    let mut flags = Vec::new();
    let mut at = 0;
    let all = text.as_str();
    loop {
        at += all[at..].len() - all[at..].trim_start().len();
        if !all[at..].starts_with("--") {
            return (flags, text.slice(at..all.len()));
        }
        let (cooked, length) = cook(&all[at..], escape);
        let raw = text.slice(at..at + length);
        at += length;
        if cooked == "--" {
            return (flags, text.slice(at..all.len()));
        }
        flags.push(RawFlag::new(raw, &cooked));
    }
}

/// The word at the start of `text` without its quotes and escapes, and its length with them.
fn cook(text: &str, escape: Escape) -> (String, usize) {
    let mut cooked = String::new();
    let mut quote: Option<char> = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            (c, None) if c.is_whitespace() => return (cooked, at),
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            // Escapes hold in both kinds of quotes, and one at the very end is dropped.
            (c, _) if c == escape.as_char() => cooked.extend(chars.next().map(|(_, c)| c)),
            (c, _) => cooked.push(c),
        }
    }
    (cooked, text.len())
}

impl RawFlag {
    fn new(raw: Text<'_>, cooked: &str) -> Self {
        let span = raw.span();
        let body = cooked.strip_prefix("--").unwrap_or(cooked);
        let Some((name, value)) = body.split_once('=') else {
            return Self { name: body.to_owned(), value: None, span };
        };
        let value_span = raw.split_once(|c| c == '=').map_or(span, |(_, value)| value.span());
        Self { name: name.to_owned(), value: Some(Word::new(value, value_span)), span }
    }
}
