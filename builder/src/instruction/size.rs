//! Sizes as docker writes them: `64m`, `1.5GiB`.

/// A size that is none.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no size: write a number with an optional unit, such as `64m` or `1g`")]
pub struct SizeError(pub String);

/// Reads a size in bytes; `k`, `m`, `g`, `t`, `p` are powers of 1024, in either case, and `b`,
/// `kb`, `kib` and so on mean the same.
///
/// # Errors
/// Text that is no size, or a size past 2^63.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    let error = || SizeError(text.to_owned());
    let number_end = text.rfind(|c: char| c.is_ascii_digit() || c == '.').ok_or_else(error)? + 1;
    let (number, unit) = text.split_at(number_end);
    let unit = unit.trim_start_matches(' ').to_ascii_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "p" | "pb" | "pib" => 50,
        _ => return Err(error()),
    };
    scaled(number, power).filter(|size| i64::try_from(*size).is_ok()).ok_or_else(error)
}

/// `number * 2^power`, cut to whole bytes.
fn scaled(number: &str, power: u32) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(1 << power)?;
    let (mut numerator, mut divisor) = (0_u128, 1_u128);
    for digit in fraction.bytes().take(18) {
        numerator = numerator * 10 + u128::from(digit - b'0');
        divisor *= 10;
    }
    let part = (numerator << power) / divisor;
    whole.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_have_binary_units() {
        for (text, size) in [
            ("0", 0),
            ("42", 42),
            ("1k", 1024),
            ("64M", 64 << 20),
            ("1.5GiB", 3 << 29),
            ("2 kb", 2048),
        ] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for wrong in ["", "k", "1x", "-1", "1.2.3", "99999999999p", "1e3", "٣"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
