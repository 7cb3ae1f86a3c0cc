//! The exit status of a command line that cannot be understood.

use std::io::Write;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::ui::shortened;

/// docker's for options: as of all failures that are not those of a container's command.
const OPTION: u8 = 125;
/// docker's for everything else.
const OTHER: u8 = 1;

/// docker's statuses: scripts tell by them whether a container's command has run.
pub(crate) fn status(error: &clap::Error) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        ErrorKind::ArgumentConflict => OPTION,
        _ if is_about_an_option(error) => OPTION,
        _ => OTHER,
    }
}

/// Prints it, or the help that was asked for.
pub(crate) fn tell(error: &clap::Error) {
    // Nobody is left to be told if even this cannot be printed.
    if error.use_stderr() {
        let text = error.render().ansi().to_string();
        let _ = anstream::stderr().write_all(shortened(&text).as_bytes());
    } else {
        let _ = error.print();
    }
}

fn is_about_an_option(error: &clap::Error) -> bool {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.starts_with('-'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Sample {
        #[arg(long)]
        number: Option<u8>,
        #[arg(long, conflicts_with = "number")]
        word: bool,
        name: u8,
    }

    #[test]
    fn options_and_arguments_have_statuses_of_their_own() {
        for (line, expected) in [
            ("--nothing 1", OPTION),
            ("--number x 1", OPTION),
            ("--number", OPTION),
            ("--number 1 --word 1", OPTION),
            ("", OTHER),
            ("x", OTHER),
            ("1 2", OTHER),
            ("--help", 0),
        ] {
            let words = format!("sample {line}");
            let error = Sample::try_parse_from(words.split_whitespace()).unwrap_err();
            assert_eq!(status(&error), expected, "{line}");
        }
    }
}
