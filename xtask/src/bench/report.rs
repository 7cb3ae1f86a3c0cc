//! The results for people: a table and a plot.

pub(crate) mod table;

/// Seconds as people read them.
pub(crate) fn seconds(value: f64) -> String {
    match value {
        v if v >= 99.5 => format!("{v:.0} s"),
        v if v >= 9.95 => format!("{v:.1} s"),
        v if v >= 0.995 => format!("{v:.2} s"),
        v if v >= 0.0995 => format!("{:.0} ms", v * 1e3),
        v => format!("{:.1} ms", v * 1e3),
    }
}

/// Bytes as people read them.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_figures() {
        assert_eq!(
            [0.0042, 0.15, 1.234, 12.34, 123.4].map(seconds),
            ["4.2 ms", "150 ms", "1.23 s", "12.3 s", "123 s"]
        );
        assert_eq!(megabytes(12_400_000), "12 MB");
    }
}
