//! `--format`: placeholders over what `--format json` shows.
//!
//! Scripts written for docker use a few forms of Go's templates: `{{.Field}}`, `{{.A.B}}`,
//! `{{json .A}}`, `{{index .A 0}}`, `{{join .A ","}}`. These are read; conditions and loops are
//! not, and are refused by name instead of being printed wrongly.

use serde_json::Value;

/// A parsed `--format`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Field(Vec<String>),
    Json(Vec<String>),
    Index(Vec<String>, String),
    Join(Vec<String>, String),
}

impl Template {
    /// Reads a template. `\t` and `\n` written as two characters are the characters they name.
    pub(crate) fn parse(text: &str) -> Result<Template, String> {
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        let mut parts = Vec::new();
        let mut rest = text.strip_prefix("table ").unwrap_or(&text);
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (inside, behind) =
                after.split_once("}}").ok_or("a placeholder `{{` has no `}}`")?;
            parts.push(placeholder(inside.trim_matches(|c| c == '-' || c == ' '))?);
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Template(parts))
    }

    /// Fills the placeholders in. A field that is not there is an error that names those that are.
    pub(crate) fn render(&self, value: &Value) -> Result<String, String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(path) => out.push_str(&plain(look_up(value, path)?)),
                Part::Json(path) => out.push_str(&look_up(value, path)?.to_string()),
                Part::Index(path, key) => out.push_str(&plain(index(look_up(value, path)?, key)?)),
                Part::Join(path, separator) => {
                    let list = look_up(value, path)?;
                    let items: Vec<String> =
                        list.as_array().into_iter().flatten().map(plain).collect();
                    out.push_str(&items.join(separator));
                }
            }
        }
        Ok(out)
    }
}

fn placeholder(inside: &str) -> Result<Part, String> {
    let unknown = || {
        format!(
            "`{{{{{inside}}}}}` is not a placeholder; these are: {{{{.Field}}}}, \
             {{{{json .Field}}}}, {{{{index .Field KEY}}}}, {{{{join .Field \",\"}}}}; for more, \
             use `--format json` with a JSON tool"
        )
    };
    let words: Vec<&str> = inside.split_whitespace().collect();
    match words[..] {
        [field] => Ok(Part::Field(path(field).ok_or_else(unknown)?)),
        ["json", field] => Ok(Part::Json(path(field).ok_or_else(unknown)?)),
        ["index", field, key] => {
            Ok(Part::Index(path(field).ok_or_else(unknown)?, key.trim_matches('"').to_owned()))
        }
        ["join", field, ..] => {
            let separator = inside.split_once('"').and_then(|(_, s)| s.strip_suffix('"'));
            let field = path(field).ok_or_else(unknown)?;
            Ok(Part::Join(field, separator.ok_or_else(unknown)?.to_owned()))
        }
        _ => Err(unknown()),
    }
}

/// `.A.B` as its names; `.` alone is the whole value.
fn path(word: &str) -> Option<Vec<String>> {
    let names = word.strip_prefix('.')?;
    if names.is_empty() {
        return Some(Vec::new());
    }
    let name = |n: &str| !n.is_empty() && n.chars().all(|c| c.is_alphanumeric() || c == '_');
    names.split('.').all(name).then(|| names.split('.').map(str::to_owned).collect())
}

fn look_up<'a>(value: &'a Value, path: &[String]) -> Result<&'a Value, String> {
    let mut value = value;
    for name in path {
        let Value::Object(fields) = value else {
            return Err(format!("there is no field `{name}` in what has no fields"));
        };
        value = fields.get(name).ok_or_else(|| {
            let known: Vec<&str> = fields.keys().map(String::as_str).collect();
            format!("there is no field `{name}`; these are: {}", known.join(", "))
        })?;
    }
    Ok(value)
}

fn index<'a>(value: &'a Value, key: &str) -> Result<&'a Value, String> {
    let found = match value {
        Value::Array(items) => key.parse::<usize>().ok().and_then(|i| items.get(i)),
        Value::Object(fields) => Some(fields.get(key).unwrap_or(&Value::Null)),
        _ => None,
    };
    found.ok_or_else(|| format!("there is no element {key}"))
}

/// A text as itself, a list and a map as Go prints them, nothing as nothing.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" "))
        }
        Value::Object(fields) => {
            let pairs: Vec<String> =
                fields.iter().map(|(k, v)| format!("{k}:{}", plain(v))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(template: &str) -> Result<String, String> {
        let value =
            json!({"ID": "abc", "Config": {"Cmd": ["sh", "-c"], "Labels": {"a": "b"}}, "N": 3});
        Template::parse(template)?.render(&value)
    }

    #[test]
    fn placeholders_are_filled_in() {
        for (template, expected) in [
            ("{{.ID}}\\t{{ .N }}!", "abc\t3!"),
            ("{{.Config.Cmd}}", "[sh -c]"),
            ("{{json .Config.Cmd}}", r#"["sh","-c"]"#),
            ("{{index .Config.Cmd 1}}", "-c"),
            ("{{index .Config.Labels \"a\"}}", "b"),
            ("{{join .Config.Cmd \", \"}}", "sh, -c"),
            ("{{.Config.Labels}}", "map[a:b]"),
        ] {
            assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for template in ["{{.Nope}}", "{{range .X}}", "{{.ID", "{{if .ID}}x{{end}}", "{{ID}}"] {
            assert!(render(template).is_err(), "{template}");
        }
    }
}
