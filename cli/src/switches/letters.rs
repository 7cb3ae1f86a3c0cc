//! Options of one letter with their value in the same word: `-eNAME=VALUE`, `-p8080:80`, `-w=/x`.
//!
//! Where a command of somebody else follows, as in `run`, the parser takes a word that begins with
//! `-` for the first of that command unless all its letters are options. So such words are
//! written out before it reads them: `--env=NAME=VALUE`.

use std::ffi::OsString;

use clap::{Arg, Command};

/// The words of a command line with values of options of one letter written out, where a command
/// of somebody else follows.
pub(super) fn written_out(command: &Command, words: &[OsString]) -> Option<Vec<OsString>> {
    let is_packed = |word: &OsString| {
        word.to_str()
            .is_some_and(|word| word.len() > 2 && word.starts_with('-') && !word.starts_with("--"))
    };
    // Most have none, and commands are described only when they are asked for.
    words
        .iter()
        .any(is_packed)
        .then(|| Reader { words, at: 1, plain: words[..1].to_vec() })?
        .read(command)
}

/// One who reads words as the parser will.
struct Reader<'a> {
    words: &'a [OsString],
    at: usize,
    plain: Vec<OsString>,
}

impl Reader<'_> {
    fn read(mut self, command: &Command) -> Option<Vec<OsString>> {
        while let Some(word) = self.words.get(self.at).and_then(|word| word.to_str()) {
            match word.strip_prefix('-') {
                Some("" | "-") => break,
                Some(rest) => match rest.strip_prefix('-') {
                    Some(long) => self.long(command, long),
                    None => self.letters(command, rest)?,
                },
                None => match command.find_subcommand(word) {
                    None => break,
                    Some(found) => {
                        self.keep(1);
                        let mut found = found.clone();
                        found.build();
                        return self.read(&found);
                    }
                },
            }
        }
        let ends_here = command.get_positionals().any(Arg::is_trailing_var_arg_set);
        self.keep(self.words.len());
        ends_here.then_some(self.plain)
    }

    /// Passes on some words as they are.
    fn keep(&mut self, count: usize) {
        let end = self.at.saturating_add(count).min(self.words.len());
        self.plain.extend_from_slice(&self.words[self.at..end]);
        self.at = end;
    }

    fn long(&mut self, command: &Command, word: &str) {
        let takes_next = |arg: &Arg| {
            let names = arg.get_long_and_visible_aliases().unwrap_or_default();
            names.contains(&word) && takes_value(arg) && !arg.is_require_equals_set()
        };
        let takes_next = !word.contains('=') && command.get_arguments().any(takes_next);
        self.keep(if takes_next { 2 } else { 1 });
    }

    /// Nothing for a letter that is no option: then the parser says so.
    fn letters(&mut self, command: &Command, letters: &str) -> Option<()> {
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            let arg = command.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
            let Some(long) = arg.get_long() else {
                self.keep(1);
                return Some(());
            };
            let value = rest.as_str();
            match value.strip_prefix('=') {
                Some(value) => {
                    self.plain.push(format!("--{long}={value}").into());
                    break;
                }
                None if !takes_value(arg) => self.plain.push(format!("--{long}").into()),
                None if value.is_empty() => {
                    // The next word is the value, whatever it is.
                    self.plain.push(format!("-{letter}").into());
                    self.at += 1;
                    self.keep(1);
                    return Some(());
                }
                None => {
                    self.plain.push(format!("--{long}={value}").into());
                    break;
                }
            }
        }
        self.at += 1;
        Some(())
    }
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser, Subcommand};

    use super::*;

    #[derive(Parser)]
    struct Sample {
        #[arg(long, global = true)]
        root: Option<String>,
        #[command(subcommand)]
        command: Sub,
    }

    #[derive(Subcommand)]
    #[command(defer = true)]
    enum Sub {
        Run {
            #[arg(short, long)]
            env: Vec<String>,
            #[arg(short, long)]
            interactive: bool,
            #[arg(short, long)]
            tty: bool,
            #[arg(long)]
            name: Option<String>,
            #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
            command: Vec<String>,
        },
        List {
            #[arg(short, long)]
            env: Vec<String>,
        },
    }

    fn written(line: &str) -> Option<String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let plain = written_out(&Sample::command(), &words)?;
        Some(plain.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn values_are_parted_from_letters() {
        for (line, expected) in [
            ("t run -eA=b image", "t run --env=A=b image"),
            ("t run -e=A=b image", "t run --env=A=b image"),
            ("t run -tieA=b image -eX", "t run --tty --interactive --env=A=b image -eX"),
            (
                "t --root x run --name -eA=b -ti=false y",
                "t --root x run --name -eA=b --tty --interactive=false y",
            ),
            ("t run -tie -eA=b -eC image", "t run --tty --interactive -e -eA=b --env=C image"),
        ] {
            assert_eq!(written(line).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_the_parser_reads_alone_is_left_to_it() {
        for line in ["t run image", "t list -eA=b", "t run -xyz image", "t -e"] {
            assert_eq!(written(line), None, "{line}");
        }
        assert_eq!(written("t run -- -eA").as_deref(), Some("t run -- -eA"));
    }
}
