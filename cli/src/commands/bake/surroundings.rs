//! What definitions see of this machine.

use std::collections::BTreeMap;

use bake::Surroundings;
use jiff::{Timestamp, Unit};

use crate::error::{Doing, Failure};
use crate::machine::Machine;

/// The file beside compose files that has more variables.
const DOT_ENV: &str = ".env";

/// The environment, and what `.env` adds to it for compose files.
pub(super) struct Environment<'a> {
    machine: &'a Machine,
    more: BTreeMap<String, String>,
}

impl Environment<'_> {
    pub(super) fn new(machine: &Machine) -> Result<Environment<'_>, Failure> {
        let more = match std::fs::read_to_string(DOT_ENV) {
            Ok(text) => pairs(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                return Err(error).doing(|| format!("cannot read {DOT_ENV}"));
            }
        };
        Ok(Environment { machine, more })
    }
}

/// `NAME=value` a line, quoted or not.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else { continue };
        let value = value.trim();
        let unquoted = ['"', '\''].into_iter().find_map(|quote| {
            value.strip_prefix(quote)?.split_once(quote).map(|(inside, _)| inside)
        });
        let value = unquoted.unwrap_or_else(|| value.split(" #").next().unwrap_or(value).trim());
        pairs.insert(name.trim().to_owned(), value.to_owned());
    }
    pairs
}

impl Surroundings for Environment<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        // One that is empty is one still.
        let bytes = self.machine.variable_bytes(name)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn composed_variable(&self, name: &str) -> Option<String> {
        self.variable(name).or_else(|| self.more.get(name).cloned())
    }

    fn home(&self) -> Option<String> {
        self.variable("HOME")
    }

    fn now(&self) -> String {
        let now = Timestamp::now();
        now.round(Unit::Second).unwrap_or(now).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_a_file_may_be_quoted() {
        let read = pairs("# no\nA=1\nexport B=\"x y\" # no\nC='#'\nD=a # no\n\nE=\n");
        let read: Vec<(&str, &str)> = read.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(read, [("A", "1"), ("B", "x y"), ("C", "#"), ("D", "a"), ("E", "")]);
    }
}
