//! What definitions see of the machine.

/// What definitions see of the machine.
pub trait Surroundings {
    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// An environment variable, or what the file `.env` has of that name, as compose files see it.
    fn composed_variable(&self, name: &str) -> Option<String> {
        self.variable(name)
    }

    /// The home directory of whoever asks.
    fn home(&self) -> Option<String>;

    /// The time now, RFC 3339.
    fn now(&self) -> String;
}
