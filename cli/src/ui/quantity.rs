//! Amounts as people write them, in Docker's words.

/// A size in bytes: `512`, `64k`, `1.5GiB`. Units are powers of 1024, whatever their letters.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let invalid = || format!("`{text}` is no size, such as 64m");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| invalid())?;
    let power = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return Err(invalid()),
    };
    let bytes = number * 1024f64.powi(power);
    if bytes.is_finite() && bytes < 9e18 { Ok(bytes as u64) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        for (text, bytes) in
            [("512", 512), ("64k", 64 << 10), ("1.5GiB", 3 << 29), ("2 MB", 2 << 20), ("0", 0)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "k", "-1", "1x", "1..2", "1e3", "9999999999p"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
