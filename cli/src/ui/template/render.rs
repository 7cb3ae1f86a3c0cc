//! Fills a template in.

use serde_json::{Map, Value};

use super::function::{self, Function};
use super::nothing::{NO_VALUE, is_map, may_lack, nothing, typed};
use super::parse::{Call, Node, Operand, Pipeline};

/// Why a value is not there.
pub(super) enum Lack {
    /// It has no such field: as a condition, that is false.
    Field(String),
    /// A map has no such entry: as a condition, that is false, too.
    Entry,
    /// It cannot be.
    Wrong(String),
}

impl Lack {
    fn message(self) -> String {
        match self {
            Lack::Field(message) | Lack::Wrong(message) => message,
            Lack::Entry => "there is no such entry".into(),
        }
    }
}

/// What a template knows while it is filled in.
struct Scope<'a> {
    whole: &'a Value,
    variables: Vec<(String, Value)>,
    out: String,
}

/// Fills nodes in.
pub(super) fn render(nodes: &[Node], value: &Value) -> Result<String, String> {
    let mut scope = Scope { whole: value, variables: Vec::new(), out: String::new() };
    scope.all(nodes, value)?;
    Ok(scope.out)
}

impl Scope<'_> {
    fn all(&mut self, nodes: &[Node], dot: &Value) -> Result<(), String> {
        // Variables end with the block that they are made in.
        let known = self.variables.len();
        for node in nodes {
            self.one(node, dot)?;
        }
        self.variables.truncate(known);
        Ok(())
    }

    fn one(&mut self, node: &Node, dot: &Value) -> Result<(), String> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Print { name: None, value } => {
                let path = value.path();
                let shown = match (self.pipeline(value, dot), path) {
                    (Err(Lack::Entry), _) => NO_VALUE.to_owned(),
                    (Err(lack), _) => return Err(lack.message()),
                    (Ok(found), [.., owner, name]) if typed(owner, name, &found).is_some() => {
                        typed(owner, name, &found).unwrap_or_default()
                    }
                    (Ok(Value::Null), [.., name]) => nothing(name).to_owned(),
                    (Ok(found), _) => function::plain(&found),
                };
                self.out.push_str(&shown);
            }
            Node::Print { name: Some(name), value } => {
                let found = self.pipeline(value, dot).map_err(Lack::message)?;
                match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
                    Some((_, old)) => *old = found,
                    None => self.variables.push((name.clone(), found)),
                }
            }
            Node::If { condition, then, otherwise } => {
                let holds = is_true(&self.condition(condition, dot)?);
                self.all(if holds { then } else { otherwise }, dot)?;
            }
            Node::With { name, value, then, otherwise } => {
                let found = self.condition(value, dot)?;
                if !is_true(&found) {
                    return self.all(otherwise, dot);
                }
                let known = self.variables.len();
                self.variables.extend(name.clone().map(|name| (name, found.clone())));
                self.all(then, &found)?;
                self.variables.truncate(known);
            }
            Node::Range { names, over, body, otherwise } => {
                let elements = elements(self.condition(over, dot)?)?;
                if elements.is_empty() {
                    return self.all(otherwise, dot);
                }
                for (key, element) in elements {
                    let known = self.variables.len();
                    match &names[..] {
                        [] => {}
                        [one] => self.variables.push((one.clone(), element.clone())),
                        [first, second, ..] => self
                            .variables
                            .extend([(first.clone(), key), (second.clone(), element.clone())]),
                    }
                    self.all(body, &element)?;
                    self.variables.truncate(known);
                }
            }
        }
        Ok(())
    }

    /// A value that may lack.
    fn condition(&self, pipeline: &Pipeline, dot: &Value) -> Result<Value, String> {
        match self.pipeline(pipeline, dot) {
            Err(Lack::Field(_) | Lack::Entry) => Ok(Value::Null),
            result => result.map_err(Lack::message),
        }
    }

    fn pipeline(&self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Lack> {
        let mut last = None;
        for call in &pipeline.0 {
            last = Some(self.call(call, last, dot)?);
        }
        Ok(last.unwrap_or_default())
    }

    fn call(&self, call: &Call, piped: Option<Value>, dot: &Value) -> Result<Value, Lack> {
        match call {
            Call::Value(operand) => self.operand(operand, dot),
            Call::Method(path, argument) => {
                let (Some((name, owner)), argument) =
                    (path.split_last(), self.operand(argument, dot)?)
                else {
                    return Err(Lack::Wrong("a value takes no arguments".into()));
                };
                function::method(look_up(dot, owner)?, name, &argument).map_err(Lack::Wrong)
            }
            Call::Function(function, operands) if function.may_stop() => {
                self.stopping(*function, operands, piped, dot)
            }
            Call::Function(function, operands) => {
                let mut arguments = Vec::with_capacity(operands.len() + 1);
                for operand in operands {
                    arguments.push(match self.operand(operand, dot) {
                        Err(Lack::Field(_) | Lack::Entry) if function.takes_nothing() => {
                            Value::Null
                        }
                        result => result?,
                    });
                }
                arguments.extend(piped);
                function.call(&arguments).map_err(Lack::Wrong)
            }
        }
    }

    /// `and` and `or`: the first that decides is the answer, and what follows is not looked at.
    fn stopping(
        &self,
        function: Function,
        operands: &[Operand],
        piped: Option<Value>,
        dot: &Value,
    ) -> Result<Value, Lack> {
        let mut last = None;
        for operand in operands {
            let value = match self.operand(operand, dot) {
                Err(Lack::Field(_) | Lack::Entry) => Value::Null,
                result => result?,
            };
            if is_true(&value) == (function == Function::Or) {
                return Ok(value);
            }
            last = Some(value);
        }
        piped.or(last).ok_or_else(|| Lack::Wrong("`and` and `or` take arguments".into()))
    }

    fn operand(&self, operand: &Operand, dot: &Value) -> Result<Value, Lack> {
        match operand {
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Field(path) => look_up(dot, path).cloned(),
            Operand::Group(pipeline, path) => {
                look_up(&self.pipeline(pipeline, dot)?, path).cloned()
            }
            Operand::Variable(path) => {
                let Some((name, path)) = path.split_first() else { return Ok(Value::Null) };
                let value = match self.variables.iter().rev().find(|(known, _)| known == name) {
                    Some((_, value)) => value,
                    // `$` alone is what the template was given.
                    None if name.is_empty() => self.whole,
                    None => return Err(Lack::Wrong(format!("there is no variable ${name}"))),
                };
                look_up(value, path).cloned()
            }
        }
    }
}

impl Pipeline {
    /// The path of the field that this is, and nothing else; else none.
    fn path(&self) -> &[String] {
        match &self.0[..] {
            [Call::Value(Operand::Field(path))] => path,
            _ => &[],
        }
    }
}

/// The field that a document writes otherwise than the name that Go's programs have for it: OCI's
/// `mediaType` is `MediaType` there, docker's `Id` is `ID`, `NanoCpus` is `NanoCPUs`.
fn as_json_writes<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let is_it = |key: &String| key.eq_ignore_ascii_case(name);
    let is_go = name.starts_with(|c: char| c.is_ascii_uppercase());
    fields.iter().find(|(key, _)| is_go && is_it(key)).map(|(_, value)| value)
}

fn look_up<'a>(value: &'a Value, path: &[String]) -> Result<&'a Value, Lack> {
    let mut value = value;
    let mut owner = "";
    for name in path {
        if value.is_null() {
            return Err(Lack::Field(format!("there is no field `{name}` in what is not there")));
        }
        let Value::Object(fields) = value else {
            return Err(Lack::Field(format!("there is no field `{name}` in what has no fields")));
        };
        let by_go = || if is_map(owner) { None } else { as_json_writes(fields, name) };
        value = match fields.get(name).or_else(by_go) {
            Some(value) => value,
            None if may_lack(owner, name) => &Value::Null,
            None if is_map(owner) => return Err(Lack::Entry),
            None => {
                let known: Vec<&str> = fields.keys().map(String::as_str).collect();
                let known = known.join(", ");
                return Err(Lack::Field(format!("there is no field `{name}`; these are: {known}")));
            }
        };
        owner = name;
    }
    Ok(value)
}

/// The elements of a list or a map, with their keys.
fn elements(value: Value) -> Result<Vec<(Value, Value)>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => {
            Ok(items.into_iter().enumerate().map(|(at, item)| (at.into(), item)).collect())
        }
        Value::Object(fields) => {
            let mut all: Vec<(Value, Value)> =
                fields.into_iter().map(|(key, value)| (key.into(), value)).collect();
            // In order, as Go goes through maps.
            all.sort_by(|(a, _), (b, _)| a.as_str().cmp(&b.as_str()));
            Ok(all)
        }
        other => Err(format!("`{{{{range}}}}` goes through lists and maps, not `{other}`")),
    }
}

/// Go's rule: nothing, zero and what is empty are false.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}
