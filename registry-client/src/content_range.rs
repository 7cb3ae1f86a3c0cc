//! `Content-Range` and `Range`, as answers carry them.

/// Where the bytes of a partial answer begin, and how long the whole is if that is said
/// (RFC 9110, section 14.4): `bytes 5-9/10`.
pub(crate) fn parse_content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let rest = value.trim().strip_prefix("bytes")?.trim_start();
    let (range, whole) = rest.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let (start, end) = (number(start)?, number(end)?);
    let whole = match whole.trim() {
        "*" => None,
        text => Some(number(text)?),
    };
    (start <= end && whole.is_none_or(|whole| end < whole)).then_some((start, whole))
}

/// How many bytes of an upload a registry has (distribution-spec, "Pushing a blob in chunks"):
/// `0-9`, with or without `bytes=`.
pub(crate) fn parse_upload_range(value: &str) -> Option<u64> {
    let value = value.trim();
    let value = value.strip_prefix("bytes=").unwrap_or(value);
    let (start, end) = value.split_once('-')?;
    let (start, end) = (number(start)?, number(end)?);
    // Zero bytes have no notation of their own: `0-0` says one byte, or none. Taken for none,
    // the worst is that the registry wants the first byte not to be sent again.
    match (start, end) {
        (0, 0) => Some(0),
        (0, end) => end.checked_add(1),
        _ => None,
    }
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn content_ranges() {
        for (value, expected) in [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("bytes 0-0/*", Some((0, None))),
            ("bytes 9-5/10", None),
            ("bytes 5-10/10", None),
            ("bytes */10", None),
            ("5-9/10", None),
            ("bytes +5-9/10", None),
            ("bytes 5-99999999999999999999/*", None),
        ] {
            assert_eq!(parse_content_range(value), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_fits_together(value in "(bytes[ =]?)?[0-9]{0,20}-[0-9]{0,20}(/([0-9]{0,20}|\\*))?|.*") {
            if let Some((start, Some(whole))) = parse_content_range(&value) {
                prop_assert!(start < whole);
            }
            if let Some(taken) = parse_upload_range(&value) {
                prop_assert!(taken == 0 || value.trim_end().ends_with(&(taken - 1).to_string()));
            }
        }

        #[test]
        fn ranges_read_back(start in 0..u64::MAX / 2, length in 1..u64::MAX / 2, more in 0..1000_u64) {
            let end = start + length - 1;
            let whole = end.saturating_add(1 + more);
            let text = format!("bytes {start}-{end}/{whole}");
            prop_assert_eq!(parse_content_range(&text), Some((start, Some(whole))));
        }
    }

    #[test]
    fn upload_ranges() {
        for (value, expected) in [
            ("0-9", Some(10)),
            ("bytes=0-9", Some(10)),
            ("0-0", Some(0)),
            ("5-9", None),
            ("0--1", None),
            ("", None),
            ("0-18446744073709551615", None),
        ] {
            assert_eq!(parse_upload_range(value), expected, "{value}");
        }
    }
}
