//! What variables come to: their defaults, and what the environment has in their place.

use super::Resolver;
use crate::definitions::VariableInfo;
use crate::evaluate::Scope;
use crate::syntax::{Block, Expression, Kind};
use crate::types::Type;
use crate::value::Value;
use crate::{Error, Result};

/// What the environment has for a variable.
enum Override {
    Plain(String),
    Json(String),
}

impl Resolver<'_> {
    /// Holds a variable against its rules.
    pub(super) fn validate(&self, variable: &Block) -> Result<()> {
        let scope = Scope::new(self, Vec::new());
        for rule in variable.body.blocks.iter().filter(|block| block.kind == "validation") {
            let place = |error: Error| error.at(&rule.file, rule.line);
            let Some(condition) = rule.body.attribute("condition") else {
                return Err(place(Error::new("a validation has no `condition`")));
            };
            let holds = scope.value(condition)?.to_bool().map_err(place)?;
            if !holds {
                let message = match rule.body.attribute("error_message") {
                    Some(message) => scope.value(message)?.to_text().map_err(place)?,
                    None => "this check failed".to_owned(),
                };
                return Err(place(
                    Error::new(message)
                        .within(&format!("the variable `{}` is not valid", variable.labels[0])),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn compute_variable(&self, name: &str) -> Result<Option<Value>> {
        let scope = Scope::new(self, Vec::new());
        let block = self.variables.get(name);
        let declared = match block.and_then(|block| block.body.attribute("type")) {
            // As if there were none.
            Some(Expression { kind: Kind::Null, .. }) | None => None,
            Some(expression) => {
                Some(Type::of(expression).map_err(|e| e.at(&expression.file, expression.line))?)
            }
        };
        let attribute = self.attributes.get(name).copied();
        let declared = if attribute.is_some() { None } else { declared };
        let Some(definition) =
            attribute.map(Some).or_else(|| block.map(|block| block.body.attribute("default")))
        else {
            return Ok(None);
        };
        let default = match definition {
            Some(expression) => {
                let value = scope.value(expression)?;
                Some(match &declared {
                    Some(wanted) => wanted.convert(&value).map_err(|error| {
                        error.within(&format!(
                            "the default of variable {name} is no {}",
                            wanted.name()
                        ))
                    })?,
                    None => value,
                })
            }
            None => None,
        };
        let overridden = block.is_some().then(|| self.override_of(name, declared.as_ref()));
        if let Some(Some(text)) = overridden {
            return self.overriding(name, &text, declared.as_ref(), default.as_ref()).map(Some);
        }
        Ok(Some(match (default, declared) {
            (Some(default), _) => default,
            (None, Some(_)) => Value::Null,
            (None, None) => Value::text(""),
        }))
    }

    /// What the environment has for a variable.
    fn override_of(&self, name: &str, declared: Option<&Type>) -> Option<Override> {
        let plain = self.surroundings.variable(name).map(Override::Plain);
        if plain.is_some() && declared.is_none() {
            return plain;
        }
        let json = format!("{name}_JSON");
        if self.variables.contains_key(&json) || self.given.contains_key(&json) {
            return plain;
        }
        self.surroundings.variable(&json).map(Override::Json).or(plain)
    }

    fn overriding(
        &self,
        name: &str,
        text: &Override,
        declared: Option<&Type>,
        default: Option<&Value>,
    ) -> Result<Value> {
        match (text, declared, default) {
            (Override::Json(text), Some(wanted), _) => {
                let json = serde_json::from_str(text).map_err(|error| {
                    Error::new(format!("failed to convert variable {name} from JSON: {error}"))
                })?;
                wanted.convert(&Value::from_json(&json))
            }
            (Override::Plain(text), Some(wanted), _) => wanted.read(name, text),
            (Override::Json(text) | Override::Plain(text), None, default) => match default {
                Some(Value::Bool(_)) => Type::Bool.read(name, text),
                Some(Value::Number(_)) => Type::Number.read(name, text),
                None | Some(Value::Null | Value::Text(_)) => Ok(Value::text(text)),
                Some(other) => Err(Error::new(format!(
                    "unsupported type {} for variable {name}",
                    other.kind()
                ))),
            },
        }
    }
}

/// A variable as lists show it.
pub(super) fn info(name: &str, block: &Block, value: &Value) -> Result<VariableInfo> {
    let description = block.body.attribute("description").and_then(Expression::as_keyword);
    let description = description.unwrap_or_default();
    let kind = match block.body.attribute("type") {
        Some(Expression { kind: Kind::Null, .. }) | None => None,
        Some(kind) => Some(Type::of(kind)?.name()),
    };
    let value = match value {
        Value::Null => None,
        Value::Text(text) => Some(text.clone()),
        other => Some(other.to_json().to_string()),
    };
    Ok(VariableInfo { name: name.to_owned(), description, kind, value })
}
