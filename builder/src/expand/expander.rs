//! The walk over a word.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::CharIndices;

use super::pattern::Pattern;
use super::words::Words;
use super::{ExpandError, ExpandErrorKind, Expansion, Lookup, MAX_DEPTH, MAX_LENGTH, Mode};

/// A word, and how far it has been read.
pub(super) struct Expander<'w, 'e> {
    chars: Peekable<CharIndices<'w>>,
    /// The length of the whole word.
    length: usize,
    env: &'e Lookup<'e>,
    escape: char,
    mode: Mode,
    depth: usize,
    /// How many bytes values may still bring.
    budget: usize,
    used: BTreeSet<String>,
    unset: BTreeSet<String>,
}

type Result<T, E = ExpandError> = std::result::Result<T, E>;

impl<'w, 'e> Expander<'w, 'e> {
    pub(super) fn new(word: &'w str, env: &'e Lookup<'e>, escape: char, mode: Mode) -> Self {
        Self {
            chars: word.char_indices().peekable(),
            length: word.len(),
            env,
            escape,
            mode,
            depth: 0,
            budget: MAX_LENGTH,
            used: BTreeSet::new(),
            unset: BTreeSet::new(),
        }
    }

    /// Expands all of it.
    pub(super) fn run(mut self) -> Result<Expansion> {
        let (text, words) = self.until(None, false)?;
        Ok(Expansion { text, words, used: self.used, unset: self.unset })
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|(_, c)| *c)
    }

    fn next(&mut self) -> Option<char> {
        self.chars.next().map(|(_, c)| c)
    }

    /// The offset of the next character.
    fn at(&mut self) -> usize {
        self.chars.peek().map_or(self.length, |(at, _)| *at)
    }

    /// Expands up to `stop`, which is consumed, or to the end. `keep_escapes` leaves escapes in
    /// the text, for a pattern to read them.
    fn until(&mut self, stop: Option<char>, keep_escapes: bool) -> Result<(String, Vec<String>)> {
        let start = self.at();
        let mut text = String::new();
        let mut words = Words::default();
        while let Some(c) = self.peek() {
            if Some(c) == stop {
                self.next();
                return Ok((text, words.finish()));
            }
            match c {
                '$' => {
                    let value = self.dollar()?;
                    text.push_str(&value);
                    words.push_split(&value);
                }
                '\'' | '"' if self.mode != Mode::Heredoc => {
                    let quoted = match c {
                        '\'' => self.single_quoted()?,
                        _ => self.double_quoted(keep_escapes)?,
                    };
                    text.push_str(&quoted);
                    words.push_whole(&quoted);
                }
                c if c == self.escape => {
                    self.next();
                    let escaped = self.next();
                    let kept = Some(c).filter(|_| keep_escapes);
                    for c in kept.into_iter().chain(escaped) {
                        text.push(c);
                        words.push_whole(c.encode_utf8(&mut [0; 4]));
                    }
                }
                c => {
                    self.next();
                    text.push(c);
                    words.push_split(c.encode_utf8(&mut [0; 4]));
                }
            }
        }
        match stop {
            None => Ok((text, words.finish())),
            Some('/') => Err(ExpandError { kind: ExpandErrorKind::Slash, at: start }),
            Some(_) => Err(ExpandError { kind: ExpandErrorKind::Brace, at: start }),
        }
    }

    fn single_quoted(&mut self) -> Result<String> {
        let at = self.at();
        let mut text = String::new();
        self.push_quote(&mut text);
        loop {
            match self.peek() {
                None => return Err(ExpandError { kind: ExpandErrorKind::Quote('\''), at }),
                Some('\'') => {
                    self.push_quote(&mut text);
                    return Ok(text);
                }
                Some(c) => {
                    self.next();
                    text.push(c);
                }
            }
        }
    }

    /// Variables expand in double quotes, and `"`, `$` and the escape character can be escaped.
    fn double_quoted(&mut self, keep_escapes: bool) -> Result<String> {
        let at = self.at();
        let mut text = String::new();
        self.push_quote(&mut text);
        loop {
            match self.peek() {
                None => return Err(ExpandError { kind: ExpandErrorKind::Quote('"'), at }),
                Some('"') => {
                    self.push_quote(&mut text);
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(c) if c == self.escape => {
                    self.next();
                    let escape = self.escape;
                    let next = self.peek();
                    let escaped = next.filter(|c| matches!(c, '"' | '$') || *c == escape);
                    if keep_escapes || (escaped.is_none() && next.is_some()) {
                        text.push(escape);
                    }
                    if let Some(c) = escaped {
                        self.next();
                        text.push(c);
                    }
                }
                Some(c) => {
                    self.next();
                    text.push(c);
                }
            }
        }
    }

    /// Consumes a quote, which only what is shown keeps.
    fn push_quote(&mut self, text: &mut String) {
        let quote = self.next();
        if self.mode == Mode::Display {
            text.extend(quote);
        }
    }

    /// `$name`, `${name}` or `${name operator word}`.
    fn dollar(&mut self) -> Result<String> {
        let at = self.at();
        self.next();
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(match self.value(&name, at)? {
                None if self.mode == Mode::Display => format!("${name}"),
                value => value.unwrap_or_default(),
            });
        }
        self.next();
        if self.depth == MAX_DEPTH {
            return Err(ExpandError { kind: ExpandErrorKind::Depth, at });
        }
        self.depth += 1;
        let value = self.braced(at);
        self.depth -= 1;
        value
    }

    /// What stands behind `${`, which is at `at`.
    fn braced(&mut self, at: usize) -> Result<String> {
        let error = |kind| Err(ExpandError { kind, at });
        match self.peek() {
            None => return error(ExpandErrorKind::Brace),
            Some('{' | '}' | ':') => return error(ExpandErrorKind::Name),
            Some(_) => {}
        }
        let name = self.name();
        match self.next() {
            None => error(ExpandErrorKind::Brace),
            Some('}') => Ok(match self.value(&name, at)? {
                None if self.mode == Mode::Display => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            }),
            Some(':') => match self.next() {
                None => error(ExpandErrorKind::Brace),
                Some(c @ ('-' | '+' | '?')) => self.conditional(&name, c, true, at),
                Some(c) => error(ExpandErrorKind::Operator(format!(":{c}"))),
            },
            Some(c @ ('-' | '+' | '?')) => self.conditional(&name, c, false, at),
            Some(c @ ('#' | '%')) => self.trim(&name, c, at),
            Some('/') => self.replace(&name, at),
            Some(c) => error(ExpandErrorKind::Operator(c.to_string())),
        }
    }

    /// `-`, `+` and `?`; with `:` an empty value counts as none.
    fn conditional(
        &mut self,
        name: &str,
        operator: char,
        colon: bool,
        at: usize,
    ) -> Result<String> {
        let (word, _) = self.until(Some('}'), false).map_err(|error| unclosed(error, at))?;
        let value = self.value(name, at)?;
        if value.is_none() && self.mode == Mode::Display {
            let colon = if colon { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{operator}{word}}}"));
        }
        let set = value.is_some();
        let value = value.filter(|value| !(colon && value.is_empty()));
        match (operator, value) {
            ('-', value) => Ok(value.unwrap_or(word)),
            ('+', Some(_)) => Ok(word),
            ('+', None) => Ok(String::new()),
            (_, Some(value)) => Ok(value),
            (_, None) => {
                let default = match set {
                    true => "is not allowed to be empty",
                    false => "is not allowed to be unset",
                };
                let message = if word.is_empty() { default.to_owned() } else { word };
                let kind = ExpandErrorKind::Required { name: name.to_owned(), message };
                Err(ExpandError { kind, at })
            }
        }
    }

    /// `#`, `##`, `%` and `%%`: without the shortest or longest start or end that matches.
    fn trim(&mut self, name: &str, operator: char, at: usize) -> Result<String> {
        let (word, _) = self.until(Some('}'), true).map_err(|error| unclosed(error, at))?;
        let Some(value) = self.value(name, at)? else {
            return Ok(match self.mode {
                Mode::Display => format!("${{{name}{operator}{word}}}"),
                _ => String::new(),
            });
        };
        let (pattern, longest) = match word.strip_prefix(operator) {
            Some(rest) => (rest, true),
            None => (word.as_str(), false),
        };
        let pattern = Pattern::parse(pattern).map_err(|kind| ExpandError { kind, at })?;
        let trimmed = match operator {
            '#' => pattern.trim_start(&value, longest),
            _ => pattern.trim_end(&value, longest),
        };
        trimmed.map_err(|kind| ExpandError { kind, at })
    }

    /// `/` and `//`: with the first or every match replaced.
    fn replace(&mut self, name: &str, at: usize) -> Result<String> {
        let all = self.peek() == Some('/');
        if all {
            self.next();
        }
        let (word, _) = self.until(Some('/'), true).map_err(|error| unclosed(error, at))?;
        let (replacement, _) = self.until(Some('}'), true).map_err(|error| unclosed(error, at))?;
        let Some(value) = self.value(name, at)? else {
            return Ok(match self.mode {
                Mode::Display => {
                    let slashes = if all { "//" } else { "/" };
                    format!("${{{name}{slashes}{word}/{replacement}}}")
                }
                _ => String::new(),
            });
        };
        let replaced = Pattern::parse(&word)
            .and_then(|pattern| pattern.replace(&value, &replacement, all, self.budget));
        let replaced = replaced.map_err(|kind| ExpandError { kind, at })?;
        self.charge(replaced.len(), at)?;
        Ok(replaced)
    }

    /// Letters, digits and `_`; or digits alone; or one special character. Possibly nothing.
    fn name(&mut self) -> String {
        let mut name = String::new();
        let Some(first) = self.peek() else { return name };
        if matches!(first, '@' | '*' | '#' | '?' | '-' | '$' | '!') {
            name.extend(self.next());
            return name;
        }
        let digits_only = first.is_numeric();
        while let Some(c) = self.peek() {
            let belongs = match digits_only {
                true => c.is_numeric(),
                false => c.is_alphanumeric() || c == '_',
            };
            if !belongs {
                break;
            }
            name.extend(self.next());
        }
        name
    }

    fn value(&mut self, name: &str, at: usize) -> Result<Option<String>> {
        let value = (self.env)(name);
        let seen = if value.is_some() { &mut self.used } else { &mut self.unset };
        if !seen.contains(name) {
            seen.insert(name.to_owned());
        }
        self.charge(value.as_ref().map_or(0, String::len), at)?;
        Ok(value)
    }

    fn charge(&mut self, length: usize, at: usize) -> Result<()> {
        let left = self.budget.checked_sub(length);
        self.budget = left.ok_or(ExpandError { kind: ExpandErrorKind::Length, at })?;
        Ok(())
    }
}

/// A brace that is not closed is shown where it opens.
fn unclosed(error: ExpandError, at: usize) -> ExpandError {
    match error.kind {
        ExpandErrorKind::Brace | ExpandErrorKind::Slash => ExpandError { at, ..error },
        _ => error,
    }
}
