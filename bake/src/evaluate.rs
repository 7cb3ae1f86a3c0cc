//! What expressions come to.

mod operators;

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::error::shown;
use crate::functions;
use crate::surroundings::Surroundings;
use crate::syntax::{Expression, For, Kind, Part};
use crate::types::Type;
use crate::value::Value;
use crate::{Error, Result};

/// How many computations may wait for each other.
const MAX_DEPTH: usize = 400;

/// How long a text may become, in bytes.
const MAX_TEXT: usize = 4 << 20;

/// What names mean that no expression defines itself.
pub(crate) trait Names {
    /// A variable; none if there is none of this name.
    fn variable(&self, name: &str) -> Result<Option<Value>>;

    /// What stands in blocks of a kind: the block's name, and what of it. None if the kind is no
    /// such thing.
    fn block(&self, kind: &str, path: &[String]) -> Result<Option<Value>>;

    /// Calls a function that a file defines; none if there is none of this name.
    fn call(&self, name: &str, args: &[Value]) -> Result<Option<Value>>;

    /// How many computations wait for each other.
    fn depth(&self) -> &Cell<usize>;

    /// What can be known of the machine.
    fn surroundings(&self) -> &dyn Surroundings;
}

/// Where an expression is computed: the names around it.
#[derive(Clone)]
pub(crate) struct Scope<'a> {
    names: &'a dyn Names,
    locals: Vec<(String, Value)>,
    element: Option<Value>,
}

impl<'a> Scope<'a> {
    /// With names of its own.
    pub(crate) fn new(names: &'a dyn Names, locals: Vec<(String, Value)>) -> Scope<'a> {
        Scope { names, locals, element: None }
    }

    fn with(&self, locals: impl IntoIterator<Item = (String, Value)>) -> Scope<'a> {
        let mut inner = self.clone();
        inner.locals.extend(locals);
        inner
    }

    fn local(&self, name: &str) -> Option<&Value> {
        self.locals.iter().rev().find(|(local, _)| local == name).map(|(_, value)| value)
    }

    /// Computes.
    pub(crate) fn value(&self, expression: &Expression) -> Result<Value> {
        let depth = self.names.depth();
        depth.set(depth.get() + 1);
        let value = match depth.get() > MAX_DEPTH {
            true => Err(Error::new("too much has to be computed before this")),
            false => self.unplaced(expression),
        };
        depth.set(depth.get() - 1);
        value.map_err(|error| error.at(&expression.file, expression.line))
    }

    fn unplaced(&self, expression: &Expression) -> Result<Value> {
        match &expression.kind {
            Kind::Null => Ok(Value::Null),
            Kind::Bool(truth) => Ok(Value::Bool(*truth)),
            Kind::Number(number) => Ok(Value::Number(*number)),
            Kind::Template(parts) => self.template(parts),
            Kind::List(list) => {
                Ok(Value::List(list.iter().map(|one| self.value(one)).collect::<Result<_>>()?))
            }
            Kind::Object(pairs) => self.object(pairs),
            Kind::Variable(name) => self.variable(name),
            Kind::Attribute(of, name) => match self.of_block(expression)? {
                Some(value) => Ok(value),
                None => self.value(of)?.element(&Value::text(name)),
            },
            Kind::Index(of, index) => match self.of_block(expression)? {
                Some(value) => Ok(value),
                None => self.value(of)?.element(&self.value(index)?),
            },
            Kind::Splat(of, each) => {
                let list = match self.value(of)? {
                    Value::Null => Vec::new(),
                    Value::List(list) => list,
                    one => vec![one],
                };
                let one = |element: Value| {
                    let inner = Scope { element: Some(element), ..self.clone() };
                    inner.value(each)
                };
                Ok(Value::List(list.into_iter().map(one).collect::<Result<_>>()?))
            }
            Kind::Element => {
                self.element.clone().ok_or_else(|| Error::new("there is no element here"))
            }
            Kind::Call { name, args, expands_last } => self.call(name, args, *expands_last),
            Kind::Not(of) => Ok(Value::Bool(!self.value(of)?.to_bool()?)),
            Kind::Negative(of) => Ok(Value::Number(-self.value(of)?.to_number()?)),
            Kind::Binary(operator, left, right) => {
                operators::apply(*operator, &self.value(left)?, || self.value(right))
            }
            Kind::Conditional(condition, then, otherwise) => {
                match self.value(condition)?.to_bool()? {
                    true => self.value(then),
                    false => self.value(otherwise),
                }
            }
            Kind::For(of) => self.each(of),
        }
    }

    fn variable(&self, name: &str) -> Result<Value> {
        if let Some(value) = self.local(name) {
            return Ok(value.clone());
        }
        if let Some(value) = self.names.variable(name)? {
            return Ok(value);
        }
        match self.names.block(name, &[])? {
            Some(value) => Ok(value),
            None => Err(Error::new(format!("there is no variable `{}`", shown(name)))),
        }
    }

    /// `target.NAME.attribute`: only what is asked for is computed.
    fn of_block(&self, expression: &Expression) -> Result<Option<Value>> {
        let mut path = Vec::new();
        let mut inner = expression;
        loop {
            match &inner.kind {
                Kind::Attribute(of, name) => {
                    path.push(name.clone());
                    inner = of;
                }
                Kind::Index(of, index) => match &index.kind {
                    Kind::Template(_) | Kind::Number(_) => {
                        path.push(self.value(index)?.to_text()?);
                        inner = of;
                    }
                    _ => return Ok(None),
                },
                Kind::Variable(name) if self.local(name).is_none() => {
                    path.reverse();
                    return self.names.block(name, &path);
                }
                _ => return Ok(None),
            }
        }
    }

    fn object(&self, pairs: &[(Expression, Expression)]) -> Result<Value> {
        let mut object = BTreeMap::new();
        for (key, value) in pairs {
            // A name stands for itself; in parentheses or quotes it is computed.
            let key = match &key.kind {
                Kind::Variable(name) => name.clone(),
                Kind::Null | Kind::Bool(_) => match &key.kind {
                    Kind::Bool(truth) => truth.to_string(),
                    _ => "null".to_owned(),
                },
                _ => self.value(key)?.to_text()?,
            };
            object.insert(key, self.value(value)?);
        }
        Ok(Value::Object(object))
    }

    fn template(&self, parts: &[Part]) -> Result<Value> {
        // A value alone stays what it is.
        if let [Part::Value(value)] = parts {
            return self.value(value);
        }
        let mut text = String::new();
        self.write(parts, &mut text)?;
        Ok(Value::Text(text))
    }

    fn write(&self, parts: &[Part], text: &mut String) -> Result<()> {
        for part in parts {
            if text.len() > MAX_TEXT {
                return Err(Error::new("the text becomes too long"));
            }
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Value(expression) => {
                    let piece = self.value(expression)?.to_text();
                    let place = |error: Error| error.at(&expression.file, expression.line);
                    text.push_str(&piece.map_err(place)?);
                }
                Part::If { condition, then, otherwise } => {
                    let parts = match self.value(condition)?.to_bool()? {
                        true => then,
                        false => otherwise,
                    };
                    self.write(parts, text)?;
                }
                Part::For { key_name, value_name, of, body } => {
                    for (key, value) in elements(self.value(of)?)? {
                        let key = key_name.clone().map(|name| (name, key));
                        let inner = self.with(key.into_iter().chain([(value_name.clone(), value)]));
                        inner.write(body, text)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn each(&self, of: &For) -> Result<Value> {
        let mut list = Vec::new();
        let mut object: BTreeMap<String, Value> = BTreeMap::new();
        for (key, value) in elements(self.value(&of.of)?)? {
            let key = of.key_name.clone().map(|name| (name, key));
            let inner = self.with(key.into_iter().chain([(of.value_name.clone(), value)]));
            if let Some(condition) = &of.condition
                && !inner.value(condition)?.to_bool()?
            {
                continue;
            }
            let value = inner.value(&of.value)?;
            let Some(key) = &of.key else {
                list.push(value);
                continue;
            };
            let key = inner.value(key)?.to_text()?;
            match object.get_mut(&key) {
                Some(Value::List(group)) if of.groups => group.push(value),
                Some(_) => {
                    return Err(Error::new(format!("the key `{}` comes twice", shown(&key))));
                }
                None if of.groups => drop(object.insert(key, Value::List(vec![value]))),
                None => drop(object.insert(key, value)),
            }
        }
        Ok(match of.key {
            Some(_) => Value::Object(object),
            None => Value::List(list),
        })
    }

    fn call(&self, name: &str, args: &[Expression], expands_last: bool) -> Result<Value> {
        match (name, args) {
            ("try", args) => {
                let mut wrong = Error::new("`try` needs something to try");
                for arg in args {
                    match self.value(arg) {
                        Ok(value) => return Ok(value),
                        Err(error) => wrong = error,
                    }
                }
                return Err(wrong);
            }
            ("can", [arg]) => return Ok(Value::Bool(self.value(arg).is_ok())),
            ("convert", [value, wanted]) => return Type::of(wanted)?.convert(&self.value(value)?),
            _ => {}
        }
        let mut values: Vec<Value> =
            args.iter().map(|arg| self.value(arg)).collect::<Result<_>>()?;
        if expands_last && let Some(last) = values.pop() {
            values.extend(last.as_list()?.iter().cloned());
        }
        if let Some(value) = self.names.call(name, &values)? {
            return Ok(value);
        }
        match functions::call(name, &values, self.names.surroundings()) {
            Some(value) => value.map_err(|error| error.within(&format!("{name}()"))),
            None => Err(Error::new(format!("there is no function `{}`", shown(name)))),
        }
    }
}

/// What there is to go through, with keys or numbers.
fn elements(value: Value) -> Result<Vec<(Value, Value)>> {
    match value {
        Value::List(list) => {
            let number = |at: usize| Value::Number(u32::try_from(at).unwrap_or(u32::MAX).into());
            Ok(list.into_iter().enumerate().map(|(at, value)| (number(at), value)).collect())
        }
        Value::Object(object) => {
            Ok(object.into_iter().map(|(key, value)| (Value::Text(key), value)).collect())
        }
        other => Err(Error::new(format!("a {} has no elements", other.kind()))),
    }
}
