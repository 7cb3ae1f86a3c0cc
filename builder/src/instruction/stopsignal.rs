//! `STOPSIGNAL`.

use super::Directive;
use super::flag::Flags;
use super::statement::whole_rest;
use crate::diagnostic::Diagnostic;
use crate::syntax::{Line, Word};

/// `STOPSIGNAL signal`: what asks a container to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopsignal {
    /// A name with or without `SIG`, or a number; expands, then is checked by [`parse_signal`].
    pub signal: Word,
}

/// A word that is no signal.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no signal")]
pub struct SignalError(pub String);

impl Directive for Stopsignal {
    const KEYWORD: &'static str = "STOPSIGNAL";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        Flags::none(line)?;
        let signal = whole_rest(line)?;
        if !signal.text.contains(['$', '\\', '`', '"', '\'']) {
            parse_signal(&signal.text)
                .map_err(|error| Diagnostic::error(signal.span, error.to_string()))?;
        }
        Ok(Self { signal })
    }
}

/// The signals of Linux on all machines but MIPS, SPARC, Alpha and PA-RISC, in docker's names.
const SIGNALS: &[(&str, u8)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];

const RTMIN: u8 = 34;
const RTMAX: u8 = 64;

/// The number of a signal: `SIGTERM`, `term`, `15`, `RTMIN+3`, `SIGRTMAX-2`.
///
/// # Errors
/// A name that is none, or a number below 1. Numbers have no upper bound other than `i32`'s, as
/// docker's have none.
pub fn parse_signal(signal: &str) -> Result<i32, SignalError> {
    let error = || SignalError(signal.to_owned());
    if let Ok(number) = signal.parse::<i32>() {
        return if number > 0 { Ok(number) } else { Err(error()) };
    }
    let upper = signal.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = SIGNALS.iter().find(|(known, _)| *known == name) {
        return Ok(i32::from(*number));
    }
    real_time(name).map(i32::from).ok_or_else(error)
}

/// `RTMIN`, `RTMIN+1` to `RTMIN+15`, `RTMAX-14` to `RTMAX-1`, `RTMAX`.
fn real_time(name: &str) -> Option<u8> {
    let offset = |text: &str, most: u8| {
        text.parse::<u8>().ok().filter(|n| (1..=most).contains(n) && !text.starts_with(['0', '+']))
    };
    match name.strip_prefix("RTMIN") {
        Some("") => Some(RTMIN),
        Some(rest) => Some(RTMIN + offset(rest.strip_prefix('+')?, 15)?),
        None => match name.strip_prefix("RTMAX")? {
            "" => Some(RTMAX),
            rest => Some(RTMAX - offset(rest.strip_prefix('-')?, 14)?),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::parse_signal;

    #[test]
    fn signals_have_names_and_numbers() {
        for (written, number) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("9", 9),
            ("SIGRTMIN", 34),
            ("RTMIN+3", 37),
            ("SIGRTMAX-2", 62),
            ("100", 100),
        ] {
            assert_eq!(parse_signal(written), Ok(number), "{written}");
        }
        for wrong in ["", "0", "-1", "SIG", "SIGFOO", "RTMIN+16", "RTMIN-1", "RTMAX-15", "9x"] {
            assert!(parse_signal(wrong).is_err(), "{wrong}");
        }
    }
}
