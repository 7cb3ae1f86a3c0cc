//! Variables, in the order in which they were set.

use std::sync::Arc;

/// `NAME=value` pairs, each name once; a copy shares them until one of the two is changed. A name that is set again keeps its place, as it does in
/// the `Env` of an image's config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    pairs: Arc<indexmap::IndexMap<String, String>>,
}

impl Environment {
    /// The variables of an image's config. A name without `=` has an empty value.
    pub(crate) fn from_config(env: &[String]) -> Environment {
        let mut environment = Environment::default();
        for entry in env {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            environment.set(name, value);
        }
        environment
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.get(name).map(String::as_str)
    }

    /// Sets a variable.
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        Arc::make_mut(&mut self.pairs).insert(name.into(), value.into());
    }

    /// Forgets a variable; the others keep their order.
    pub(crate) fn unset(&mut self, name: &str) {
        if self.pairs.contains_key(name) {
            Arc::make_mut(&mut self.pairs).shift_remove(name);
        }
    }

    /// Sets a variable that is not set yet.
    pub(crate) fn set_default(&mut self, name: &str, value: &str) {
        if !self.pairs.contains_key(name) {
            self.set(name, value);
        }
    }

    /// The names and values, in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The variables as an image's config holds them.
    pub(crate) fn to_config(&self) -> Vec<String> {
        self.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}
