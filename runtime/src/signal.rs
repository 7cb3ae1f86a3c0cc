//! Signals, by number and by name (signal(7)).

use std::fmt;
use std::str::FromStr;

/// A signal that can be sent to a process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signal(i32);

/// The signals with names, in the numbering that x86-64 and aarch64 share.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
/// The lowest and highest real-time signal that programs may use.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

impl Signal {
    /// Hang-up.
    pub const HUP: Self = Self(libc::SIGHUP);
    /// Interrupt from the keyboard.
    pub const INT: Self = Self(libc::SIGINT);
    /// Quit from the keyboard.
    pub const QUIT: Self = Self(libc::SIGQUIT);
    /// End at once; cannot be caught.
    pub const KILL: Self = Self(libc::SIGKILL);
    /// Please end.
    pub const TERM: Self = Self(libc::SIGTERM);

    /// The signal with this number, 1 to 64.
    pub fn from_number(number: i32) -> Option<Self> {
        (1..=RTMAX).contains(&number).then_some(Self(number))
    }

    /// Its number.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = usize::try_from(self.0 - 1).ok().and_then(|index| NAMES.get(index));
        match name {
            Some(name) => write!(f, "SIG{name}"),
            None if self.0 >= RTMIN => write!(f, "SIGRTMIN+{}", self.0 - RTMIN),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no signal's name or number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown signal {0:?}")]
pub struct UnknownSignal(pub String);

impl FromStr for Signal {
    type Err = UnknownSignal;

    /// Takes a number, or a name with or without `SIG` in any case, as docker does: `9`, `KILL`,
    /// `sigkill`, `RTMIN+3`, `RTMAX-1`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownSignal(text.to_owned());
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let real_time = |base: i32, offset: &str, sign: i32| {
            let offset: i32 = if offset.is_empty() { 0 } else { offset[1..].parse().ok()? };
            (0..=RTMAX - RTMIN).contains(&offset).then_some(base + sign * offset)
        };
        let number = if let Ok(number) = upper.parse::<i32>() {
            Some(number)
        } else if let Some(index) = NAMES.iter().position(|known| *known == name) {
            Some(index as i32 + 1)
        } else {
            match name {
                "IOT" => Some(libc::SIGABRT),
                "POLL" => Some(libc::SIGIO),
                "CLD" => Some(libc::SIGCHLD),
                _ => match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
                    (Some(rest), _) if rest.is_empty() || rest.starts_with('+') => {
                        real_time(RTMIN, rest, 1)
                    }
                    (_, Some(rest)) if rest.is_empty() || rest.starts_with('-') => {
                        real_time(RTMAX, rest, -1)
                    }
                    _ => None,
                },
            }
        };
        number.and_then(Self::from_number).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_number_and_name() {
        let table = [
            ("9", Some(9)),
            ("KILL", Some(9)),
            ("sigkill", Some(9)),
            ("SIGQUIT", Some(3)),
            ("SIGSYS", Some(31)),
            ("POLL", Some(29)),
            ("RTMIN", Some(34)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMAX-1", Some(63)),
            ("RTMIN-1", None),
            ("RTMIN+99", None),
            ("RTMIN+é", None),
            ("0", None),
            ("65", None),
            ("-9", None),
            ("SIG", None),
            ("", None),
            ("FOO", None),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<Signal>().ok().map(Signal::number), expected, "{text:?}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for signal in (1..=31).chain(34..=64).filter_map(Signal::from_number) {
            assert_eq!(signal.to_string().parse(), Ok(signal));
        }
    }
}
