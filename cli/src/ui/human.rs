//! Sizes and times as people read them, in Docker's words.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A size in decimal units with three digits: `4.27MB`.
pub(crate) fn size(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB"], 3)
}

/// A size in binary units with four digits, as docker has them for memory: `1.512MiB`.
pub(crate) fn binary_size(bytes: u64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"], 4)
}

/// A number in the largest of `units`, each `step` times the one before, in which it is not below
/// one; in so many digits, and without zeros at the end of a fraction.
fn scaled(bytes: u64, step: f64, units: &[&str], digits: usize) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= step && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let whole = 1 + [10.0, 100.0, 1000.0].iter().filter(|power| value >= **power).count();
    let digits = if unit == 0 { 0 } else { digits.saturating_sub(whole) };
    let text = format!("{value:.digits$}");
    let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", units[unit])
}

/// How long ago something was: `3 minutes ago`.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", duration(now.as_second().saturating_sub(then.as_second())))
}

/// A length of time in seconds, in one word and a unit.
pub(crate) fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let minutes = seconds / 60;
    let hours = (seconds + 1800) / 3600;
    match () {
        () if seconds < 1 => "Less than a second".into(),
        () if seconds == 1 => "1 second".into(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".into(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".into(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", hours / 24 / 365),
    }
}

/// A moment as people name it: a time (RFC 3339, in UTC where it says nothing of that), a second
/// since 1970, or how long ago it was (`1h30m`).
pub(crate) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let unknown = || format!("`{text}` is no time, no second since 1970 and no length of time");
    if let Some(ago) = length(text) {
        let ago = jiff::SignedDuration::try_from(ago).map_err(|_| unknown())?;
        return now.checked_sub(ago).map_err(|_| unknown());
    }
    if let Some(from_now) = text.strip_prefix('-').and_then(length) {
        let from_now = jiff::SignedDuration::try_from(from_now).map_err(|_| unknown())?;
        return now.checked_add(from_now).map_err(|_| unknown());
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let nanos = (seconds * 1e9) as i128;
        return Timestamp::from_nanosecond(nanos).map_err(|_| unknown());
    }
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let local: jiff::civil::DateTime = text.parse().map_err(|_| unknown())?;
    local.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(|_| unknown())
}

/// A time as docker's lists have it: `2024-05-06 07:08:09 +0000 UTC`.
pub(crate) fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

/// A length of time as Go prints it: `1m30s`, `1.5s`, `100ms`.
pub(crate) fn span(nanos: i64) -> String {
    let (sign, nanos) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    let below = |unit: u64, name: &str| {
        let text = format!("{}.{:09}", nanos / unit, nanos % unit * (1_000_000_000 / unit));
        format!("{sign}{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match nanos {
        0 => "0s".into(),
        1..1_000 => format!("{sign}{nanos}ns"),
        1_000..1_000_000 => below(1_000, "µs"),
        1_000_000..1_000_000_000 => below(1_000_000, "ms"),
        _ => {
            let seconds = nanos / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let rest = format!("{}.{:09}", seconds % 60, nanos % 1_000_000_000);
            let rest = rest.trim_end_matches('0').trim_end_matches('.');
            match (hours, minutes) {
                (0, 0) => format!("{sign}{rest}s"),
                (0, _) => format!("{sign}{minutes}m{rest}s"),
                _ => format!("{sign}{hours}h{minutes}m{rest}s"),
            }
        }
    }
}

/// A length of time in Go's notation: `1h30m`, `2.5s`, `100ms`; `None` if it is none.
pub(crate) fn length(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit_end =
            rest[end..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| end + at);
        seconds += number
            * match &rest[end..unit_end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    if text.is_empty() { None } else { Duration::try_from_secs_f64(seconds).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_named_in_three_ways() {
        let now: Timestamp = "2024-05-06T07:08:09Z".parse().unwrap();
        for (text, expected) in [
            ("1h30m", "2024-05-06T05:38:09Z"),
            ("1.5s", "2024-05-06T07:08:07.5Z"),
            ("-1.5s", "2024-05-06T07:08:10.5Z"),
            ("1714979289", "2024-05-06T07:08:09Z"),
            ("2024-01-02T03:04:05+01:00", "2024-01-02T02:04:05Z"),
            ("2024-01-02T03:04:05", "2024-01-02T03:04:05Z"),
            ("2024-01-02", "2024-01-02T00:00:00Z"),
        ] {
            assert_eq!(
                moment(text, now).map(|time| time.to_string()),
                Ok(expected.into()),
                "{text}"
            );
        }
        for text in ["", "yesterday", "1x", "h"] {
            assert!(moment(text, now).is_err(), "{text}");
        }
    }

    #[test]
    fn spans_are_printed_as_go_does() {
        for (nanos, text) in [
            (0, "0s"),
            (999, "999ns"),
            (1_500, "1.5µs"),
            (100_000_000, "100ms"),
            (1_500_000_000, "1.5s"),
            (30_000_000_000, "30s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (-1_000_000, "-1ms"),
        ] {
            assert_eq!(span(nanos), text);
        }
    }

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (4_270_000, "4.27MB"),
            (12_340_000, "12.3MB"),
            (456_700_000, "457MB"),
            (1_310_000_000, "1.31GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn sizes_of_memory_have_four() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1KiB"),
            (1_585_446, "1.512MiB"),
            (8_160_437_862, "7.6GiB"),
            (200 << 20, "200MiB"),
        ] {
            assert_eq!(binary_size(bytes), text);
        }
    }

    #[test]
    fn times_are_told_as_docker_tells_them() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (3_600, "About an hour"),
            (86_400, "24 hours"),
            (3 * 86_400, "3 days"),
            (400 * 86_400, "13 months"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }
}
