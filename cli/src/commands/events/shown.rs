//! Events in docker's words.

use layerfs::Event;
use serde_json::{Value, json};

use super::happened;
use crate::error::Failure;
use crate::ui::say;
use crate::ui::template::Template;

/// docker's status for a format that asks for what there is not.
const BAD_FORMAT: u8 = 64;

/// How they are shown.
pub(super) enum Form {
    Line,
    Json,
    Template(Template),
}

impl Form {
    /// Reads a format.
    pub(super) fn read(format: Option<&str>) -> Result<Form, Failure> {
        match format {
            None | Some("") => Ok(Form::Line),
            Some("json") => Ok(Form::Json),
            Some(text) => {
                let parsed = Template::parse(text).and_then(|template| {
                    // What no event has is said before there is one.
                    template.render(&fields(&nothing())).map(|_| template)
                });
                parsed.map(Form::Template).map_err(|error| Failure::new(error).code(BAD_FORMAT))
            }
        }
    }

    /// Shows one.
    pub(super) fn show(&self, event: &Event) -> Result<(), Failure> {
        match self {
            Form::Line => say!("{}", line(event)),
            Form::Json => say!("{}", value(event)),
            Form::Template(template) => {
                say!("{}", template.render(&fields(event)).map_err(Failure::new)?);
            }
        }
        Ok(())
    }
}

/// An event of nothing, which has all fields.
fn nothing() -> Event {
    Event {
        number: 0,
        millis: 0,
        kind: String::new(),
        action: String::new(),
        actor: String::new(),
        attributes: std::collections::BTreeMap::new(),
    }
}

fn line(event: &Event) -> String {
    let Event { kind, action, actor, .. } = event;
    let attributes = attributes(event);
    let pairs = attributes.iter().map(|(name, value)| format!("{name}={value}"));
    let pairs = pairs.collect::<Vec<_>>().join(", ");
    format!("{:.9} {kind} {action} {actor} ({pairs})", happened(event))
}

/// With the names of images as people write them.
fn attributes(event: &Event) -> std::collections::BTreeMap<String, String> {
    let mut attributes = event.attributes.clone();
    if event.kind == "image"
        && let Some(name) = attributes.get_mut("name")
        && let Ok(reference) = name.parse::<oci::Reference>()
        && !name.starts_with("sha256:")
    {
        *name = reference.familiar();
    }
    attributes
}

/// docker's object: what is about containers and images has older fields, too.
fn value(event: &Event) -> Value {
    let attributes = attributes(event);
    let at = happened(event);
    let mut value = json!({
        "Type": event.kind,
        "Action": event.action,
        "Actor": { "ID": event.actor, "Attributes": attributes },
        "scope": "local",
        "time": at.as_second(),
        "timeNano": i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX),
    });
    if matches!(event.kind.as_str(), "container" | "image") {
        value["status"] = json!(event.action);
        value["id"] = json!(event.actor);
    }
    if let Some(image) = attributes.get("image") {
        value["from"] = json!(image);
    }
    value
}

/// The same with all fields that a template may name.
fn fields(event: &Event) -> Value {
    let mut value = value(event);
    let text = |value: &Value, name: &str| value.get(name).cloned().unwrap_or_else(|| json!(""));
    for (name, field) in [
        ("Status", "status"),
        ("ID", "id"),
        ("From", "from"),
        ("Scope", "scope"),
        ("Time", "time"),
        ("TimeNano", "timeNano"),
    ] {
        value[name] = text(&value, field);
    }
    value
}
