//! Fields between commas, quoted where they hold commas themselves.

use crate::{Error, Result};

/// The fields of a line.
pub(crate) fn fields(line: &str) -> Result<Vec<String>> {
    separated(line, ',')
}

/// The fields of a line between other separators.
pub(crate) fn separated(line: &str, separator: char) -> Result<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            match rest.split_once(separator) {
                Some((field, after)) => {
                    fields.push(field.to_owned());
                    rest = after;
                    continue;
                }
                None => {
                    fields.push(rest.to_owned());
                    return Ok(fields);
                }
            }
        };
        let (field, after) = quoted_field(quoted)
            .ok_or_else(|| Error::new(format!("a quote is missing in `{line}`")))?;
        fields.push(field);
        match after.strip_prefix(separator) {
            Some(after) => rest = after,
            None if after.is_empty() => return Ok(fields),
            None => return Err(Error::new(format!("there is text behind a quote in `{line}`"))),
        }
    }
}

/// What stands up to the closing quote, and what comes after it. Two quotes are one.
fn quoted_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => return Some((field, rest)),
        }
    }
}

/// Pairs as one line.
pub(crate) fn line<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let field = |(key, value): (&str, &str)| {
        let pair = format!("{key}={value}");
        match pair.contains([',', '"']) {
            true => format!("\"{}\"", pair.replace('"', "\"\"")),
            false => pair,
        }
    };
    pairs.into_iter().map(field).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted() {
        assert_eq!(fields("a=1,b=2").unwrap(), ["a=1", "b=2"]);
        assert_eq!(fields("a=1,\"b=2,\"\"3\"\"\"").unwrap(), ["a=1", "b=2,\"3\""]);
        assert!(fields("\"a").is_err() && fields("\"a\"b").is_err());
        assert_eq!(line([("a", "1"), ("b", "2,\"3\"")]), "a=1,\"b=2,\"\"3\"\"\"");
    }
}
