//! The functions that every file can call.

mod collections;
mod encoding;
mod format;
mod numbers;
mod paths;
mod patterns;
mod sets;
mod texts;
mod time;

use crate::surroundings::Surroundings;
use crate::value::Value;
use crate::{Error, Result};

/// Functions of buildx's that are not here.
const MISSING: [&str; 9] = [
    "bcrypt",
    "cidrhost",
    "cidrnetmask",
    "cidrsubnet",
    "cidrsubnets",
    "rsadecrypt",
    "uuidv4",
    "uuidv5",
    "formatdate",
];

pub(crate) use paths::clean;

/// Calls a function; none if there is none of this name.
pub(crate) fn call(
    name: &str,
    args: &[Value],
    surroundings: &dyn Surroundings,
) -> Option<Result<Value>> {
    if MISSING.contains(&name) {
        return Some(Err(Error::new("this function is not here")));
    }
    numbers::call(name, args)
        .or_else(|| texts::call(name, args))
        .or_else(|| collections::call(name, args))
        .or_else(|| sets::call(name, args))
        .or_else(|| encoding::call(name, args))
        .or_else(|| format::call(name, args))
        .or_else(|| patterns::call(name, args))
        .or_else(|| paths::call(name, args, surroundings))
        .or_else(|| time::call(name, args, surroundings))
}

/// So many arguments and no more.
fn exactly<const N: usize>(args: &[Value]) -> Result<&[Value; N]> {
    args.try_into()
        .map_err(|_| Error::new(format!("{N} arguments are required, and not {}", args.len())))
}

/// A truth as a value.
fn truth(truth: bool) -> Result<Value> {
    Ok(Value::Bool(truth))
}

fn number(number: f64) -> Result<Value> {
    match number.is_finite() {
        true => Ok(Value::Number(number)),
        false => Err(Error::new("this is no number")),
    }
}

/// A count as a value.
fn count(count: usize) -> Value {
    Value::Number(u32::try_from(count).map_or(f64::MAX, f64::from))
}

fn text(text: impl Into<String>) -> Result<Value> {
    Ok(Value::text(text))
}

/// A place in a list, from its end if it is negative.
fn whole_index(value: &Value) -> Result<usize> {
    usize::try_from(value.to_whole()?).map_err(|_| Error::new("an index is not negative"))
}
