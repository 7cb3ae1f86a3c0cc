//! Every line of `testdata/expand/words` expands as it says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use builder::expand::{MAX_DEPTH, Mode, expand};
use builder::syntax::{Escape, Span, Word};

/// What the lines above a case have set.
struct State {
    env: BTreeMap<String, String>,
    escape: Escape,
    read: Read,
}

#[derive(Clone, Copy)]
enum Read {
    Text(Mode),
    Words,
}

impl State {
    /// Takes in a line that is no case.
    fn set(&mut self, line: &str) -> bool {
        let Some((verb, rest)) = line.split_once(' ') else { return false };
        match (verb, rest) {
            ("set", pair) => {
                let (name, value) = pair.split_once('=').expect("a name and a value");
                self.env.insert(name.to_owned(), value.to_owned());
            }
            ("escape", "\\") => self.escape = Escape::Backslash,
            ("escape", "`") => self.escape = Escape::Backtick,
            ("as", "word") => self.read = Read::Text(Mode::Word),
            ("as", "words") => self.read = Read::Words,
            ("as", "heredoc") => self.read = Read::Text(Mode::Heredoc),
            ("as", "display") => self.read = Read::Text(Mode::Display),
            _ => return false,
        }
        true
    }

    fn expand(&self, word: &str) -> String {
        let mode = match self.read {
            Read::Text(mode) => mode,
            Read::Words => Mode::Word,
        };
        match expand(word, &|name| self.env.get(name).cloned(), self.escape, mode) {
            Err(error) => format!("error: {error}"),
            Ok(expansion) => match self.read {
                Read::Text(_) => expansion.text,
                Read::Words => serde_json::to_string(&expansion.words).expect("JSON"),
            },
        }
    }
}

#[test]
fn words_expand_as_expected() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/expand/words");
    let text = fs::read_to_string(&path).expect("testdata/expand/words is there");
    let mut state =
        State { env: BTreeMap::new(), escape: Escape::Backslash, read: Read::Text(Mode::Word) };
    let mut cases = 0;
    let mut wrong = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') || state.set(line) {
            continue;
        }
        let (word, expected) = line.split_once(" =>").expect("a word and what it becomes");
        let expected = expected.strip_prefix(' ').unwrap_or(expected);
        let bare = word.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        let actual = state.expand(bare.unwrap_or(word));
        cases += 1;
        if actual != expected {
            wrong.push(format!("{}: {word} => {actual}, not {expected}", number + 1));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases > 140, "cases are missing: {cases}");
}

/// The names that were looked up are told apart by whether they are set.
#[test]
fn lookups_are_recorded() {
    let env = |name: &str| (name == "SET").then(|| "x".to_owned());
    let expansion =
        expand("$SET ${NONE:-$SET$OTHER} '$QUOTED'", &env, Escape::Backslash, Mode::Word)
            .expect("a word");
    let names = |names: std::collections::BTreeSet<String>| Vec::from_iter(names);
    assert_eq!(names(expansion.used), ["SET"]);
    assert_eq!(names(expansion.unset), ["NONE", "OTHER"]);
}

/// An error points at what is wrong in the word.
#[test]
fn errors_point_into_the_word() {
    let word = Word::new("a/${X:?no}/b", Span::new(100, 112));
    let error = expand(&word.text, &|_| None, Escape::Backslash, Mode::Word).expect_err("unset");
    assert_eq!(error.in_word(&word).span, Span::new(102, 112));
}

/// Nesting ends in an error before the stack does.
#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| "${x:-".repeat(depth) + &"}".repeat(depth);
    let expand = |word: &str| expand(word, &|_| None, Escape::Backslash, Mode::Word);
    assert!(expand(&nested(MAX_DEPTH)).is_ok());
    assert!(expand(&nested(MAX_DEPTH + 1)).is_err());
    assert!(expand(&nested(1_000_000)).is_err());
}

/// A short word cannot fill the memory, though its variables are long.
#[test]
fn length_is_bounded() {
    let long = "a".repeat(1 << 20);
    let env = |_: &str| Some(long.clone());
    for word in ["$x".repeat(1000), "${x//a/$x}".to_owned(), "${x//a/$x$x$x$x}".to_owned()] {
        assert!(expand(&word, &env, Escape::Backslash, Mode::Word).is_err(), "{word}");
    }
}
