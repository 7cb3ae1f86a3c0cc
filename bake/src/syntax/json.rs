//! JSON as HCL has it: objects are bodies where blocks may be, and texts are templates.

use std::rc::Rc;

use serde_json::Value;

use super::cursor::Cursor;
use super::{Attribute, Block, Body, Expression, Kind, MAX_DEPTH, template};
use crate::{Error, Result};

/// The kinds of blocks at the top.
const BLOCKS: [&str; 4] = ["variable", "function", "group", "target"];

/// The body of a file.
pub(crate) fn body(file: &str, text: &str) -> Result<Body> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Error::new(error.to_string()).at(file, error.line()))?;
    let Value::Object(object) = value else {
        return Err(Error::new("an object is required here").at(file, 1));
    };
    let file: Rc<str> = file.into();
    let mut body = Body::default();
    for (name, value) in object {
        match BLOCKS.contains(&name.as_str()) {
            true => blocks(&file, &name, &value, &mut body)?,
            false if name == "//" => {}
            false => {
                body.attributes.push(Attribute { value: expression(&file, &value, 0)?, name });
            }
        }
    }
    Ok(body)
}

/// `{"label": {…}}`, or a list of such objects.
fn blocks(file: &Rc<str>, kind: &str, value: &Value, body: &mut Body) -> Result<()> {
    let wrong = || Error::new(format!("`{kind}` has names, and behind each an object")).at(file, 1);
    let labelled: Vec<&Value> = match value {
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    };
    for object in labelled {
        for (label, value) in object.as_object().ok_or_else(wrong)? {
            let bodies: Vec<&Value> = match value {
                Value::Array(list) => list.iter().collect(),
                one => vec![one],
            };
            for inner in bodies {
                body.blocks.push(Block {
                    kind: kind.to_owned(),
                    labels: vec![label.clone()],
                    body: inner_body(file, inner)?.ok_or_else(wrong)?,
                    file: file.clone(),
                    line: 1,
                });
            }
        }
    }
    Ok(())
}

fn inner_body(file: &Rc<str>, value: &Value) -> Result<Option<Body>> {
    let Some(object) = value.as_object() else { return Ok(None) };
    let mut body = Body::default();
    for (name, value) in object.iter().filter(|(name, _)| *name != "//") {
        if name != "validation" {
            let value = expression(file, value, 0)?;
            body.attributes.push(Attribute { name: name.clone(), value });
            continue;
        }
        let rules: Vec<&Value> = match value {
            Value::Array(list) => list.iter().collect(),
            one => vec![one],
        };
        for rule in rules {
            let Some(inner) = inner_body(file, rule)? else { return Ok(None) };
            body.blocks.push(Block {
                kind: name.clone(),
                labels: Vec::new(),
                body: inner,
                file: file.clone(),
                line: 1,
            });
        }
    }
    Ok(Some(body))
}

fn expression(file: &Rc<str>, value: &Value, depth: usize) -> Result<Expression> {
    if depth > MAX_DEPTH {
        return Err(Error::new("it is nested too deeply").at(file, 1));
    }
    let text = |text: &str| {
        template::bare(&mut Cursor::new(file.clone(), text, 1, depth))
            .map_err(|error| error.within(&format!("in `{}`", crate::error::shown(text))))
    };
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(truth) => Kind::Bool(*truth),
        Value::Number(number) => Kind::Number(number.as_f64().unwrap_or(0.0)),
        Value::String(string) => return text(string),
        Value::Array(list) => {
            Kind::List(list.iter().map(|v| expression(file, v, depth + 1)).collect::<Result<_>>()?)
        }
        Value::Object(object) => {
            let pair = |(key, value): (&String, &Value)| {
                Ok((text(key)?, expression(file, value, depth + 1)?))
            };
            Kind::Object(object.iter().map(pair).collect::<Result<_>>()?)
        }
    };
    Ok(Expression { kind, file: file.clone(), line: 1 })
}
