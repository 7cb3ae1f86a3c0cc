//! Switches with a value, as docker's and podman's scripts write them: `--pull=true`,
//! `--no-cache=false`.

mod letters;

use std::ffi::OsString;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Reads a command line whose switches may have a value.
///
/// Which options are switches is known once they are read, so whatever the parser finds a value
/// too many for is written without it, and read again.
///
/// Where words that begin with a dash may be arguments, as those of a container's command, the
/// parser takes such a switch for the first of them: `misread` tells which word that is.
pub(crate) fn parse<P: Parser>(
    words: impl IntoIterator<Item = OsString>,
    misread: impl Fn(&P) -> Option<String>,
) -> Result<P, clap::Error> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    if let Some(plain) = letters::written_out(&P::command(), &words) {
        words = plain;
    }
    loop {
        let error = match P::try_parse_from(&words) {
            Ok(parsed) => {
                let word = misread(&parsed);
                let at = word.and_then(|word| words.iter().position(|known| **known == *word));
                match at.and_then(|at| without_value(&words, at)) {
                    Some(fewer) => {
                        words = fewer;
                        continue;
                    }
                    None => return Ok(parsed),
                }
            }
            Err(error) => error,
        };
        match plainly(&words, &error).or_else(|| briefly::<P>(&words, &error)) {
            Some(fewer) => words = fewer,
            None => return Err(error),
        }
    }
}

/// As [`plainly`], for switches of one letter, after which the parser takes `=` for another: the
/// error does not say in which word, but it is the last of the fewest that have this error.
fn briefly<P: Parser>(words: &[OsString], error: &clap::Error) -> Option<Vec<OsString>> {
    if !is_equals_sign(error) {
        return None;
    }
    let has_error = |count: &usize| {
        P::try_parse_from(&words[..*count]).is_err_and(|error| is_equals_sign(&error))
    };
    without_value(words, (1..=words.len()).find(has_error)?.checked_sub(1)?)
}

/// The words with the switches at one place written without the value behind them; nothing if
/// those are no switches of one letter, or that no truth.
fn without_value(words: &[OsString], at: usize) -> Option<Vec<OsString>> {
    let (letters, value) = words[at].to_str()?.split_once('=')?;
    if !letters.starts_with('-') || letters.starts_with("--") {
        return None;
    }
    let last = letters.chars().next_back().filter(char::is_ascii_alphabetic)?;
    let kept = match truth(value)? {
        true => letters,
        false => letters.strip_suffix(last)?,
    };
    let mut plain = words.to_vec();
    match kept {
        "-" => drop(plain.remove(at)),
        kept => plain[at] = kept.into(),
    }
    Some(plain)
}

fn is_equals_sign(error: &clap::Error) -> bool {
    error.kind() == ErrorKind::UnknownArgument
        && matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(arg)) if arg == "-=")
}

/// The words with the switch of the error written without its value, or left out if that is
/// false; nothing if the error is another.
fn plainly(words: &[OsString], error: &clap::Error) -> Option<Vec<OsString>> {
    if error.kind() != ErrorKind::TooManyValues {
        return None;
    }
    let said = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    };
    let (switch, value) = (said(ContextKind::InvalidArg)?, said(ContextKind::InvalidValue)?);
    let wanted = truth(value)?;
    let written = format!("{switch}={value}");
    let at = words.iter().position(|word| **word == *written)?;
    let mut plain = words.to_vec();
    match wanted {
        true => plain[at] = switch.into(),
        false => drop(plain.remove(at)),
    }
    Some(plain)
}

/// What Go's `strconv.ParseBool` takes.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Parser)]
    #[command(args_override_self = true)]
    struct Sample {
        #[arg(short, long)]
        quiet: bool,
        #[arg(long)]
        pull: bool,
        #[arg(long)]
        label: Vec<String>,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    }

    fn read(line: &str) -> Result<Sample, ErrorKind> {
        let words = format!("sample {line}");
        parse(words.split_whitespace().map(OsString::from), |_| None).map_err(|error| error.kind())
    }

    #[test]
    fn switches_may_say_whether_they_are_meant() {
        for (line, quiet, pull) in [
            ("--pull=true", false, true),
            ("--pull=false", false, false),
            ("--pull=1 --quiet=F", false, true),
            ("--quiet --pull=TRUE", true, true),
            ("-q --pull=t --pull=true", true, true),
        ] {
            let sample = read(line).unwrap();
            assert_eq!((sample.quiet, sample.pull), (quiet, pull), "{line}");
        }
    }

    #[test]
    fn what_is_no_truth_is_an_error_still() {
        for line in ["--pull=maybe", "--pull=", "--quiet=yes"] {
            assert_eq!(read(line).unwrap_err(), ErrorKind::TooManyValues, "{line}");
        }
    }

    #[test]
    fn words_of_others_stay_as_they_are() {
        let sample = read("--pull=true --label=pull=true cmd --pull=false -q=true").unwrap();
        assert_eq!(sample.label, ["pull=true"]);
        assert_eq!(sample.command, ["cmd", "--pull=false", "-q=true"]);
        assert!(sample.pull && !sample.quiet);
        assert_eq!(read("--pul=true").unwrap().command, ["--pul=true"]);
    }

    #[derive(Debug, PartialEq, Parser)]
    struct Brief {
        #[arg(short)]
        quiet: bool,
        #[arg(short)]
        all: bool,
        words: Vec<String>,
    }

    #[test]
    fn switches_of_one_letter_may_say_it_too() {
        let read = |line: &str| -> Result<Brief, clap::Error> {
            let words = format!("brief {line}");
            parse(words.split_whitespace().map(OsString::from), |_| None)
        };
        for (line, quiet, all) in [
            ("-q=true", true, false),
            ("-q=0 -a", false, true),
            ("-aq=1 word", true, true),
            ("word -aq=false", false, true),
            ("-q=T -a=t", true, true),
        ] {
            let brief = read(line).unwrap();
            assert_eq!((brief.quiet, brief.all), (quiet, all), "{line}");
            assert_eq!(brief.words.is_empty(), !line.contains("word"));
        }
        for line in ["-q=maybe", "-q=", "-=true", "-x=true"] {
            assert_eq!(read(line).unwrap_err().kind(), ErrorKind::UnknownArgument, "{line}");
        }
    }

    #[test]
    fn a_switch_before_arguments_of_any_kind_is_a_switch_still() {
        #[derive(Debug, Parser)]
        struct Run {
            #[arg(short)]
            detach: bool,
            #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
            image_and_command: Vec<String>,
        }
        let read = |line: &str| -> Run {
            let words = format!("run {line}");
            let misread = |run: &Run| {
                run.image_and_command.first().filter(|word| word.starts_with('-')).cloned()
            };
            parse(words.split_whitespace().map(OsString::from), misread).unwrap()
        };
        let run = read("-d=true image -d=true");
        assert!(run.detach && run.image_and_command == ["image", "-d=true"]);
        assert!(!read("-d=false image").detach);
        assert_eq!(read("-x=1 image").image_and_command, ["-x", "image"]);
        assert_eq!(read("--what=1").image_and_command, ["--what=1"]);
    }
}
