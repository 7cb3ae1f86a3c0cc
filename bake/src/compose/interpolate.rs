//! `${NAME}` in compose files.

use serde_json::Value;

use crate::error::shown;
use crate::surroundings::Surroundings;
use crate::{Error, Result};

/// A tree with the variables in its texts replaced.
pub(super) fn value(tree: &Value, surroundings: &dyn Surroundings) -> Result<Value> {
    Ok(match tree {
        Value::String(text) => Value::String(self::text(text, surroundings, 0)?),
        Value::Array(list) => {
            Value::Array(list.iter().map(|one| value(one, surroundings)).collect::<Result<_>>()?)
        }
        Value::Object(object) => Value::Object(
            object
                .iter()
                .map(|(key, one)| Ok((key.clone(), value(one, surroundings)?)))
                .collect::<Result<_>>()?,
        ),
        other => other.clone(),
    })
}

/// How deep defaults may be nested.
const MAX_DEPTH: usize = 20;

fn text(text: &str, surroundings: &dyn Surroundings, depth: usize) -> Result<String> {
    if depth > MAX_DEPTH {
        return Err(Error::new("defaults of variables are nested too deeply"));
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('{') {
            let end = closing(inner)
                .ok_or_else(|| Error::new(format!("`${{` has no end in `{}`", shown(text))))?;
            out.push_str(&braced(&inner[..end], surroundings, depth)?);
            rest = &inner[end + 1..];
        } else {
            let length = name_length(rest);
            if length == 0 {
                return Err(Error::new(format!("`$` stands alone in `{}`", shown(text))));
            }
            out.push_str(&variable(&rest[..length], surroundings).unwrap_or_default());
            rest = &rest[length..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// A variable; without a name the project has ours.
fn variable(name: &str, surroundings: &dyn Surroundings) -> Option<String> {
    let found = surroundings.composed_variable(name);
    match name {
        "COMPOSE_PROJECT_NAME" => found.or_else(|| Some("bake".to_owned())),
        _ => found,
    }
}

fn name_length(text: &str) -> usize {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match text.starts_with(|c: char| c.is_ascii_digit()) {
        true => 0,
        false => text.find(|c| !is_part(c)).unwrap_or(text.len()),
    }
}

fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
        before = c;
    }
    None
}

fn braced(inner: &str, surroundings: &dyn Surroundings, depth: usize) -> Result<String> {
    let length = name_length(inner);
    let (name, rest) = inner.split_at(length);
    if name.is_empty() {
        return Err(Error::new(format!("`{}` is no name of a variable", shown(inner))));
    }
    let found = variable(name, surroundings);
    let full = || found.clone().filter(|value| !value.is_empty());
    let (value, otherwise) = match rest.get(..2) {
        Some(":-") => (full(), Some(&rest[2..])),
        Some(":+") => {
            return match full() {
                Some(_) => text(&rest[2..], surroundings, depth + 1),
                None => Ok(String::new()),
            };
        }
        Some(":?") => {
            let missing = || required(name, &rest[2..]);
            return full().ok_or_else(missing);
        }
        _ => match rest.chars().next() {
            None => (found.or(Some(String::new())), None),
            Some('-') => (found.clone(), Some(&rest[1..])),
            Some('+') => {
                return match found {
                    Some(_) => text(&rest[1..], surroundings, depth + 1),
                    None => Ok(String::new()),
                };
            }
            Some('?') => {
                let missing = || required(name, &rest[1..]);
                return found.ok_or_else(missing);
            }
            Some(_) => {
                return Err(Error::new(format!("`${{{}}}` is no variable", shown(inner))));
            }
        },
    };
    match (value, otherwise) {
        (Some(value), _) => Ok(value),
        (None, Some(otherwise)) => text(otherwise, surroundings, depth + 1),
        (None, None) => Ok(String::new()),
    }
}

fn required(name: &str, message: &str) -> Error {
    match message.is_empty() {
        true => Error::new(format!("required variable {name} is missing a value")),
        false => Error::new(format!("required variable {name} is missing a value: {message}")),
    }
}
