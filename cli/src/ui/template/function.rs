//! The functions of templates: Go's, and those that docker adds.

use std::cmp::Ordering;

use serde_json::Value;

use super::format::format;
use super::render::is_true;

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Or,
    Not,
    Compare(Comparison),
    Len,
    Index,
    Slice,
    Print,
    Println,
    Printf,
    Json,
    Join,
    Split,
    Lower,
    Upper,
    Title,
    Truncate,
    Pad,
}

/// What two values are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

const FUNCTIONS: [(&str, Function); 23] = [
    ("and", Function::And),
    ("or", Function::Or),
    ("not", Function::Not),
    ("eq", Function::Compare(Comparison::Equal)),
    ("ne", Function::Compare(Comparison::NotEqual)),
    ("lt", Function::Compare(Comparison::Less)),
    ("le", Function::Compare(Comparison::LessOrEqual)),
    ("gt", Function::Compare(Comparison::Greater)),
    ("ge", Function::Compare(Comparison::GreaterOrEqual)),
    ("len", Function::Len),
    ("index", Function::Index),
    ("slice", Function::Slice),
    ("print", Function::Print),
    ("println", Function::Println),
    ("printf", Function::Printf),
    ("json", Function::Json),
    ("join", Function::Join),
    ("split", Function::Split),
    ("lower", Function::Lower),
    ("upper", Function::Upper),
    ("title", Function::Title),
    ("truncate", Function::Truncate),
    ("pad", Function::Pad),
];

impl Function {
    /// The function of this name.
    pub(super) fn named(name: &str) -> Result<Function, String> {
        let found = FUNCTIONS.iter().find(|(known, _)| *known == name);
        found.map(|(_, function)| *function).ok_or_else(|| {
            let known: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
            format!(
                "there is no function `{name}`; these are: {}; a field has a dot: `.{name}`",
                known.join(", ")
            )
        })
    }

    /// Whether it looks at no more of its arguments than it needs.
    pub(super) fn may_stop(self) -> bool {
        matches!(self, Function::And | Function::Or)
    }

    /// Whether what is not there is an argument, too.
    pub(super) fn takes_nothing(self) -> bool {
        matches!(self, Function::Not | Function::Json)
    }

    /// Its result.
    pub(super) fn call(self, arguments: &[Value]) -> Result<Value, String> {
        let text = |at: usize| arguments.get(at).map(plain).unwrap_or_default();
        let number = |at: usize| {
            let number = arguments.get(at).and_then(Value::as_u64);
            number.and_then(|number| usize::try_from(number).ok()).ok_or("a number is missing")
        };
        Ok(match (self, arguments) {
            (Function::Not, [one]) => (!is_true(one)).into(),
            (Function::Compare(how), [first, others @ ..]) if !others.is_empty() => {
                // Of several, one that is equal is enough.
                let mut answers = others.iter().map(|other| how.holds(first, other));
                answers.try_fold(false, |any, answer| answer.map(|answer| any || answer))?.into()
            }
            (Function::Len, [one]) => length(one)?.into(),
            (Function::Index, [value, keys @ ..]) => {
                keys.iter().try_fold(value.clone(), |value, key| index(&value, key))?
            }
            (Function::Slice, [Value::String(text), _, ..]) => {
                let from = number(1)?;
                let to = if arguments.len() > 2 { number(2)? } else { text.len() };
                text.get(from..to).ok_or("a slice is out of range")?.into()
            }
            (Function::Print, _) => arguments.iter().map(plain).collect::<String>().into(),
            (Function::Println, _) => {
                let words: Vec<String> = arguments.iter().map(plain).collect();
                (words.join(" ") + "\n").into()
            }
            (Function::Printf, [Value::String(text), values @ ..]) => format(text, values)?.into(),
            (Function::Json, [one]) => one.to_string().into(),
            (Function::Join, [list, _]) => {
                let items = list.as_array().map_or(&[][..], Vec::as_slice);
                items.iter().map(plain).collect::<Vec<_>>().join(&text(1)).into()
            }
            (Function::Split, [_, _]) => {
                text(0).split(&text(1)).map(Value::from).collect::<Vec<_>>().into()
            }
            (Function::Lower, [_]) => text(0).to_lowercase().into(),
            (Function::Upper, [_]) => text(0).to_uppercase().into(),
            (Function::Title, [_]) => title(&text(0)).into(),
            (Function::Truncate, [_, _]) => {
                text(0).chars().take(number(1)?).collect::<String>().into()
            }
            (Function::Pad, [_, _, _]) => {
                let (before, after) =
                    (" ".repeat(number(1)?.min(MOST)), " ".repeat(number(2)?.min(MOST)));
                (before + &text(0) + &after).into()
            }
            _ => return Err(format!("`{}` takes other arguments", self.name())),
        })
    }

    fn name(self) -> &'static str {
        let found = FUNCTIONS.iter().find(|(_, function)| *function == self);
        found.map_or("", |(name, _)| name)
    }
}

/// The widest that something is made.
const MOST: usize = 1 << 10;

impl Comparison {
    fn holds(self, a: &Value, b: &Value) -> Result<bool, String> {
        match self {
            Comparison::Equal => return Ok(is_same(a, b)),
            Comparison::NotEqual => return Ok(!is_same(a, b)),
            _ => {}
        }
        let order = match (a, b) {
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            _ => a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)),
        };
        let order = order.ok_or("only numbers and texts have an order")?;
        Ok(match self {
            Comparison::Less => order == Ordering::Less,
            Comparison::LessOrEqual => order != Ordering::Greater,
            Comparison::Greater => order == Ordering::Greater,
            _ => order != Ordering::Less,
        })
    }
}

/// Lists say some truths and numbers as text, as docker's do.
fn is_same(a: &Value, b: &Value) -> bool {
    a == b || (a.as_f64().is_some() && a.as_f64() == b.as_f64())
}

fn length(value: &Value) -> Result<usize, String> {
    match value {
        Value::Null => Ok(0),
        Value::String(text) => Ok(text.len()),
        Value::Array(items) => Ok(items.len()),
        Value::Object(fields) => Ok(fields.len()),
        other => Err(format!("`{other}` has no length")),
    }
}

fn index(value: &Value, key: &Value) -> Result<Value, String> {
    let missing = || format!("there is no element {}", plain(key));
    match value {
        Value::Array(items) => {
            let at = key.as_u64().and_then(|at| usize::try_from(at).ok());
            at.and_then(|at| items.get(at)).cloned().ok_or_else(missing)
        }
        // Nothing prints as nothing: most maps hold texts.
        Value::Object(fields) => Ok(fields.get(&plain(key)).cloned().unwrap_or_else(|| "".into())),
        Value::Null if key.is_string() => Ok("".into()),
        _ => Err(missing()),
    }
}

fn title(text: &str) -> String {
    let mut is_first = true;
    let upper = |c: char| {
        let first = std::mem::replace(&mut is_first, c.is_whitespace());
        if first { c.to_uppercase().collect::<String>() } else { c.to_string() }
    };
    text.chars().map(upper).collect()
}

/// What rows are asked for one of their labels by.
pub(in crate::ui) const LABEL: &str = "Label";

/// What docker's rows answer: `.Label "name"`. The row of the headings, which has a [`LABEL`] itself,
/// answers with the last part of the name.
pub(super) fn method(row: &Value, name: &str, argument: &Value) -> Result<Value, String> {
    if name == LABEL && row.get(LABEL).is_some() {
        let label = plain(argument);
        let last = label.rsplit('.').next().unwrap_or_default();
        return Ok(last.replace(['-', '_'], " ").into());
    }
    let Some(labels) = row.get("Labels").filter(|_| name == LABEL) else {
        return Err(format!("`{name}` takes no argument"));
    };
    let wanted = plain(argument);
    if let Value::Object(labels) = labels {
        return Ok(labels.get(&wanted).cloned().unwrap_or_else(|| "".into()));
    }
    let mut found: Option<String> = None;
    for part in labels.as_str().unwrap_or_default().split(',') {
        match (part.split_once('='), &mut found) {
            (Some((name, value)), None) if name == wanted => found = Some(value.to_owned()),
            (Some(_), Some(_)) => break,
            // A value may have a comma itself.
            (None, Some(value)) => *value += &format!(",{part}"),
            _ => {}
        }
    }
    Ok(found.unwrap_or_default().into())
}

/// A text as itself, a list and a map as Go prints them, nothing as nothing.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(inner).collect::<Vec<_>>().join(" "))
        }
        Value::Object(fields) => {
            let mut pairs: Vec<(&String, &Value)> = fields.iter().collect();
            pairs.sort_by_key(|(key, _)| *key);
            let pairs: Vec<String> =
                pairs.into_iter().map(|(k, v)| format!("{k}:{}", inner(v))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        other => other.to_string(),
    }
}

/// Inside of something, nothing has a name.
fn inner(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        // An entry of a set, as Go has sets.
        Value::Object(fields) if fields.is_empty() => "{}".into(),
        value => plain(value),
    }
}
