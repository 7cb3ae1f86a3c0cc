//! Regular expressions.

use regex::{Captures, Regex};

use super::{exactly, text};
use crate::value::Value;
use crate::{Error, Result};

/// Calls a function of regular expressions.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value>> {
    Some(match name {
        "regex" => exactly(args).and_then(|[pattern, of]| {
            let (regex, of) = (compiled(pattern)?, of.to_text()?);
            let found = regex.captures(&of).map(|found| captured(&regex, &found));
            found.ok_or_else(|| Error::new("the pattern matches nothing"))
        }),
        "regexall" => exactly(args).and_then(|[pattern, of]| {
            let (regex, of) = (compiled(pattern)?, of.to_text()?);
            Ok(Value::List(
                regex.captures_iter(&of).map(|found| captured(&regex, &found)).collect(),
            ))
        }),
        "regex_replace" => exactly(args).and_then(|[of, pattern, with]| {
            let regex = compiled(pattern)?;
            text(regex.replace_all(&of.to_text()?, with.to_text()?.as_str()).into_owned())
        }),
        _ => return None,
    })
}

fn compiled(pattern: &Value) -> Result<Regex> {
    Regex::new(&pattern.to_text()?).map_err(|error| Error::new(error.to_string()))
}

/// The whole match where there are no groups, else what they hold, by name or by number.
fn captured(regex: &Regex, found: &Captures<'_>) -> Value {
    let group = |at: usize| found.get(at).map_or(Value::Null, |part| Value::text(part.as_str()));
    if regex.captures_len() == 1 {
        return group(0);
    }
    let names: Vec<Option<&str>> = regex.capture_names().skip(1).collect();
    match names.iter().any(Option::is_some) {
        true => Value::Object(
            names
                .iter()
                .enumerate()
                .filter_map(|(at, name)| Some(((*name)?.to_owned(), group(at + 1))))
                .collect(),
        ),
        false => Value::List((1..regex.captures_len()).map(group).collect()),
    }
}
