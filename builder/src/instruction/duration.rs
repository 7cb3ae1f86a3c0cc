//! Durations as Go writes them: `1h30m`, `1.5s`, `100ms`.

use std::time::Duration;

/// A duration that is none, or that a health check cannot have.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DurationError {
    /// The text does not follow the grammar.
    #[error("`{0}` is no duration: write numbers with units, such as `1h30m` or `500ms`")]
    Invalid(String),
    /// The duration is more than about 292 years.
    #[error("the duration `{0}` is too long")]
    TooLong(String),
    /// The duration is above zero and below a millisecond.
    #[error("the duration `{0}` is less than 1ms")]
    TooShort(String),
    /// The duration is negative.
    #[error("the duration `{0}` is negative")]
    Negative(String),
}

/// Nanoseconds of the units, the longer names first.
const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration of a health check: zero (which means the default), or at least 1 ms.
///
/// # Errors
/// See [`DurationError`].
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let too_long = || DurationError::TooLong(text.to_owned());
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if unsigned == "0" {
        return Ok(Duration::ZERO);
    }
    if unsigned.is_empty() {
        return Err(invalid());
    }
    let mut total = 0_u64;
    let mut rest = unsigned;
    while !rest.is_empty() {
        let number_end =
            rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let (number, behind) = rest.split_at(number_end);
        let unit_end =
            behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_end);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?;
        let part = nanoseconds(number, *scale).ok_or_else(invalid)?.ok_or_else(too_long)?;
        total =
            total.checked_add(part).filter(|n| i64::try_from(*n).is_ok()).ok_or_else(too_long)?;
        rest = behind;
    }
    match total {
        0 => Ok(Duration::ZERO),
        _ if negative => Err(DurationError::Negative(text.to_owned())),
        1..1_000_000 => Err(DurationError::TooShort(text.to_owned())),
        _ => Ok(Duration::from_nanos(total)),
    }
}

/// `number * scale`; the outer `None` for what is no number, the inner for what is too large.
fn nanoseconds(number: &str, scale: u64) -> Option<Option<u64>> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole = if whole.is_empty() { Ok(0) } else { whole.parse::<u64>() };
    let Ok(whole) = whole else { return Some(None) };
    // Digits past the scale of an hour's nanoseconds weigh nothing.
    let mut unit = u128::from(scale);
    let mut part = 0_u128;
    let mut divisor = 1_u128;
    for digit in fraction.bytes().take(18) {
        divisor *= 10;
        part = part * 10 + u128::from(digit - b'0');
    }
    unit = unit * part / divisor;
    let unit = u64::try_from(unit).ok();
    Some(whole.checked_mul(scale).and_then(|whole| whole.checked_add(unit?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("1ms", 1),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            (".5m", 30_000),
            ("1000us", 1),
            ("2m3s4ms", 123_004),
            ("+1s", 1_000),
            ("0.1s", 100),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_a_health_check_cannot_have_is_refused() {
        for wrong in ["", "5", "s", "1x", "1h-3m", "1.2.3s", ".s", "1 s", "µ"] {
            let error = parse_duration(wrong);
            assert_eq!(error, Err(DurationError::Invalid(wrong.to_owned())), "{wrong}");
        }
        assert_eq!(parse_duration("999us"), Err(DurationError::TooShort("999us".to_owned())));
        assert_eq!(parse_duration("-1s"), Err(DurationError::Negative("-1s".to_owned())));
        let long = "99999999999999999999h";
        assert_eq!(parse_duration(long), Err(DurationError::TooLong(long.to_owned())));
        assert!(parse_duration("3000000h").is_err());
    }
}
