//! The parser directives at the top of a file: `# syntax=`, `# escape=`, `# check=`.

use std::ops::Range;

use super::{Source, Span, Word};
use crate::diagnostic::Diagnostic;

/// The directives of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directives {
    /// The image of a frontend that the file asks for.
    pub syntax: Option<Word>,
    /// The character that escapes and continues lines.
    pub escape: Escape,
    /// How the build checks are run.
    pub check: Option<Check>,
    /// Where the lines behind them start.
    pub(crate) end: usize,
}

/// The escape character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Escape {
    /// `\`
    #[default]
    Backslash,
    /// A backtick.
    Backtick,
}

/// `# check=skip=A,B;error=true`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The rules that are not run.
    pub skip: Skip,
    /// The experimental rules that are run.
    pub experimental: Skip,
    /// Whether a finding fails the build.
    pub error: bool,
    /// The value of the directive.
    pub span: Span,
}

/// A choice of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skip {
    /// These, possibly none.
    Rules(Vec<String>),
    /// All of them.
    All,
}

impl Escape {
    /// The character.
    pub fn as_char(self) -> char {
        match self {
            Self::Backslash => '\\',
            Self::Backtick => '`',
        }
    }
}

impl Directives {
    /// Reads the directives at the top of `source`: comment lines that name a known directive,
    /// each at most once, until the first line that is anything else. A byte order mark and a
    /// `#!` line may stand before them.
    pub fn parse(source: &Source) -> (Self, Vec<Diagnostic>) {
        let mut found = Self::default();
        let mut wrong = Vec::new();
        let mut seen: Vec<Key> = Vec::new();
        let text = source.text.as_str();
        let mut at = start(text);
        if text[..at].contains("#!") {
            found.end = at;
        }
        while let Some((key, key_range, value)) = read_line(text, at, "#") {
            if seen.contains(&key) {
                let message = format!("the directive `{}` is given more than once", key.name());
                wrong.push(Diagnostic::error(key_range.into(), message));
            } else {
                seen.push(key);
                wrong.extend(found.set(key, &Word::new(&text[value.clone()], value.into())).err());
            }
            at = line_end(text, at);
            found.end = at;
        }
        (found, wrong)
    }

    fn set(&mut self, key: Key, value: &Word) -> Result<(), Diagnostic> {
        match key {
            Key::Syntax => self.syntax = Some(first_word(value)),
            Key::Escape => {
                self.escape = match value.text.as_str() {
                    "\\" => Escape::Backslash,
                    "`" => Escape::Backtick,
                    other => {
                        let message = format!("`{other}` cannot be the escape character");
                        return Err(Diagnostic::error(value.span, message)
                            .note("it is a backslash or a backtick"));
                    }
                };
            }
            Key::Check => self.check = Some(Check::parse(&first_word(value))?),
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Syntax,
    Escape,
    Check,
}

impl Key {
    fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Escape => "escape",
            Self::Check => "check",
        }
    }
}

/// What stands before the first blank, which ends an image and the options of checks.
fn first_word(value: &Word) -> Word {
    let first = value.text.split(' ').next().unwrap_or_default();
    Word::new(first, Span::new(value.span.start, value.span.start + first.len()))
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// Where directives may start: behind a byte order mark and a `#!` line.
pub(super) fn start(text: &str) -> usize {
    let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    if text[at..].starts_with("#!") { line_end(text, at) } else { at }
}

/// The value of the first `syntax` among the directives whose lines begin with `comment`.
pub(super) fn syntax_after(text: &str, comment: &str) -> Option<Word> {
    let mut at = start(text);
    while let Some((key, _, value)) = read_line(text, at, comment) {
        if key == Key::Syntax {
            return Some(first_word(&Word::new(&text[value.clone()], value.into())));
        }
        at = line_end(text, at);
    }
    None
}

/// The directive on the line at `at`: its key, and where key and value stand.
fn read_line(text: &str, at: usize, comment: &str) -> Option<(Key, Range<usize>, Range<usize>)> {
    let line = &text[at..line_end(text, at)];
    let body = line.trim_start().strip_prefix(comment)?.trim_start();
    let (name, value) = body.split_once('=')?;
    let name = name.trim_end();
    let key = [Key::Syntax, Key::Escape, Key::Check]
        .into_iter()
        .find(|key| name.eq_ignore_ascii_case(key.name()))?;
    let value_start = at + line.len() - value.trim_start().len();
    let value = value.trim();
    let name_start = at + line.len() - body.len();
    let ranges = (name_start..name_start + name.len(), value_start..value_start + value.len());
    (!value.is_empty()).then_some((key, ranges.0, ranges.1))
}

impl Check {
    /// Reads `skip=…;experimental=…;error=…`, which stands in the directive and in comments.
    ///
    /// # Errors
    /// An option that is unknown or has no value.
    pub fn parse(value: &Word) -> Result<Self, Diagnostic> {
        let none = || Skip::Rules(Vec::new());
        let mut check = Self { skip: none(), experimental: none(), error: false, span: value.span };
        for option in value.text.splitn(3, ';') {
            let wrong = |what: &str| {
                Diagnostic::error(value.span, format!("{what} `{}`", option.trim()))
                    .help("write `check=skip=Rule,Rule;error=true`, or `skip=all`")
            };
            let (name, setting) = option.split_once('=').ok_or_else(|| wrong("no value in"))?;
            match (name.trim(), setting.trim()) {
                ("skip", rules) => check.skip = Skip::parse(rules),
                ("experimental", rules) => check.experimental = Skip::parse(rules),
                ("error", "true" | "1" | "t" | "T" | "TRUE" | "True") => check.error = true,
                ("error", "false" | "0" | "f" | "F" | "FALSE" | "False") => check.error = false,
                ("error", _) => return Err(wrong("neither true nor false in")),
                _ => return Err(wrong("unknown check option")),
            }
        }
        Ok(check)
    }
}

impl Skip {
    fn parse(rules: &str) -> Self {
        match rules {
            "all" => Self::All,
            _ => Self::Rules(rules.split(',').map(|rule| rule.trim().to_owned()).collect()),
        }
    }
}
