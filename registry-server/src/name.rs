//! Names of repositories and tags, checked before anything else sees them.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use oci::Reference;

/// The name of a repository (distribution-spec, "Pulling manifests": `<name>`), at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Repository(Arc<str>);

/// A tag (distribution-spec, "Pulling manifests": `<tag-or-digest>` as a tag).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Tag(Arc<str>);

impl Repository {
    /// The name, if it keeps the grammar.
    pub(crate) fn parse(text: &str) -> Option<Repository> {
        Reference::new("localhost", text, None, None).ok().map(|_| Repository(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Tag {
    /// The tag, if it keeps the grammar.
    pub(crate) fn parse(text: &str) -> Option<Tag> {
        Reference::new("localhost", "any", Some(text), None).ok().map(|_| Tag(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lets a page of tags begin after any text, be it a tag or not.
impl Borrow<str> for Tag {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Repository {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
