//! Everything about some of many, as `inspect` shows it.

use serde_json::Value;

use super::say;
use super::template::Template;
use crate::error::{Failure, Outcome};

/// Shows what `look` finds by each name, as a JSON list or by a template. What was found is
/// printed also when something else was not.
pub(crate) fn show_each(
    names: &[String],
    format: &str,
    look: impl Fn(&str) -> Result<Value, Failure>,
) -> Outcome {
    let template = match format {
        "json" => None,
        text => Some(Template::parse(text).map_err(Failure::new)?),
    };
    let mut found = Vec::new();
    let mut status = 0;
    for name in names {
        match look(name) {
            Ok(object) => found.push(object),
            Err(failure) => {
                anstream::eprintln!("{}{failure}", super::ERROR);
                status = 1;
            }
        }
    }
    match template {
        None => say!("{:#}", Value::Array(found)),
        Some(template) => {
            for object in &found {
                say!("{}", template.render(object).map_err(Failure::new)?);
            }
        }
    }
    Ok(status)
}
