//! Keeps what the build checks find until the build is over.

use std::sync::{Mutex, PoisonError};

use builder::check::Finding;
use builder::{Event, Progress};

/// Passes events on, and keeps findings.
pub(crate) struct Findings<P> {
    progress: P,
    kept: Mutex<Vec<Finding>>,
}

impl<P> Findings<P> {
    /// Events go to `progress`.
    pub(crate) fn new(progress: P) -> Findings<P> {
        Findings { progress, kept: Mutex::default() }
    }

    /// Ends the display; the findings.
    pub(crate) fn into_inner(self) -> Vec<Finding> {
        self.kept.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: std::ops::Deref<Target = dyn Progress> + Send + Sync> Progress for Findings<P> {
    fn event(&self, event: Event<'_>) {
        if let Event::Finding(finding) = event {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(finding.clone());
        }
        self.progress.event(event);
    }
}
