//! Here-documents: finding the words that begin them, and reading their bodies.

use std::borrow::Cow;
use std::ops::Range;

use super::{Span, Word};

/// `<<NAME` and the lines up to `NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The name that ends it, quotes removed.
    pub name: String,
    /// Whether variables in it expand: no part of the name was in quotes.
    pub expand: bool,
    /// Whether leading tabs are dropped (`<<-`).
    pub strip_tabs: bool,
    /// The file descriptor before the `<<`, if one was written.
    pub descriptor: Option<u32>,
    /// The word that began it, as written.
    pub word: Word,
    /// The lines as they stand, tabs included; each ends with its line break.
    pub content: String,
    /// Where those lines stand.
    pub span: Span,
}

/// What a word such as `3<<-'EOF'` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) name: String,
    pub(super) expand: bool,
    pub(super) strip_tabs: bool,
    pub(super) descriptor: Option<u32>,
}

impl Heredoc {
    /// Whether `word` begins a here-document.
    pub fn begins(word: &str) -> bool {
        Opening::parse(word).is_some()
    }

    /// The body: the content, without leading tabs where `<<-` asks for that.
    pub fn body(&self) -> Cow<'_, str> {
        if !self.strip_tabs {
            return Cow::Borrowed(&self.content);
        }
        let lines = self.content.split_inclusive('\n');
        Cow::Owned(lines.map(|line| line.trim_start_matches('\t')).collect())
    }
}

impl Opening {
    /// Reads digits, `<<`, an optional `-` and a name.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let arrows = word.find("<<")?;
        let digits = &word[..arrows];
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let rest = &word[arrows + 2..];
        let (strip_tabs, rest) = match rest.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let rest = rest.trim_start();
        if rest.contains('<') {
            return None;
        }
        let (name, quoted) = unquote(rest)?;
        Some(Self { name, expand: !quoted, strip_tabs, descriptor: digits.parse().ok() })
    }
}

/// The single word in `text` without quotes and escapes, and whether it had quotes.
fn unquote(text: &str) -> Option<(String, bool)> {
    let mut name = String::new();
    let mut quote: Option<char> = None;
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\'' | '"', None) => {
                quote = Some(c);
                quoted = true;
            }
            (c, Some(open)) if c == open => quote = None,
            ('\\', None) => name.extend(chars.next()),
            ('\\', Some('"')) => match chars.next_if(|c| matches!(c, '"' | '$' | '\\')) {
                Some(c) => name.push(c),
                None => name.push('\\'),
            },
            (c, None) if c.is_whitespace() => return None,
            (c, _) => name.push(c),
        }
    }
    (quote.is_none() && !name.is_empty()).then_some((name, quoted))
}

/// The words of `line` that begin here-documents, in order. The escape character is `\` here
/// whatever the file's is, and a line whose quotes do not close begins none.
pub(super) fn openings(line: &str) -> Vec<(Range<usize>, Opening)> {
    let Some(words) = shell_words(line) else { return Vec::new() };
    let openings = words.into_iter().map(|range| (Opening::parse(&line[range.clone()]), range));
    openings.filter_map(|(opening, range)| Some((range, opening?))).collect()
}

/// Where the words stand that a shell would see. Blanks behind `<<` belong to its word.
fn shell_words(line: &str) -> Option<Vec<Range<usize>>> {
    let mut words = Vec::new();
    let mut start: Option<usize> = None;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c.is_whitespace() {
            words.extend(start.take().map(|from| from..at));
            continue;
        }
        start.get_or_insert(at);
        match c {
            '\\' => {
                chars.next();
            }
            '\'' => {
                chars.find(|(_, c)| *c == '\'')?;
            }
            '"' => loop {
                match chars.next()?.1 {
                    '"' => break,
                    '\\' => {
                        chars.next();
                    }
                    _ => {}
                }
            },
            '<' if chars.next_if(|(_, c)| *c == '<').is_some() => {
                while chars.next_if(|(_, c)| matches!(c, ' ' | '\t' | '\r')).is_some() {}
            }
            _ => {}
        }
    }
    words.extend(start.map(|from| from..line.len()));
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_begin_here_documents() {
        for (line, names) in [
            ("RUN <<EOF", "EOF+"),
            ("RUN <<-EOF cat", "EOF+-"),
            ("RUN << EOF", "EOF+"),
            ("RUN cat 3<<'A' <<\"B C\"", "A,B C"),
            ("RUN <<E'O'F", "EOF"),
            ("RUN <<\\EOF", "EOF+"),
            ("RUN echo $((1<<4))", ""),
            ("RUN cat <<<word", ""),
            ("RUN echo \"<<EOF\"", ""),
            ("RUN echo it's <<EOF", ""),
            ("RUN echo a<<EOF", ""),
            ("RUN <<\"\"", ""),
            ("RUN cat <<EOF; ls", "EOF;+"),
        ] {
            let found = openings(line);
            let text = found.iter().map(|(_, opening)| {
                let expand = if opening.expand { "+" } else { "" };
                let strip = if opening.strip_tabs { "-" } else { "" };
                format!("{}{expand}{strip}", opening.name)
            });
            assert_eq!(text.collect::<Vec<_>>().join(","), names, "{line}");
        }
    }
}
