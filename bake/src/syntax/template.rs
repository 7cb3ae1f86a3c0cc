//! Texts with values in them: `"pre-${value}"`, here-documents, `%{ if … }`.

use super::cursor::Cursor;
use super::{Expression, Kind, Part, expression};
use crate::Result;

/// A text in quotes.
pub(super) fn quoted(cursor: &mut Cursor<'_>) -> Result<Expression> {
    let line = cursor.line();
    cursor.take("\"");
    let parts = cursor.across_lines(false, |cursor| parts(cursor, Form::Quoted))?;
    if !cursor.take("\"") {
        return cursor.error("a text has no closing quote");
    }
    Ok(cursor.node(Kind::Template(parts), line))
}

/// A text in quotes without values: a label.
pub(super) fn plain(cursor: &mut Cursor<'_>) -> Result<String> {
    match quoted(cursor)?.as_keyword() {
        Some(text) => Ok(text),
        None => cursor.error("a text without `${` is required here"),
    }
}

/// A text as JSON holds it: quotes and backslashes are themselves.
pub(super) fn bare(cursor: &mut Cursor<'_>) -> Result<Expression> {
    let line = cursor.line();
    let parts = cursor.across_lines(false, |cursor| parts(cursor, Form::Bare))?;
    Ok(cursor.node(Kind::Template(parts), line))
}

/// `<<END`, with the indentation taken off after `<<-END`.
pub(super) fn heredoc(cursor: &mut Cursor<'_>) -> Result<Expression> {
    let line = cursor.line();
    cursor.take("<<");
    let flush = cursor.take("-");
    let Some(marker) = cursor.identifier() else {
        return cursor.error("a word is missing after `<<`");
    };
    let rest = cursor.rest();
    let Some(start) = rest.find('\n').filter(|end| rest[..*end].trim().is_empty()) else {
        return cursor.error("a here-document begins on the next line");
    };
    let mut body = String::new();
    let mut at = start + 1;
    for text in rest[start + 1..].split_inclusive('\n') {
        if text.trim() == marker {
            // What ends the line is no part of it.
            let length = text.trim_end_matches(['\n', '\r']).len();
            cursor.at += at + length;
            let body = if flush { flushed(&body) } else { body };
            let mut inner = Cursor::new(cursor.file.clone(), &body, line + 1, cursor.depth + 1);
            let parts = inner.across_lines(false, |inner| parts(inner, Form::Bare))?;
            return Ok(cursor.node(Kind::Template(parts), line));
        }
        body.push_str(text);
        at += text.len();
    }
    cursor.error(format!("a here-document has no end: `{marker}` alone in a line"))
}

/// Without the spaces that all lines begin with. What follows a `~}` at the end of a line is no
/// line of its own.
fn flushed(text: &str) -> String {
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let mut continues = false;
    let mut lines = Vec::new();
    for line in text.split_inclusive('\n') {
        lines.push((line, std::mem::replace(&mut continues, line.trim_end().ends_with("~}"))));
    }
    let begun = lines.iter().filter(|(line, continues)| !continues && !line.trim().is_empty());
    let common = begun.map(|(line, _)| indentation(line)).min().unwrap_or(0);
    let flush = |(line, continues): &(&str, bool)| match continues {
        true => (*line).to_owned(),
        false => line.get(common..).unwrap_or("\n").to_owned(),
    };
    lines.iter().map(flush).collect()
}

/// How much of a text is left out after a `~}`: spaces, to the end of the line.
fn trimmed_length(text: &str) -> usize {
    let line = text.split_inclusive('\n').next().unwrap_or_default();
    line.len() - line.trim_start().len()
}

/// How a text is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In quotes, where backslashes mean something.
    Quoted,
    /// Up to its end.
    Bare,
}

/// What ends a run of pieces.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Text,
    Else,
    If,
    For,
}

fn parts(cursor: &mut Cursor<'_>, form: Form) -> Result<Vec<Part>> {
    let (mut parts, end) = run(cursor, form)?;
    if end != End::Text {
        return cursor.error("`%{` ends what has not begun");
    }
    if parts.is_empty() {
        parts.push(Part::Text(String::new()));
    }
    Ok(parts)
}

/// Pieces up to the end of the text or of a directive.
fn run(cursor: &mut Cursor<'_>, form: Form) -> Result<(Vec<Part>, End)> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut trims_next = false;
    loop {
        let rest = cursor.rest();
        let Some(next) = rest.chars().next() else {
            if form == Form::Quoted {
                return cursor.error("a text has no closing quote");
            }
            finish(&mut parts, &mut text, false);
            return Ok((parts, End::Text));
        };
        if std::mem::take(&mut trims_next) {
            cursor.at += trimmed_length(rest);
            continue;
        }
        if rest.starts_with("$${") || rest.starts_with("%%{") {
            text.push(next);
            text.push('{');
            cursor.at += 3;
        } else if rest.starts_with("${") {
            cursor.at += 2;
            finish(&mut parts, &mut text, cursor.take("~"));
            let value = cursor.across_lines(true, expression::read)?;
            trims_next = close(cursor)?;
            parts.push(Part::Value(value));
        } else if rest.starts_with("%{") {
            cursor.at += 2;
            finish(&mut parts, &mut text, cursor.take("~"));
            match directive(cursor, form, &mut trims_next)? {
                Directive::Part(part) => parts.push(part),
                Directive::End(end) => return Ok((parts, end)),
            }
        } else if form == Form::Quoted && next == '"' {
            finish(&mut parts, &mut text, false);
            return Ok((parts, End::Text));
        } else if form == Form::Quoted && next == '\n' {
            return cursor.error("a text has no closing quote in its line");
        } else if form == Form::Quoted && next == '\\' {
            text.push(escaped(cursor)?);
        } else {
            text.push(next);
            cursor.at += next.len_utf8();
        }
    }
}

/// Puts the text so far among the parts.
fn finish(parts: &mut Vec<Part>, text: &mut String, trimmed: bool) {
    let text = std::mem::take(text);
    let text = match trimmed {
        // Of what stands in the line.
        true => {
            let line = text.split_inclusive('\n').next_back().unwrap_or_default();
            let before = text.len() - line.len();
            format!("{}{}", &text[..before], line.trim_end())
        }
        false => text,
    };
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
}

/// Goes over `}`, and says whether spaces after it are left out.
fn close(cursor: &mut Cursor<'_>) -> Result<bool> {
    cursor.skip_lines()?;
    let trims = cursor.take("~");
    match cursor.take("}") {
        true => Ok(trims),
        false => cursor.error("`}` is missing here"),
    }
}

enum Directive {
    Part(Part),
    End(End),
}

fn directive(cursor: &mut Cursor<'_>, form: Form, trims_next: &mut bool) -> Result<Directive> {
    cursor.skip_lines()?;
    let word = cursor.identifier().unwrap_or_default();
    match word {
        "else" | "endif" | "endfor" => {
            *trims_next = close(cursor)?;
            // What follows is read by whoever began.
            if std::mem::take(trims_next) {
                cursor.at += trimmed_length(cursor.rest());
            }
            Ok(Directive::End(match word {
                "else" => End::Else,
                "endif" => End::If,
                _ => End::For,
            }))
        }
        "if" => {
            let condition = cursor.across_lines(true, expression::read)?;
            begin(cursor)?;
            let (then, end) = cursor.across_lines(false, |cursor| run(cursor, form))?;
            let (otherwise, end) = match end {
                End::Else => cursor.across_lines(false, |cursor| run(cursor, form))?,
                end => (Vec::new(), end),
            };
            match end {
                End::If => Ok(Directive::Part(Part::If { condition, then, otherwise })),
                _ => cursor.error("`%{ if }` has no `%{ endif }`"),
            }
        }
        "for" => {
            let mut names = Vec::new();
            loop {
                cursor.skip_lines()?;
                let Some(name) = cursor.identifier() else {
                    return cursor.error("a name is missing after `for`");
                };
                names.push(name.to_owned());
                cursor.skip_lines()?;
                if !cursor.take(",") {
                    break;
                }
            }
            if !cursor.take_word("in") {
                return cursor.error("`in` is missing here");
            }
            let of = cursor.across_lines(true, expression::read)?;
            begin(cursor)?;
            let (body, end) = cursor.across_lines(false, |cursor| run(cursor, form))?;
            let value_name = names.pop().unwrap_or_default();
            let key_name = names.pop();
            match end {
                End::For => Ok(Directive::Part(Part::For { key_name, value_name, of, body })),
                _ => cursor.error("`%{ for }` has no `%{ endfor }`"),
            }
        }
        _ => cursor.error("`%{` begins with one of if, else, endif, for, endfor"),
    }
}

/// Goes over the `}` of a directive that begins something.
fn begin(cursor: &mut Cursor<'_>) -> Result<()> {
    if close(cursor)? {
        cursor.at += trimmed_length(cursor.rest());
    }
    Ok(())
}

fn escaped(cursor: &mut Cursor<'_>) -> Result<char> {
    cursor.take("\\");
    let Some(next) = cursor.peek() else { return cursor.error("a text ends in a backslash") };
    cursor.at += next.len_utf8();
    let digits = match next {
        'n' => return Ok('\n'),
        'r' => return Ok('\r'),
        't' => return Ok('\t'),
        '"' | '\\' => return Ok(next),
        'u' => 4,
        'U' => 8,
        _ => return cursor.error(format!("there is no `\\{next}`")),
    };
    let code = cursor.rest().get(..digits).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    match code.and_then(char::from_u32) {
        Some(found) => {
            cursor.at += digits;
            Ok(found)
        }
        None => cursor.error("this is no character"),
    }
}
