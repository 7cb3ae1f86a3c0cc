//! `--filter KEY=VALUE` of lists.

use std::collections::BTreeMap;

use crate::error::Failure;

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
            if !known.contains(&key) {
                let known = known.join(", ");
                return Err(Failure::new(format!("invalid filter `{key}`: these are: {known}")));
            }
            Ok((key.to_owned(), value.to_owned()))
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
        assert!(Filters::read(&["name".to_owned()], &["name"]).is_err());
    }
}
