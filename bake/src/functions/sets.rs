//! Sets: lists that are sorted, with each value once.

use super::{exactly, truth};
use crate::value::{Value, set};
use crate::{Error, Result};

/// Calls a function of sets.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value>> {
    Some(match name {
        "sethaselement" => {
            exactly(args).and_then(|[of, value]| truth(of.as_list()?.contains(value)))
        }
        "setunion" => fold(args, |mut one, other| {
            one.extend(other.iter().cloned());
            one
        }),
        "setintersection" => {
            fold(args, |one, other| one.into_iter().filter(|value| other.contains(value)).collect())
        }
        "setsubtract" => fold(args, |one, other| {
            one.into_iter().filter(|value| !other.contains(value)).collect()
        }),
        "setsymmetricdifference" => fold(args, |one, other| {
            let mine = one.iter().filter(|value| !other.contains(value));
            let theirs = other.iter().filter(|value| !one.contains(value));
            mine.chain(theirs).cloned().collect()
        }),
        "setproduct" => product(args),
        _ => return None,
    })
}

fn fold(args: &[Value], join: impl Fn(Vec<Value>, &[Value]) -> Vec<Value>) -> Result<Value> {
    let [first, rest @ ..] = args else { return Err(Error::new("a set is required")) };
    let mut all = first.as_list()?.to_vec();
    for more in rest {
        all = join(all, more.as_list()?);
    }
    Ok(set(all))
}

/// How many combinations there may be.
const MAX_COMBINATIONS: usize = 100_000;

fn product(args: &[Value]) -> Result<Value> {
    let mut all: Vec<Vec<Value>> = vec![Vec::new()];
    for list in args {
        let list = list.as_list()?;
        if all.len().saturating_mul(list.len()) > MAX_COMBINATIONS {
            return Err(Error::new("there are too many combinations"));
        }
        let with = |known: &Vec<Value>| {
            let known = known.clone();
            list.iter().map(move |value| known.iter().chain([value]).cloned().collect::<Vec<_>>())
        };
        all = all.iter().flat_map(with).collect();
    }
    Ok(Value::List(all.into_iter().map(Value::List).collect()))
}
