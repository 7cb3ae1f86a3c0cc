//! What a repository holds beside its blobs: manifests, tags and who refers to whom. Changes are
//! values, checked and applied by pure functions, so that every storage agrees on what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use oci::{Digest, MediaType};

use crate::condition::Condition;
use crate::name::Tag;

/// A manifest or index of a repository. Its bytes are a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The `Content-Type` it was pushed with.
    pub(crate) media_type: MediaType,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// What it refers to.
    pub(crate) subject: Option<Digest>,
    /// When it was last pushed, if that is known. With it two states differ if there was a push
    /// between them, even one that changed nothing else.
    pub(crate) pushed: Option<SystemTime>,
}

/// The state of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    manifests: BTreeMap<Digest, Entry>,
    tags: BTreeMap<Tag, Digest>,
    /// Derived from `manifests`: subject to referrers.
    referrers: BTreeMap<Digest, BTreeSet<Digest>>,
}

/// One atomic change of a repository.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Adds a manifest, whose bytes are already there, and points tags at it.
    Put {
        digest: Digest,
        entry: Entry,
        tags: Vec<Tag>,
        /// On what the first tag points at, or without tags on the manifest itself.
        condition: Condition,
        /// How many tags the repository may have after it, unless it gets no new one.
        most_tags: usize,
        /// The manifests that it cannot be without.
        needs: Vec<Digest>,
    },
    /// Removes a tag and leaves its manifest.
    RemoveTag { tag: Tag, condition: Condition },
    /// Removes a manifest and every tag that points at it.
    RemoveManifest { digest: Digest, condition: Condition },
    /// Removes what a collection found nobody to need, if nothing has changed since it looked.
    Collect { seen: Box<State>, tags: Vec<Tag>, manifests: Vec<Digest> },
}

/// Why a change cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such manifest or tag.
    Unknown,
    /// The condition of the request does not hold.
    Precondition,
    /// The repository would have too many tags.
    TooManyTags,
    /// What it needs is not there.
    Incomplete,
    /// It was decided upon another state.
    Changed,
}

impl State {
    /// The manifest behind a digest.
    pub(crate) fn manifest(&self, digest: &Digest) -> Option<&Entry> {
        self.manifests.get(digest)
    }

    /// The digest behind a tag.
    pub(crate) fn tag(&self, tag: &Tag) -> Option<&Digest> {
        self.tags.get(tag)
    }

    pub(crate) fn manifests(&self) -> &BTreeMap<Digest, Entry> {
        &self.manifests
    }

    pub(crate) fn tags(&self) -> &BTreeMap<Tag, Digest> {
        &self.tags
    }

    /// The manifests that name `subject`, in the order of their digests.
    pub(crate) fn referrers(&self, subject: &Digest) -> Vec<(Digest, Entry)> {
        let digests = self.referrers.get(subject).into_iter().flatten();
        digests.filter_map(|d| self.manifests.get(d).map(|e| (d.clone(), e.clone()))).collect()
    }

    /// Whether a change can be made now.
    pub(crate) fn check(&self, change: &Change) -> Result<(), Refusal> {
        let (condition, current, must_exist) = match change {
            Change::Put { digest, tags, condition, .. } => {
                let current = match tags.first() {
                    Some(tag) => self.tags.get(tag),
                    None => self.manifests.get_key_value(digest).map(|(digest, _)| digest),
                };
                (condition, current, false)
            }
            Change::RemoveTag { tag, condition } => (condition, self.tags.get(tag), true),
            Change::RemoveManifest { digest, condition } => {
                let current = self.manifests.get_key_value(digest).map(|(digest, _)| digest);
                (condition, current, true)
            }
            Change::Collect { seen, .. } => {
                return if **seen == *self { Ok(()) } else { Err(Refusal::Changed) };
            }
        };
        if must_exist && current.is_none() {
            return Err(Refusal::Unknown);
        }
        if !condition.holds(current) {
            return Err(Refusal::Precondition);
        }
        match change {
            Change::Put { tags, most_tags, .. } if !self.has_room(tags, *most_tags) => {
                Err(Refusal::TooManyTags)
            }
            Change::Put { needs, .. } if needs.iter().any(|d| !self.manifests.contains_key(d)) => {
                Err(Refusal::Incomplete)
            }
            _ => Ok(()),
        }
    }

    fn has_room(&self, tags: &[Tag], most: usize) -> bool {
        let new: BTreeSet<&Tag> = tags.iter().filter(|tag| !self.tags.contains_key(*tag)).collect();
        new.is_empty() || self.tags.len() + new.len() <= most
    }

    /// Makes a change that [`State::check`] has let pass.
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Put { digest, entry, tags, .. } => {
                self.insert(digest.clone(), entry.clone());
                self.tags.extend(tags.iter().map(|tag| (tag.clone(), digest.clone())));
            }
            Change::RemoveTag { tag, .. } => {
                self.tags.remove(tag);
            }
            Change::RemoveManifest { digest, .. } => {
                self.remove(digest);
                self.tags.retain(|_, target| target != digest);
            }
            Change::Collect { tags, manifests, .. } => {
                for tag in tags {
                    self.tags.remove(tag);
                }
                for digest in manifests {
                    self.remove(digest);
                }
                let manifests = &self.manifests;
                self.tags.retain(|_, target| manifests.contains_key(target));
            }
        }
    }

    fn insert(&mut self, digest: Digest, entry: Entry) {
        self.remove(&digest);
        if let Some(subject) = &entry.subject {
            self.referrers.entry(subject.clone()).or_default().insert(digest.clone());
        }
        self.manifests.insert(digest, entry);
    }

    fn remove(&mut self, digest: &Digest) {
        let Some(Entry { subject: Some(subject), .. }) = self.manifests.remove(digest) else {
            return;
        };
        if let Some(referrers) = self.referrers.get_mut(&subject) {
            referrers.remove(digest);
            if referrers.is_empty() {
                self.referrers.remove(&subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(name: &str, subject: Option<&Digest>, tags: &[&str]) -> Change {
        Change::Put {
            digest: Digest::sha256(name.as_bytes()),
            entry: Entry {
                media_type: MediaType::OCI_MANIFEST,
                size: 1,
                subject: subject.cloned(),
                pushed: None,
            },
            tags: tags.iter().map(|tag| Tag::parse(tag).unwrap()).collect(),
            condition: Condition::default(),
            most_tags: 3,
            needs: Vec::new(),
        }
    }

    #[test]
    fn a_full_repository_takes_the_tags_that_it_has() {
        let mut state = State::default();
        state.apply(&put("one", None, &["a", "b"]));
        for (tags, fits) in [(vec!["c"], true), (vec!["c", "c"], true), (vec!["c", "d"], false)] {
            assert_eq!(state.check(&put("two", None, &tags)).is_ok(), fits, "{tags:?}");
        }
        state.apply(&put("two", None, &["c"]));
        assert_eq!(state.check(&put("three", None, &["a", "b"])), Ok(()));
        assert_eq!(state.check(&put("three", None, &[])), Ok(()));
        assert_eq!(state.check(&put("three", None, &["a", "d"])), Err(Refusal::TooManyTags));
    }

    #[test]
    fn a_manifest_takes_its_tags_and_references_with_it() {
        let (image, signature) = (Digest::sha256(b"image"), Digest::sha256(b"signature"));
        let mut state = State::default();
        state.apply(&put("image", None, &["a", "b"]));
        state.apply(&put("signature", Some(&image), &["c"]));
        assert_eq!(state.referrers(&image).len(), 1);
        let remove = |digest| Change::RemoveManifest { digest, condition: Condition::default() };
        state.apply(&remove(image.clone()));
        assert_eq!(state.tags().len(), 1);
        assert_eq!(state.check(&remove(image.clone())), Err(Refusal::Unknown));
        assert_eq!(state.referrers(&image).len(), 1, "a subject need not be there");
        state.apply(&remove(signature));
        assert!(state.referrers(&image).is_empty() && state.referrers.is_empty());
    }
}
