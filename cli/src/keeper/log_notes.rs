//! What `--log-opt` has noted with the lines of a log, for `logs --details`: labels, variables, a
//! tag.

use std::collections::BTreeMap;

use layerfs::Container;
use oci::RuntimeConfig;
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Failure;
use crate::ui::template::Template;

/// Which of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LogNotes {
    /// Names of labels.
    labels: Vec<String>,
    /// A pattern of such names.
    labels_regex: Option<String>,
    /// Names of variables.
    env: Vec<String>,
    /// A pattern of such names.
    env_regex: Option<String>,
    /// A text, in which a container's `{{.Name}}` and the like stand for it.
    tag: Option<String>,
}

impl LogNotes {
    /// Takes what is about notes out of the options of a log; the rest is left.
    pub(crate) fn take(options: &[String]) -> Result<(LogNotes, Vec<String>), Failure> {
        let mut notes = LogNotes::default();
        let mut rest = Vec::new();
        let list = |value: &str| value.split(',').map(str::to_owned).collect();
        let pattern = |value: &str| match Regex::new(value) {
            Ok(_) => Ok(Some(value.to_owned())),
            Err(_) => Err(Failure::new(format!("`{value}` is no regular expression"))),
        };
        for option in options {
            match option.split_once('=') {
                Some(("labels", value)) => notes.labels = list(value),
                Some(("labels-regex", value)) => notes.labels_regex = pattern(value)?,
                Some(("env", value)) => notes.env = list(value),
                Some(("env-regex", value)) => notes.env_regex = pattern(value)?,
                Some(("tag", value)) => {
                    Template::parse(value).map_err(Failure::new)?;
                    notes.tag = Some(value.to_owned());
                }
                _ => rest.push(option.clone()),
            }
        }
        Ok((notes, rest))
    }

    /// `NAME=VALUE` of each, in docker's words: by name, with commas between.
    pub(crate) fn details(&self, container: &Container, runtime: &RuntimeConfig) -> String {
        let mut all = BTreeMap::new();
        for (name, value) in &runtime.labels {
            if is_meant(name, &self.labels, self.labels_regex.as_deref()) {
                all.insert(name.clone(), value.clone());
            }
        }
        for (name, value) in runtime.env.iter().filter_map(|pair| pair.split_once('=')) {
            if is_meant(name, &self.env, self.env_regex.as_deref()) {
                all.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Some(tag) = &self.tag {
            all.insert("tag".to_owned(), filled_in(tag, container));
        }
        let pairs = all.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
        pairs.collect::<Vec<_>>().join(",")
    }
}

fn is_meant(name: &str, names: &[String], pattern: Option<&str>) -> bool {
    let matches = |pattern: &str| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(name));
    names.iter().any(|known| known == name) || pattern.is_some_and(matches)
}

fn filled_in(tag: &str, container: &Container) -> String {
    let image = container.image.as_ref().map(ToString::to_string).unwrap_or_default();
    let value = json!({
        "ID": &container.id[..12],
        "FullID": container.id,
        "Name": container.name,
        "ImageName": container.image_name,
        "ImageFullID": image,
        "ImageID": image.chars().take(12).collect::<String>(),
        "DaemonName": "tierce",
    });
    // It was read when the container was made; what has no such field is shown as it is.
    Template::parse(tag).and_then(|tag| tag.render(&value)).unwrap_or_else(|_| tag.to_owned())
}

/// As in the query of a URL: neither a comma nor a space is left.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_notes_is_taken_out_of_the_options() {
        let options = ["max-size=1m", "labels=a,b", "env-regex=^X", "tag={{.Name}}"];
        let (notes, rest) = LogNotes::take(&options.map(str::to_owned)).unwrap();
        assert_eq!(rest, ["max-size=1m"]);
        assert_eq!(notes.labels, ["a", "b"]);
        assert!(LogNotes::take(&["env-regex=[".to_owned()]).is_err());
        assert!(LogNotes::take(&["tag={{".to_owned()]).is_err());
    }

    #[test]
    fn values_are_escaped() {
        assert_eq!(escaped("a b,c=ü"), "a+b%2Cc%3D%C3%BC");
    }
}
