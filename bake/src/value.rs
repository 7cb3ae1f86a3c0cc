//! Values of expressions.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::{Error, Result};

/// A value. Maps and objects are one kind here, as are lists, tuples and sets: what tells them
/// apart elsewhere shows in no result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    /// What its kind is called.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::Text(_) => "string",
            Value::List(_) => "list",
            Value::Object(_) => "object",
        }
    }

    fn mismatch<T>(&self, wanted: &str) -> Result<T> {
        Err(Error::new(format!("a {wanted} is required here, and this is a {}", self.kind())))
    }

    /// As a text; numbers and truths have one.
    pub(crate) fn to_text(&self) -> Result<String> {
        match self {
            Value::Text(text) => Ok(text.clone()),
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::Number(number) => Ok(number_text(*number)),
            other => other.mismatch("string"),
        }
    }

    /// As a number; texts that read as one are.
    pub(crate) fn to_number(&self) -> Result<f64> {
        match self {
            Value::Number(number) => Ok(*number),
            Value::Text(text) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(number),
                _ => self.mismatch("number"),
            },
            other => other.mismatch("number"),
        }
    }

    /// As a whole number.
    pub(crate) fn to_whole(&self) -> Result<i64> {
        let number = self.to_number()?;
        if number.fract() != 0.0 || number.abs() > 9e15 {
            return Err(Error::new("a whole number is required here"));
        }
        #[allow(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
        Ok(number as i64)
    }

    /// As a truth; the texts `true` and `false` are.
    pub(crate) fn to_bool(&self) -> Result<bool> {
        match self {
            Value::Bool(truth) => Ok(*truth),
            Value::Text(text) if text == "true" || text == "1" => Ok(true),
            Value::Text(text) if text == "false" || text == "0" => Ok(false),
            other => other.mismatch("bool"),
        }
    }

    pub(crate) fn as_list(&self) -> Result<&[Value]> {
        match self {
            Value::List(list) => Ok(list),
            other => other.mismatch("list"),
        }
    }

    pub(crate) fn as_object(&self) -> Result<&BTreeMap<String, Value>> {
        match self {
            Value::Object(object) => Ok(object),
            other => other.mismatch("map"),
        }
    }

    /// A list of texts.
    pub(crate) fn to_texts(&self) -> Result<Vec<String>> {
        self.as_list()?.iter().map(Value::to_text).collect()
    }

    /// What an index or attribute means in it.
    pub(crate) fn element(&self, index: &Value) -> Result<Value> {
        match self {
            Value::List(list) => {
                let at = usize::try_from(index.to_whole()?).ok();
                let found = at.and_then(|at| list.get(at)).cloned();
                found.ok_or_else(|| Error::new("there is no element of this index"))
            }
            Value::Object(object) => {
                let key = index.to_text()?;
                let found = object.get(&key).cloned();
                found.ok_or_else(|| Error::new(format!("there is no attribute `{key}` here")))
            }
            other => other.mismatch("list or map"),
        }
    }

    /// How many parts it has, and bytes its texts.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Value::Null | Value::Bool(_) | Value::Number(_) => 1,
            Value::Text(text) => 1 + text.len(),
            Value::List(list) => 1 + list.iter().map(Value::weight).sum::<usize>(),
            Value::Object(object) => {
                let pair = |(key, value): (&String, &Value)| key.len() + value.weight();
                1 + object.iter().map(pair).sum::<usize>()
            }
        }
    }

    /// The same as JSON.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(truth) => (*truth).into(),
            Value::Number(number) => {
                serde_json::from_str(&number_text(*number)).unwrap_or(serde_json::Value::Null)
            }
            Value::Text(text) => text.clone().into(),
            Value::List(list) => list.iter().map(Value::to_json).collect(),
            Value::Object(object) => {
                object.iter().map(|(key, value)| (key.clone(), value.to_json())).collect()
            }
        }
    }

    pub(crate) fn from_json(json: &serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(truth) => Value::Bool(*truth),
            serde_json::Value::Number(number) => Value::Number(number.as_f64().unwrap_or(0.0)),
            serde_json::Value::String(text) => Value::Text(text.clone()),
            serde_json::Value::Array(list) => {
                Value::List(list.iter().map(Value::from_json).collect())
            }
            serde_json::Value::Object(object) => Value::Object(
                object.iter().map(|(key, value)| (key.clone(), Value::from_json(value))).collect(),
            ),
        }
    }
}

/// A number as people write it.
pub(crate) fn number_text(number: f64) -> String {
    // Both zeros are one.
    let number = if number == 0.0 { 0.0 } else { number };
    format!("{number}")
}

/// An order of all values, for sets.
pub(crate) fn compare(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.total_cmp(other),
        (Value::Text(one), Value::Text(other)) => one.cmp(other),
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        _ => one.to_json().to_string().cmp(&other.to_json().to_string()),
    }
}

/// The values as a set: sorted, each once.
pub(crate) fn set(mut values: Vec<Value>) -> Value {
    values.sort_by(compare);
    values.dedup();
    Value::List(values)
}
