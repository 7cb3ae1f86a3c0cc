//! The texts of history entries, as BuildKit writes them: in the words of Go's `fmt`.

use std::fmt::Write;
use std::time::Duration;

use oci::Healthcheck;

/// What BuildKit puts under `comment`.
pub(crate) const COMMENT: &str = "buildkit.dockerfile.v0";

/// A list as `%v` prints it: `[a b]`.
pub(crate) fn plain_list(items: &[String]) -> String {
    format!("[{}]", items.join(" "))
}

/// A list as `%q` prints it: `["a" "b"]`.
pub(crate) fn quoted_list(items: &[String]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| quote(item)).collect();
    plain_list(&quoted)
}

/// `&{["CMD-SHELL" "curl x"] "5s" "0s" "0s" "0s" '\x03'}`: `%q` of a pointer to the struct, where
/// the number of retries counts as a character.
pub(crate) fn healthcheck(check: &Healthcheck) -> String {
    let durations = [check.interval, check.timeout, check.start_period, check.start_interval];
    let durations = durations.map(|nanos| {
        let nanos = u64::try_from(nanos).unwrap_or_default();
        format!("\"{}\"", duration(Duration::from_nanos(nanos)))
    });
    let retries = u32::try_from(check.retries).ok().and_then(char::from_u32);
    let retries = quote_char(retries.unwrap_or(char::REPLACEMENT_CHARACTER));
    format!("&{{{} {} {retries}}}", quoted_list(&check.test), durations.join(" "))
}

/// A string as `strconv.Quote` prints it.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    text.chars().for_each(|c| escape(&mut out, c, '"'));
    out.push('"');
    out
}

fn quote_char(c: char) -> String {
    let mut out = String::from("'");
    escape(&mut out, c, '\'');
    out.push('\'');
    out
}

fn escape(out: &mut String, c: char, quote: char) {
    let plain = match c {
        '\\' => r"\\",
        '\x07' => r"\a",
        '\x08' => r"\b",
        '\x0c' => r"\f",
        '\n' => r"\n",
        '\r' => r"\r",
        '\t' => r"\t",
        '\x0b' => r"\v",
        c if c == quote => {
            out.push('\\');
            out.push(quote);
            return;
        }
        c if (c as u32) < 0x20 || c == '\x7f' => {
            let _ = write!(out, "\\x{:02x}", c as u32);
            return;
        }
        // Rust's idea of what cannot be printed is close enough to Go's: both follow Unicode.
        c if c.is_control() || (c.is_whitespace() && c != ' ') => {
            let _ = write!(out, "\\u{:04x}", c as u32);
            return;
        }
        c => {
            out.push(c);
            return;
        }
    };
    out.push_str(plain);
}

/// A duration as Go's `time.Duration` prints it: `1h0m5s`, `1.5s`, `100ms`, `0s`.
pub(crate) fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    match nanos {
        0 => return "0s".into(),
        1..1_000 => return format!("{nanos}ns"),
        1_000..1_000_000 => return format!("{}µs", decimal(nanos, 1_000)),
        1_000_000..1_000_000_000 => return format!("{}ms", decimal(nanos, 1_000_000)),
        _ => {}
    }
    let minutes = nanos / 60_000_000_000;
    let seconds = decimal(nanos % 60_000_000_000, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// `number / unit` without trailing zeros.
fn decimal(number: u128, unit: u128) -> String {
    let digits = unit.ilog10() as usize;
    let fraction = format!("{:0digits$}", number % unit);
    match fraction.trim_end_matches('0') {
        "" => format!("{}", number / unit),
        fraction => format!("{}.{fraction}", number / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_print_as_in_go() {
        for (millis, text) in [
            (0, "0s"),
            (1, "1ms"),
            (1_500, "1.5s"),
            (30_000, "30s"),
            (60_000, "1m0s"),
            (90_061_000, "25h1m1s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(duration(Duration::from_nanos(1_500)), "1.5µs");
    }

    #[test]
    fn strings_are_quoted_as_in_go() {
        let args = ["/bin/sh".to_owned(), "echo \"hi\"\n\\\x01 é".to_owned()];
        assert_eq!(quoted_list(&args), r#"["/bin/sh" "echo \"hi\"\n\\\x01 é"]"#);
        assert_eq!(plain_list(&args[..1]), "[/bin/sh]");
    }

    #[test]
    fn a_healthcheck_reads_as_docker_writes_it() {
        let check = Healthcheck {
            test: vec!["CMD-SHELL".into(), "curl x".into()],
            interval: 5_000_000_000,
            ..Healthcheck::default()
        };
        let text = r#"&{["CMD-SHELL" "curl x"] "5s" "0s" "0s" "0s" '\x00'}"#;
        assert_eq!(healthcheck(&check), text);
    }
}
