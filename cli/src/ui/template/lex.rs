//! A template's text as pieces: what stands outside of `{{…}}`, and the words inside.

/// One piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Action(Vec<Word>),
}

/// One word of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    /// `.A.B`; no name is the value itself.
    Field(Vec<String>),
    /// `.A.B` right behind a parenthesis: of what is in it.
    Of(Vec<String>),
    /// `$x.A`, without the sign; no name but the first is the variable itself.
    Variable(Vec<String>),
    /// A function or a keyword.
    Name(String),
    Text(String),
    Number(i64),
    /// `(`, `)`, `|`, `,`, `:=`, `=`.
    Sign(&'static str),
}

/// What trims the text before or behind an action: a minus with a space on the other side.
const TRIM: char = '-';

/// Takes a template apart.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let (mut rest, mut trims) = (text, false);
    while let Some((before, after)) = rest.split_once("{{") {
        let trims_before = after.strip_prefix(TRIM).filter(|inside| begins_with_space(inside));
        let after = trims_before.unwrap_or(after);
        let before = if trims { before.trim_start() } else { before };
        let before = if trims_before.is_some() { before.trim_end() } else { before };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        let (words, behind) = action(after)?;
        if let Some(words) = words {
            pieces.push(Piece::Action(words));
        }
        trims = behind.trims;
        rest = behind.rest;
    }
    let rest = if trims { rest.trim_start() } else { rest };
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

fn begins_with_space(text: &str) -> bool {
    text.starts_with(char::is_whitespace)
}

/// What follows an action.
struct Behind<'a> {
    rest: &'a str,
    /// Whether it loses its white space.
    trims: bool,
}

/// The words up to `}}`; nothing for a comment.
fn action(text: &str) -> Result<(Option<Vec<Word>>, Behind<'_>), String> {
    const OPEN: &str = "a placeholder `{{` has no `}}`";
    if let Some(comment) = text.trim_start().strip_prefix("/*") {
        let (_, rest) = comment.split_once("*/").ok_or(OPEN)?;
        return Ok((None, end(rest).ok_or(OPEN)?));
    }
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        if let Some(behind) = end(rest) {
            return Ok((Some(words), behind));
        }
        rest = rest.trim_start();
        if rest.is_empty() {
            return Err(OPEN.into());
        }
        let (found, behind) = word(rest)?;
        let ends_group = found == Word::Sign(")");
        words.push(found);
        rest = behind;
        if ends_group && rest.starts_with('.') {
            match word(rest)? {
                (Word::Field(path), behind) => {
                    words.push(Word::Of(path));
                    rest = behind;
                }
                _ => return Err("behind a `)` stands a field".into()),
            }
        }
    }
}

/// What is behind the end of an action, if that comes next.
fn end(text: &str) -> Option<Behind<'_>> {
    let trimmed = text.trim_start();
    if let Some(rest) = trimmed.strip_prefix("}}") {
        return Some(Behind { rest, trims: false });
    }
    // Without a space it would be a number's sign.
    let is_apart = trimmed.len() < text.len();
    let rest = trimmed.strip_prefix(TRIM).and_then(|rest| rest.strip_prefix("}}"));
    rest.filter(|_| is_apart).map(|rest| Behind { rest, trims: true })
}

fn word(text: &str) -> Result<(Word, &str), String> {
    for sign in [":=", "=", "(", ")", "|", ","] {
        if let Some(rest) = text.strip_prefix(sign) {
            return Ok((Word::Sign(sign), rest));
        }
    }
    if let Some(rest) = text.strip_prefix('`') {
        let (inside, rest) = rest.split_once('`').ok_or("a text has no end")?;
        return Ok((Word::Text(inside.to_owned()), rest));
    }
    if text.starts_with('"') {
        return quoted(text);
    }
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | '-' | '+');
    let length = text.find(|c: char| !is_part(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at(length);
    let unknown = || format!("`{}` is not understood", text.split("}}").next().unwrap_or(text));
    let names = |names: &str| -> Option<Vec<String>> {
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        names.split('.').all(is_name).then(|| names.split('.').map(str::to_owned).collect())
    };
    let found = if word == "." {
        Word::Field(Vec::new())
    } else if let Some(path) = word.strip_prefix('.') {
        Word::Field(names(path).ok_or_else(unknown)?)
    } else if word == "$" {
        Word::Variable(vec![String::new()])
    } else if let Some(path) = word.strip_prefix("$.") {
        let mut all = vec![String::new()];
        all.extend(names(path).ok_or_else(unknown)?);
        Word::Variable(all)
    } else if let Some(path) = word.strip_prefix('$') {
        Word::Variable(names(path).ok_or_else(unknown)?)
    } else if let Ok(number) = word.parse() {
        Word::Number(number)
    } else {
        match names(word) {
            Some(names) if names.len() == 1 => Word::Name(word.to_owned()),
            _ => return Err(unknown()),
        }
    };
    Ok((found, rest))
}

/// A text in double quotes, with Go's escapes of the kind that people write.
fn quoted(text: &str) -> Result<(Word, &str), String> {
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((Word::Text(content), text.get(at + 1..).unwrap_or_default())),
            '\\' => match characters.next().map(|(_, escaped)| escaped) {
                Some('n') => content.push('\n'),
                Some('t') => content.push('\t'),
                Some(escaped @ ('"' | '\\' | '\'')) => content.push(escaped),
                other => {
                    let other = other.map(String::from).unwrap_or_default();
                    return Err(format!("`\\{other}` is no escape"));
                }
            },
            other => content.push(other),
        }
    }
    Err("a text has no end".into())
}
