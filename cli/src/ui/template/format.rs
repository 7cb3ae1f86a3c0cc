//! `printf`, with the verbs of Go's that are of use for what commands show.

use serde_json::Value;

use super::function::plain;

/// The widest that something is made.
const MOST: usize = 1 << 10;

/// A verb with what stands between it and its sign: `%-20s`.
#[derive(Debug, Default)]
struct Verb {
    left: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
}

/// Fills a format in.
pub(super) fn format(text: &str, values: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut values = values.iter();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let length = after.find(|c: char| !(c.is_ascii_digit() || "-+# .".contains(c)));
        let length = length.ok_or("a `%` has no verb")?;
        let (options, after) = after.split_at(length);
        let mut characters = after.chars();
        let kind = characters.next().ok_or("a `%` has no verb")?;
        let value = values.next().ok_or_else(|| format!("`%{kind}` has no value"))?;
        out.push_str(&Verb::read(options)?.show(kind, value)?);
        rest = characters.as_str();
    }
    out.push_str(rest);
    match values.next() {
        None => Ok(out),
        Some(_) => Err("a value has no verb".into()),
    }
}

impl Verb {
    fn read(options: &str) -> Result<Verb, String> {
        let (flags, precision) = match options.split_once('.') {
            Some((flags, precision)) => (flags, Some(number(precision)?)),
            None => (options, None),
        };
        let width = flags.trim_start_matches(['-', '+', '#', ' ', '0']);
        let flags = flags.get(..flags.len() - width.len()).unwrap_or_default();
        Ok(Verb {
            left: flags.contains('-'),
            zeros: flags.contains('0'),
            width: number(width)?,
            precision,
        })
    }

    fn show(&self, kind: char, value: &Value) -> Result<String, String> {
        let text = match (kind, value) {
            ('s' | 'v', _) => {
                let text = plain(value);
                match self.precision {
                    Some(most) => text.chars().take(most).collect(),
                    None => text,
                }
            }
            ('q', _) => quoted(value),
            ('d', Value::Number(number)) => number.to_string(),
            ('x', Value::Number(number)) => {
                format!("{:x}", number.as_i64().unwrap_or_default())
            }
            ('t', Value::Bool(value)) => value.to_string(),
            ('f', Value::Number(number)) => {
                let places = self.precision.unwrap_or(6);
                format!("{:.places$}", number.as_f64().unwrap_or_default())
            }
            _ => return Err(format!("`%{kind}` does not show `{value}`")),
        };
        let missing = self.width.saturating_sub(text.chars().count());
        Ok(match (self.left, self.zeros) {
            (true, _) => text + &" ".repeat(missing),
            (false, true) => "0".repeat(missing) + &text,
            (false, false) => " ".repeat(missing) + &text,
        })
    }
}

/// Go quotes each text of a list or map.
fn quoted(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(quoted).collect::<Vec<_>>().join(" "))
        }
        Value::Object(fields) => {
            let mut pairs: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{}:{}", quoted(&name.clone().into()), quoted(value)))
                .collect();
            pairs.sort_unstable();
            format!("map[{}]", pairs.join(" "))
        }
        value => Value::from(plain(value)).to_string(),
    }
}

fn number(text: &str) -> Result<usize, String> {
    match text {
        "" => Ok(0),
        text => text
            .parse()
            .ok()
            .filter(|number| *number <= MOST)
            .ok_or_else(|| format!("`{text}` is no width")),
    }
}
