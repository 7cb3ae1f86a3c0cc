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
