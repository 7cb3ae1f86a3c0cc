//! What ADD brought from elsewhere, for those who ask afterwards.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use oci::DiffId;

use super::Outcome;
use crate::op::{Remote, RemoteUrl};
use crate::remote::GitSource;

/// What was behind a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// A file, in this layer and alone there.
    File(DiffId),
    /// This commit.
    Commit(String),
}

/// What was behind each URL.
#[derive(Debug, Default)]
pub(crate) struct Brought(Mutex<HashMap<Remote, Content>>);

impl Brought {
    /// Notes the layer with a file.
    pub(super) fn file(&self, file: &RemoteUrl, outcome: &Outcome) {
        if let Some(layer) = outcome.layers.last() {
            self.note(Remote::File(file.clone()), Content::File(layer.clone()));
        }
    }

    /// Notes the commit of a repository.
    pub(super) fn commit(&self, source: &GitSource, commit: &str) {
        self.note(Remote::Git(source.clone()), Content::Commit(commit.to_owned()));
    }

    fn note(&self, remote: Remote, content: Content) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(remote, content);
    }

    /// What was there.
    pub(crate) fn content(&self, remote: &Remote) -> Option<Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(remote).cloned()
    }
}
