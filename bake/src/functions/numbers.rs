//! Numbers and truths.

use super::{exactly, number, truth};
use crate::value::Value;
use crate::{Error, Result};

/// Calls a function of numbers or truths.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value>> {
    Some(match name {
        "absolute" => one(args, f64::abs),
        "ceil" => one(args, f64::ceil),
        "floor" => one(args, f64::floor),
        "int" => one(args, f64::trunc),
        "negate" => one(args, |of| -of),
        "signum" => one(args, |of| if of == 0.0 { 0.0 } else { of.signum() }),
        "add" => two(args, |one, other| one + other),
        "subtract" => two(args, |one, other| one - other),
        "multiply" => two(args, |one, other| one * other),
        "divide" => divide(args, |one, other| one / other),
        "modulo" => divide(args, |one, other| one % other),
        "pow" => two(args, f64::powf),
        "log" => two(args, |of, base| of.ln() / base.ln()),
        "max" => extreme(args, f64::max),
        "min" => extreme(args, f64::min),
        "greaterthan" => compared(args, |one, other| one > other),
        "greaterthanorequalto" => compared(args, |one, other| one >= other),
        "lessthan" => compared(args, |one, other| one < other),
        "lessthanorequalto" => compared(args, |one, other| one <= other),
        "equal" => exactly(args).and_then(|[one, other]| truth(one == other)),
        "notequal" => exactly(args).and_then(|[one, other]| truth(one != other)),
        "and" => exactly(args).and_then(|[one, other]| truth(one.to_bool()? && other.to_bool()?)),
        "or" => exactly(args).and_then(|[one, other]| truth(one.to_bool()? || other.to_bool()?)),
        "not" => exactly(args).and_then(|[one]| truth(!one.to_bool()?)),
        "parseint" => parse(args),
        "range" => range(args),
        _ => return None,
    })
}

fn one(args: &[Value], of: impl Fn(f64) -> f64) -> Result<Value> {
    let [arg] = exactly(args)?;
    number(of(arg.to_number()?))
}

fn two(args: &[Value], of: impl Fn(f64, f64) -> f64) -> Result<Value> {
    let [one, other] = exactly(args)?;
    number(of(one.to_number()?, other.to_number()?))
}

fn divide(args: &[Value], of: impl Fn(f64, f64) -> f64) -> Result<Value> {
    let [_, other] = exactly(args)?;
    match other.to_number()? == 0.0 {
        true => Err(Error::new("nothing can be divided by zero")),
        false => two(args, of),
    }
}

fn compared(args: &[Value], of: impl Fn(f64, f64) -> bool) -> Result<Value> {
    let [one, other] = exactly(args)?;
    truth(of(one.to_number()?, other.to_number()?))
}

fn extreme(args: &[Value], of: impl Fn(f64, f64) -> f64) -> Result<Value> {
    let numbers: Vec<f64> = args.iter().map(Value::to_number).collect::<Result<_>>()?;
    match numbers.into_iter().reduce(of) {
        Some(found) => number(found),
        None => Err(Error::new("at least one number is required")),
    }
}

fn parse(args: &[Value]) -> Result<Value> {
    let [text, base] = exactly(args)?;
    let (text, base) = (text.to_text()?, base.to_whole()?);
    let base = u32::try_from(base).ok().filter(|base| (2..=36).contains(base));
    let base = base.ok_or_else(|| Error::new("a base is between 2 and 36"))?;
    match i64::from_str_radix(&text, base) {
        #[allow(clippy::cast_precision_loss, reason = "numbers are floating")]
        Ok(found) => number(found as f64),
        Err(_) => Err(Error::new(format!("`{}` is no number", crate::error::shown(&text)))),
    }
}

/// How long a range may be.
const MAX_RANGE: usize = 1024;

fn range(args: &[Value]) -> Result<Value> {
    let numbers: Vec<f64> = args.iter().map(Value::to_number).collect::<Result<_>>()?;
    let (from, to, step) = match numbers[..] {
        [to] => (0.0, to, if to < 0.0 { -1.0 } else { 1.0 }),
        [from, to] => (from, to, if to < from { -1.0 } else { 1.0 }),
        [from, to, step] => (from, to, step),
        _ => return Err(Error::new("one to three numbers are required")),
    };
    if step == 0.0 || (to > from) != (step > 0.0) && to != from {
        return Err(Error::new("the steps lead away from the end"));
    }
    let mut list = Vec::new();
    let mut at = from;
    while (step > 0.0 && at < to) || (step < 0.0 && at > to) {
        list.push(Value::Number(at));
        at += step;
        if list.len() > MAX_RANGE {
            return Err(Error::new(format!("more than {MAX_RANGE} numbers")));
        }
    }
    Ok(Value::List(list))
}
