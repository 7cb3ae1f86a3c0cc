//! Times.

use jiff::{SignedDuration, Timestamp};

use super::{exactly, text};
use crate::surroundings::Surroundings;
use crate::value::Value;
use crate::{Error, Result};

/// Calls a function of times.
pub(super) fn call(
    name: &str,
    args: &[Value],
    surroundings: &dyn Surroundings,
) -> Option<Result<Value>> {
    Some(match name {
        "timestamp" => exactly(args).and_then(|[]: &[Value; 0]| text(surroundings.now())),
        "timeadd" => exactly(args).and_then(|[time, duration]| {
            let wrong = |error: jiff::Error| Error::new(error.to_string());
            let time: Timestamp = time.to_text()?.parse().map_err(wrong)?;
            let later = time.checked_add(span(&duration.to_text()?)?).map_err(wrong)?;
            text(later.to_string())
        }),
        _ => return None,
    })
}

/// `1h30m`, as Go writes it.
fn span(of: &str) -> Result<SignedDuration> {
    let wrong = || Error::new(format!("`{}` is no duration", crate::error::shown(of)));
    let (negative, mut rest) = match of.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, of.strip_prefix('+').unwrap_or(of)),
    };
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += number
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return Err(wrong()),
            };
        rest = &rest[unit..];
    }
    let seconds = if negative { -seconds } else { seconds };
    SignedDuration::try_from_secs_f64(seconds).map_err(|_| wrong())
}
