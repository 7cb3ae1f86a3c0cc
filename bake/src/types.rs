//! Types that a variable may be declared with.

use crate::csv;
use crate::error::shown;
use crate::syntax::{Expression, Kind};
use crate::value::{Value, set};
use crate::{Error, Result};

/// A type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    Any,
    Text,
    Number,
    Bool,
    List(Box<Type>),
    Set(Box<Type>),
    Map(Box<Type>),
    /// With whether each part may be missing.
    Object(Vec<(String, Type, bool)>),
    Tuple(Vec<Type>),
}

impl Type {
    /// Reads `list(string)`.
    pub(crate) fn of(expression: &Expression) -> Result<Type> {
        let wrong = || Error::new("this is no type");
        match &expression.kind {
            Kind::Variable(name) => match name.as_str() {
                "any" => Ok(Type::Any),
                "string" => Ok(Type::Text),
                "number" => Ok(Type::Number),
                "bool" => Ok(Type::Bool),
                "list" => Ok(Type::List(Box::new(Type::Any))),
                "set" => Ok(Type::Set(Box::new(Type::Any))),
                "map" => Ok(Type::Map(Box::new(Type::Any))),
                _ => Err(wrong()),
            },
            Kind::Call { name, args, .. } => match (name.as_str(), &args[..]) {
                ("list", [of]) => Ok(Type::List(Box::new(Type::of(of)?))),
                ("set", [of]) => Ok(Type::Set(Box::new(Type::of(of)?))),
                ("map", [of]) => Ok(Type::Map(Box::new(Type::of(of)?))),
                ("tuple", [parts]) => match &parts.kind {
                    Kind::List(parts) => {
                        Ok(Type::Tuple(parts.iter().map(Type::of).collect::<Result<_>>()?))
                    }
                    _ => Err(wrong()),
                },
                ("object", [parts]) => match &parts.kind {
                    Kind::Object(parts) => Type::object(parts),
                    _ => Err(wrong()),
                },
                _ => Err(wrong()),
            },
            Kind::Template(parts) => match &parts[..] {
                // As JSON writes it.
                [crate::syntax::Part::Text(text)] => {
                    Type::of(&crate::syntax::expression(&expression.file, text)?)
                }
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        }
    }

    fn object(parts: &[(Expression, Expression)]) -> Result<Type> {
        let mut all = Vec::new();
        for (key, of) in parts {
            let key = key.as_keyword().ok_or_else(|| Error::new("this is no name of a part"))?;
            let (of, optional) = match &of.kind {
                Kind::Call { name, args, .. } if name == "optional" && !args.is_empty() => {
                    (Type::of(&args[0])?, true)
                }
                _ => (Type::of(of)?, false),
            };
            all.push((key, of, optional));
        }
        Ok(Type::Object(all))
    }

    /// What it is called.
    pub(crate) fn name(&self) -> String {
        match self {
            Type::Any => "any".to_owned(),
            Type::Text => "string".to_owned(),
            Type::Number => "number".to_owned(),
            Type::Bool => "bool".to_owned(),
            Type::List(of) => format!("list of {}", of.name()),
            Type::Set(of) => format!("set of {}", of.name()),
            Type::Map(of) => format!("map of {}", of.name()),
            Type::Object(_) => "object".to_owned(),
            Type::Tuple(_) => "tuple".to_owned(),
        }
    }

    /// The value as one of this type.
    pub(crate) fn convert(&self, value: &Value) -> Result<Value> {
        if *value == Value::Null {
            return Ok(Value::Null);
        }
        match self {
            Type::Any => Ok(value.clone()),
            Type::Text => value.to_text().map(Value::Text),
            Type::Number => value.to_number().map(Value::Number),
            Type::Bool => value.to_bool().map(Value::Bool),
            Type::List(of) => {
                let list = value.as_list()?.iter().map(|value| of.convert(value));
                Ok(Value::List(list.collect::<Result<_>>()?))
            }
            Type::Set(of) => {
                let list = value.as_list()?.iter().map(|value| of.convert(value));
                Ok(set(list.collect::<Result<_>>()?))
            }
            Type::Map(of) => {
                let pairs = value.as_object()?.iter();
                let pairs = pairs.map(|(key, value)| Ok((key.clone(), of.convert(value)?)));
                Ok(Value::Object(pairs.collect::<Result<_>>()?))
            }
            Type::Tuple(parts) => {
                let list = value.as_list()?;
                if list.len() != parts.len() {
                    return Err(Error::new(format!(
                        "{} elements are required here, and these are {}",
                        parts.len(),
                        list.len()
                    )));
                }
                let list = parts.iter().zip(list).map(|(of, value)| of.convert(value));
                Ok(Value::List(list.collect::<Result<_>>()?))
            }
            Type::Object(parts) => {
                let object = value.as_object()?;
                let mut converted = std::collections::BTreeMap::new();
                for (key, of, optional) in parts {
                    let value = match object.get(key) {
                        Some(value) => of.convert(value)?,
                        None if *optional => Value::Null,
                        None => {
                            return Err(Error::new(format!("the attribute `{key}` is required")));
                        }
                    };
                    converted.insert(key.clone(), value);
                }
                Ok(Value::Object(converted))
            }
        }
    }

    /// What an environment variable means for a variable of this type.
    pub(crate) fn read(&self, name: &str, text: &str) -> Result<Value> {
        let element = |of: &Type, text: &str| match of {
            Type::Any | Type::Text | Type::Number | Type::Bool => of.read(name, text),
            _ => Err(Error::new(format!("unsupported type {} for variable {name}", self.name()))),
        };
        let wrong =
            |kind| Error::new(format!("failed to parse {name} as {kind}: `{}`", shown(text)));
        match self {
            Type::Any | Type::Text => Ok(Value::text(text)),
            Type::Bool => match text {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
                _ => Err(wrong("bool")),
            },
            Type::Number => {
                Value::text(text).to_number().map(Value::Number).map_err(|_| wrong("number"))
            }
            Type::List(of) => {
                let fields = csv::fields(text)?;
                Ok(Value::List(
                    fields.iter().map(|field| element(of, field)).collect::<Result<_>>()?,
                ))
            }
            Type::Set(of) => {
                let fields = csv::fields(text)?;
                Ok(set(fields.iter().map(|field| element(of, field)).collect::<Result<_>>()?))
            }
            Type::Tuple(parts) => {
                let fields = csv::fields(text)?;
                if fields.len() != parts.len() {
                    return Err(Error::new(format!(
                        "{name} expects {} elements but only {} provided",
                        parts.len(),
                        fields.len()
                    )));
                }
                let list = parts.iter().zip(&fields).map(|(of, field)| element(of, field));
                Ok(Value::List(list.collect::<Result<_>>()?))
            }
            Type::Map(of) => {
                let mut map = std::collections::BTreeMap::new();
                for field in csv::fields(text)? {
                    match &csv::separated(&field, ':')?[..] {
                        [key, value] => drop(map.insert(key.clone(), element(of, value)?)),
                        _ => return Err(wrong("map")),
                    }
                }
                Ok(Value::Object(map))
            }
            Type::Object(_) => {
                Err(Error::new(format!("unsupported type {} for variable {name}", self.name())))
            }
        }
    }
}
