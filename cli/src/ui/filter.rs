//! `--filter KEY=VALUE` of lists.

use std::collections::BTreeMap;

use jiff::Timestamp;
use regex::Regex;

use crate::error::Failure;
use crate::ui::human;

/// The filters of one list: several values of one key are alternatives unless the list says
/// otherwise.
pub(crate) struct Filters(Vec<(String, String)>);

impl Filters {
    /// Reads filters, of which only these keys are known.
    pub(crate) fn read(given: &[String], known: &[&str]) -> Result<Filters, Failure> {
        let read = |filter: &String| {
            let (key, value) = filter.split_once('=').ok_or_else(|| {
                Failure::new(format!("invalid filter `{filter}`: write it as KEY=VALUE"))
            })?;
            // As docker reads them: `Dangling = true`.
            let (key, value) = (key.trim().to_lowercase(), value.trim());
            if !known.contains(&key.as_str()) {
                let known = known.join(", ");
                return Err(Failure::new(format!("invalid filter `{key}`: these are: {known}")));
            }
            Ok((key, value.to_owned()))
        };
        given.iter().map(read).collect::<Result<_, _>>().map(Filters)
    }

    /// The values of one key.
    pub(crate) fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Whether one of the values holds, or there is none.
    pub(crate) fn any(&self, key: &str, holds: impl Fn(&str) -> bool) -> bool {
        self.values(key).next().is_none() || self.values(key).any(holds)
    }

    /// Whether all values hold.
    pub(crate) fn every(&self, key: &str, holds: impl Fn(&str) -> bool) -> bool {
        self.values(key).all(holds)
    }

    /// Refuses values of a key that are not among these.
    pub(crate) fn only(&self, key: &str, known: &[&str]) -> Result<(), Failure> {
        match self.values(key).find(|value| !known.contains(value)) {
            None => Ok(()),
            Some(value) => {
                let known = known.join(", ");
                Err(Failure::new(format!("invalid filter `{key}={value}`: these are: {known}")))
            }
        }
    }

    /// The values of a key as patterns; one that is no pattern is looked for as it is.
    pub(crate) fn patterns(&self, key: &str) -> Patterns {
        let pattern = |text: &str| {
            let escaped = || Regex::new(&regex::escape(text));
            // Only one that is too long can be neither.
            Regex::new(text).or_else(|_| escaped()).ok()
        };
        Patterns {
            given: self.values(key).next().is_some(),
            all: self.values(key).filter_map(pattern).collect(),
        }
    }

    /// The value of a key that is true or false.
    pub(crate) fn truth(&self, key: &str) -> Result<Option<bool>, Failure> {
        match self.values(key).last().map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("1" | "true") => Ok(Some(true)),
            Some("0" | "false") => Ok(Some(false)),
            Some(other) => {
                Err(Failure::new(format!("invalid filter `{key}={other}`: true or false")))
            }
        }
    }
}

/// What of things that nobody uses is to go: `until=`, `label=` and `label!=`.
pub(crate) struct Prunable {
    filters: Filters,
    until: Vec<Timestamp>,
}

impl Prunable {
    /// Reads the filters.
    pub(crate) fn read(given: &[String]) -> Result<Prunable, Failure> {
        Prunable::of(Filters::read(given, &["until", "label", "label!"])?)
    }

    /// The same of filters among which there may be others.
    pub(crate) fn of(filters: Filters) -> Result<Prunable, Failure> {
        let now = Timestamp::now();
        let until = filters.values("until").map(|text| human::moment(text, now));
        let until = until.collect::<Result<_, _>>().map_err(Failure::new)?;
        Ok(Prunable { filters, until })
    }

    /// Whether anything is said at all.
    pub(crate) fn is_narrow(&self) -> bool {
        !self.filters.0.is_empty()
    }

    /// Whether what was made then and has these labels is meant.
    pub(crate) fn takes(
        &self,
        created: Option<Timestamp>,
        labels: &BTreeMap<String, String>,
    ) -> bool {
        self.until.iter().all(|time| created.is_some_and(|created| created < *time))
            && self.filters.every("label", |label| matches_label(label, labels))
            && self.filters.every("label!", |label| !matches_label(label, labels))
    }
}

/// Patterns, of which one must be found in a text; without any, every text will do.
pub(crate) struct Patterns {
    given: bool,
    all: Vec<Regex>,
}

impl Patterns {
    /// Whether one is found in this.
    pub(crate) fn match_one(&self, text: &str) -> bool {
        !self.given || self.all.iter().any(|pattern| pattern.is_match(text))
    }
}

/// Whether `NAME` or `NAME=VALUE` is among labels.
pub(crate) fn matches_label(wanted: &str, labels: &BTreeMap<String, String>) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|found| found == value),
        None => labels.contains_key(wanted),
    }
}

/// Labels in one text, `a=b,c=d`.
pub(crate) fn joined(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_key_are_alternatives_and_unknown_keys_errors() {
        let given = ["name=a".to_owned(), "name=b".to_owned(), "dangling=1".to_owned()];
        let filters = Filters::read(&given, &["name", "dangling"]).ok().unwrap();
        assert!(filters.any("name", |value| value == "b"));
        assert!(!filters.every("name", |value| value == "b"));
        assert_eq!(filters.truth("dangling").ok(), Some(Some(true)));
        assert!(Filters::read(&given, &["name"]).is_err());
        assert!(filters.only("name", &["a"]).is_err() && filters.only("dangling", &["1"]).is_ok());
        assert!(Filters::read(&["name".to_owned()], &["name"]).is_err());
    }

    #[test]
    fn names_are_found_by_patterns() {
        for (pattern, found) in [
            ("we", true),
            ("^web$", true),
            ("^w[a-f]b", true),
            ("^eb", false),
            ("eb$", true),
            ("x", false),
            ("[", false),
        ] {
            let filters = Filters::read(&[format!("name={pattern}")], &["name"]).ok().unwrap();
            assert_eq!(filters.patterns("name").match_one("web"), found, "{pattern}");
        }
        let none = Filters::read(&[], &["name"]).ok().unwrap();
        assert!(none.patterns("name").match_one("web"));
    }
}
