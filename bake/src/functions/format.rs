//! `format`, with verbs as in `printf`.

use super::text;
use crate::value::Value;
use crate::{Error, Result};

/// Calls `format` or `formatlist`.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value>> {
    let formatted = |args: &[Value]| match args {
        [] => Err(Error::new("a format is required")),
        [format, values @ ..] => formatted(&format.to_text()?, values),
    };
    Some(match name {
        "format" => formatted(args).and_then(text),
        "formatlist" => each(args, formatted),
        _ => return None,
    })
}

/// Formats once for each element of the lists among the arguments.
fn each(args: &[Value], formatted: impl Fn(&[Value]) -> Result<String>) -> Result<Value> {
    let lengths: Vec<usize> = args
        .iter()
        .filter_map(|arg| match arg {
            Value::List(list) => Some(list.len()),
            _ => None,
        })
        .collect();
    let count = lengths.first().copied().unwrap_or(1);
    if lengths.iter().any(|length| *length != count) {
        return Err(Error::new("the lists have different lengths"));
    }
    let nth = |at: usize| {
        let arg = |arg: &Value| match arg {
            Value::List(list) => list.get(at).cloned().unwrap_or(Value::Null),
            other => other.clone(),
        };
        formatted(&args.iter().map(arg).collect::<Vec<_>>()).map(Value::Text)
    };
    Ok(Value::List((0..count).map(nth).collect::<Result<_>>()?))
}

/// What stands between `%` and its verb.
#[derive(Default)]
struct Wish {
    left: bool,
    zeros: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
}

/// No field is wider.
const WIDEST: usize = 10_000;

fn formatted(format: &str, values: &[Value]) -> Result<String> {
    let mut out = String::new();
    let mut next = 0;
    let mut used = 0;
    let mut rest = format.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut wish = Wish::default();
        while let Some(flag) = rest.next_if(|c| matches!(c, '-' | '0' | '+' | ' ' | '#')) {
            wish.left |= flag == '-';
            wish.zeros |= flag == '0';
            wish.plus |= flag == '+';
        }
        let mut digits = || {
            let mut number = None;
            while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                let value = digit.to_digit(10).unwrap_or(0) as usize;
                number = Some((number.unwrap_or(0) * 10 + value).min(WIDEST));
            }
            number
        };
        wish.width = digits().unwrap_or(0);
        if rest.next_if_eq(&'.').is_some() {
            let mut number = 0;
            while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                number = (number * 10 + digit.to_digit(10).unwrap_or(0) as usize).min(WIDEST);
            }
            wish.precision = Some(number);
        }
        if rest.next_if_eq(&'[').is_some() {
            let index: String = std::iter::from_fn(|| rest.next_if(char::is_ascii_digit)).collect();
            let index = index.parse::<usize>().ok().and_then(|index| index.checked_sub(1));
            match (index, rest.next()) {
                (Some(index), Some(']')) => next = index,
                _ => return Err(Error::new("an index in a format is `[number]`")),
            }
        }
        match rest.next() {
            Some('%') => out.push('%'),
            Some(verb) => {
                let value = values
                    .get(next)
                    .ok_or_else(|| Error::new(format!("there is no argument for %{verb}")))?;
                next += 1;
                used = used.max(next);
                let piece = piece(verb, value, &wish)?;
                pad(&mut out, &piece, &wish, verb);
            }
            None => return Err(Error::new("a format ends in `%`")),
        }
    }
    match used < values.len() {
        true => Err(Error::new("there are too many arguments for the format")),
        false => Ok(out),
    }
}

fn piece(verb: char, value: &Value, wish: &Wish) -> Result<String> {
    let signed = |text: String, number: f64| match wish.plus && number >= 0.0 {
        true => format!("+{text}"),
        false => text,
    };
    let cut = |text: String| match wish.precision {
        Some(length) => text.chars().take(length).collect(),
        None => text,
    };
    Ok(match verb {
        's' => cut(value.to_text()?),
        'q' => Value::text(value.to_text()?).to_json().to_string(),
        'v' => match value {
            Value::Text(text) => text.clone(),
            other => other.to_json().to_string(),
        },
        't' => value.to_bool()?.to_string(),
        'd' => {
            let number = value.to_number()?;
            signed(format!("{:.0}", number.trunc()), number)
        }
        'b' => format!("{:b}", value.to_whole()?),
        'o' => format!("{:o}", value.to_whole()?),
        'x' => match value {
            Value::Text(text) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
            other => format!("{:x}", other.to_whole()?),
        },
        'X' => format!("{:X}", value.to_whole()?),
        'f' => {
            let number = value.to_number()?;
            signed(format!("{number:.*}", wish.precision.unwrap_or(6)), number)
        }
        'g' => crate::value::number_text(value.to_number()?),
        'e' => format!("{:.*e}", wish.precision.unwrap_or(6), value.to_number()?),
        other => return Err(Error::new(format!("there is no %{other} in formats"))),
    })
}

fn pad(out: &mut String, piece: &str, wish: &Wish, verb: char) {
    let missing = wish.width.saturating_sub(piece.chars().count());
    match (wish.left, wish.zeros && verb != 's') {
        (true, _) => {
            out.push_str(piece);
            out.push_str(&" ".repeat(missing));
        }
        (false, true) => {
            let (sign, digits) = match piece.strip_prefix(['-', '+']) {
                Some(digits) => (&piece[..1], digits),
                None => ("", piece),
            };
            out.push_str(sign);
            out.push_str(&"0".repeat(missing));
            out.push_str(digits);
        }
        (false, false) => {
            out.push_str(&" ".repeat(missing));
            out.push_str(piece);
        }
    }
}
