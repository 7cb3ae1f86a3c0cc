//! What happened in a store.

use std::collections::BTreeMap;

use super::Store;
use crate::Result;
use crate::state::events as rows;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place among all: a later one has a larger number.
    pub number: i64,
    /// When it happened, in milliseconds since 1970.
    pub millis: i64,
    /// To what: `container`, `image`, `volume`, or as [`Store::note_event`] was told.
    pub kind: String,
    /// What: `create`, `start`, `die`, …
    pub action: String,
    /// To which: an id, or a name.
    pub actor: String,
    /// What else is known of it.
    pub attributes: BTreeMap<String, String>,
}

impl Store {
    /// The events after the one of this number, in their order; at most `limit`. Those of long ago
    /// are forgotten.
    ///
    /// # Errors
    /// If the database fails.
    pub fn events(&self, after: i64, limit: usize) -> Result<Vec<Event>> {
        let found = self.state().read("read events", |c| Ok(rows::after(c, after, limit)?))?;
        let event = |row: rows::EventRow| Event {
            number: row.number,
            millis: row.millis,
            kind: row.kind,
            action: row.action,
            actor: row.actor,
            // A label may be of any kind; others are texts.
            attributes: serde_json::from_str(&row.attributes).unwrap_or_default(),
        };
        Ok(found.into_iter().map(event).collect())
    }

    /// The number of the latest event; 0 if there is none.
    ///
    /// # Errors
    /// If the database fails.
    pub fn latest_event(&self) -> Result<i64> {
        self.state().read("read events", |c| Ok(rows::latest(c)?))
    }

    /// Notes what happened to something that the store does not keep itself, or was only asked for.
    ///
    /// # Errors
    /// If the database fails.
    pub fn note_event(
        &self,
        kind: &str,
        action: &str,
        actor: &str,
        attributes: &BTreeMap<String, String>,
    ) -> Result<()> {
        let attributes = serde_json::json!(attributes).to_string();
        self.state()
            .write("note an event", |c| Ok(rows::insert(c, kind, action, actor, &attributes)?))
    }
}
