//! Variables, in the order in which they were set.

use std::sync::Arc;

/// How many bytes names and values may have together where a Dockerfile sets them. A process
/// takes no more than 2 MiB of variables and arguments where its stack has the usual limit
/// (execve(2)), and a file of lines such as `ENV A=$A$A` would fill all memory.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// `NAME=value` pairs, each name once; a copy shares them until one of the two is changed. A name
/// that is set again keeps its place, as it does in the `Env` of an image's config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    pairs: Arc<indexmap::IndexMap<String, String>>,
    /// The bytes of all names and values.
    bytes: usize,
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
        let (name, value) = (name.into(), value.into());
        let (length, added) = (name.len(), value.len());
        self.bytes += added;
        match Arc::make_mut(&mut self.pairs).insert(name, value) {
            Some(before) => self.bytes -= before.len(),
            None => self.bytes += length,
        }
    }

    /// Whether a variable can be set without making all of them larger than [`MAX_BYTES`].
    pub(crate) fn has_room_for(&self, name: &str, value: &str) -> bool {
        let before = self.get(name).map_or(0, |value| name.len() + value.len());
        self.bytes - before + name.len() + value.len() <= MAX_BYTES
    }

    /// Forgets a variable; the others keep their order.
    pub(crate) fn unset(&mut self, name: &str) {
        if self.pairs.contains_key(name)
            && let Some(before) = Arc::make_mut(&mut self.pairs).shift_remove(name)
        {
            self.bytes -= name.len() + before.len();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replaced_or_unset_makes_room_again() {
        let mut env = Environment::default();
        let half = "x".repeat(MAX_BYTES / 2);
        env.set("a", half.as_str());
        assert!(!env.has_room_for("b", &half));
        assert!(env.has_room_for("a", &half));
        env.set("a", "");
        assert!(env.has_room_for("b", &half));
        env.set("b", half.as_str());
        env.unset("b");
        assert!(env.has_room_for("c", &half));
    }
}
