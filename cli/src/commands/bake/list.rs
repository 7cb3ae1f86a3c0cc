//! `bake --list`: the targets or variables that there are, as buildx lists them.

use std::str::FromStr;

use bake::Definitions;
use serde_json::{Value, json};

use crate::error::Outcome;
use crate::ui::table::Table;
use crate::ui::{say, say_bytes};

/// What is listed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct List {
    variables: bool,
    json: bool,
}

impl FromStr for List {
    type Err = String;

    fn from_str(text: &str) -> Result<List, String> {
        let mut list = List { variables: false, json: false };
        let mut kind = None;
        for field in text.split(',') {
            match field.split_once('=').unwrap_or(("type", field)) {
                ("type", "targets") => kind = Some(false),
                ("type", "variables") => kind = Some(true),
                ("format", "json") => list.json = true,
                ("format", "table") => list.json = false,
                _ => {
                    return Err(format!(
                        "`{field}` is none of type=targets, type=variables, format=json"
                    ));
                }
            }
        }
        list.variables = kind.ok_or("it needs type=targets or type=variables")?;
        Ok(list)
    }
}

impl List {
    /// Prints it.
    pub(super) fn print(self, definitions: &Definitions) -> Outcome {
        let (heading, objects): (&[&str], _) = match self.variables {
            true => (&["VARIABLE", "TYPE", "VALUE", "DESCRIPTION"], variables(definitions)),
            false => (&["TARGET", "DESCRIPTION"], targets(definitions)),
        };
        if self.json {
            say!("{:#}", Value::Array(objects));
            return Ok(0);
        }
        let keys: &[&str] = match self.variables {
            true => &["name", "type", "value", "description"],
            false => &["name", "description"],
        };
        let mut table = Table::new(heading);
        for object in objects {
            let cell = |key: &&str| match object.get(*key) {
                Some(text) => text.as_str().unwrap_or_default().to_owned(),
                None if *key == "value" => "<null>".to_owned(),
                None => String::new(),
            };
            table.row(keys.iter().map(cell).collect());
        }
        say_bytes(table.render().as_bytes())?;
        Ok(0)
    }
}

fn variables(definitions: &Definitions) -> Vec<Value> {
    let of = |variable: &bake::VariableInfo| {
        let mut object = json!({ "name": variable.name });
        if !variable.description.is_empty() {
            object["description"] = variable.description.clone().into();
        }
        if let Some(kind) = &variable.kind {
            object["type"] = kind.clone().into();
        }
        if let Some(value) = &variable.value {
            object["value"] = value.clone().into();
        }
        object
    };
    definitions.variables.iter().map(of).collect()
}

/// Targets and groups by name; those that begin with `_` are nobody's business.
fn targets(definitions: &Definitions) -> Vec<Value> {
    let targets = definitions.targets.iter().map(|target| {
        let mut object = json!({ "name": target.name });
        if !target.description.is_empty() {
            object["description"] = target.description.clone().into();
        }
        object
    });
    let groups = definitions.groups.iter().map(|group| {
        let mut members = group.targets.clone();
        members.sort();
        let members = members.join(", ");
        let description = match (group.description.as_str(), members.as_str()) {
            (description, "") => description.to_owned(),
            ("", members) => members.to_owned(),
            (description, members) => format!("{description} ({members})"),
        };
        json!({ "name": group.name, "description": description, "group": true })
    });
    let mut all: Vec<Value> = targets.chain(groups).collect();
    let name = |object: &Value| object["name"].as_str().unwrap_or_default().to_owned();
    all.retain(|object| !name(object).starts_with('_'));
    all.sort_by_key(name);
    all
}
