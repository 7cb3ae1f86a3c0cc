//! Byte ranges, of answers (RFC 9110, section 14) and of chunks (distribution-spec, "Pushing a
//! blob in chunks").

use std::ops::Range;

/// What a `Range` header asks for of a body of a known size.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: no header, or one that we need not understand.
    Whole,
    /// A part that is there.
    Part(Range<u64>),
    /// Nothing that is there.
    Unsatisfiable,
}

/// Reads a `Range` header. Several ranges at once are answered with the whole.
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((unit, text)) = header.and_then(|text| text.trim().split_once('=')) else {
        return Wanted::Whole;
    };
    // Of units no letter's case matters (RFC 9110, section 14.1).
    if !unit.eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    let Some((first, last)) = text.trim().split_once('-') else { return Wanted::Whole };
    match (number(first.trim()), number(last.trim())) {
        (Number::Is(first), Number::Is(last)) if first <= last && first < size => {
            Wanted::Part(first..last.saturating_add(1).min(size))
        }
        (Number::Is(first), Number::Missing) if first < size => Wanted::Part(first..size),
        (Number::Missing, Number::Is(count)) if count > 0 && size > 0 => {
            Wanted::Part(size.saturating_sub(count)..size)
        }
        (Number::Missing, Number::Missing) | (Number::Wrong, _) | (_, Number::Wrong) => {
            Wanted::Whole
        }
        _ => Wanted::Unsatisfiable,
    }
}

/// Reads the `Content-Range` of a chunk, `<first>-<last>`, both inclusive; `None` if it is none.
pub(crate) fn chunk(text: &str) -> Option<Range<u64>> {
    let (first, last) = text.split_once('-')?;
    match (number(first), number(last)) {
        (Number::Is(first), Number::Is(last)) if first <= last => Some(first..last.checked_add(1)?),
        _ => None,
    }
}

enum Number {
    Missing,
    Is(u64),
    Wrong,
}

fn number(text: &str) -> Number {
    if text.is_empty() {
        return Number::Missing;
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Number::Wrong;
    }
    // Digits that overflow are a number beyond every size.
    Number::Is(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_has_them() {
        for (header, size, expected) in [
            ("bytes=500-1499", 4000, Wanted::Part(500..1500)),
            ("bytes=500-", 4000, Wanted::Part(500..4000)),
            ("bytes=-500", 4000, Wanted::Part(3500..4000)),
            ("bytes=-5000", 4000, Wanted::Part(0..4000)),
            ("bytes=3999-9999", 4000, Wanted::Part(3999..4000)),
            ("bytes=0-99999999999999999999999", 4000, Wanted::Part(0..4000)),
            ("bytes=500-0", 4000, Wanted::Unsatisfiable),
            ("bytes=5000-10000", 4000, Wanted::Unsatisfiable),
            ("bytes=4000-", 4000, Wanted::Unsatisfiable),
            ("bytes=-0", 4000, Wanted::Unsatisfiable),
            ("bytes=0-", 0, Wanted::Unsatisfiable),
            ("bytes=-", 4000, Wanted::Whole),
            ("bytes=a-b", 4000, Wanted::Whole),
            ("bytes=0-1,5-6", 4000, Wanted::Whole),
            ("items=0-1", 4000, Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(header), size), expected, "{header} of {size}");
        }
        assert_eq!(wanted(None, 1), Wanted::Whole);
    }

    #[test]
    fn chunks_have_two_inclusive_ends() {
        assert_eq!(chunk("0-1023"), Some(0..1024));
        assert_eq!(chunk("5-5"), Some(5..6));
        for text in ["", "-", "1", "5-4", "bytes 0-1", "bytes=0-1", "0-", "-1", "0-1/2", " 0-1"] {
            assert_eq!(chunk(text), None, "{text}");
        }
        assert_eq!(chunk("0-18446744073709551615"), None);
    }
}
