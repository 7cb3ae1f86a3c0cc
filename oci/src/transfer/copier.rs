//! The one way from an origin to a destination.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::edit::{Edit, Supplied};
use super::rewrite::{Changes, ManifestFormat, Rewritten};
use super::tree::{Node, Platforms, gather, refused};
use super::{Arrival, Destination, Origin, Standing};
use crate::{Descriptor, Digest, Document, Error, Result};

/// How many referrers of referrers are followed.
const MAX_REFERRERS: usize = 10_000;

/// What happens to a blob of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// So many of its bytes are on their way.
    Moved(u64),
    /// It is through.
    Arrived(Arrival),
}

/// Is told of the blobs of a copy, from several threads.
pub type Observer<'a> = &'a (dyn Fn(&Descriptor, Moment) + Sync);

/// What is copied, and what is changed on the way.
pub struct CopyOptions {
    /// Which images of an index.
    pub platforms: Platforms,
    /// Whether what refers to the copied documents comes along.
    pub referrers: bool,
    /// The family of media types; as they are if none is chosen.
    pub format: Option<ManifestFormat>,
    /// How images are changed, one edit after the other.
    pub edits: Vec<Box<dyn Edit>>,
    /// Whether a copy whose digest would be another is refused.
    pub preserve_digests: bool,
    /// How many blobs are on their way at once.
    pub parallel: usize,
}

impl Default for CopyOptions {
    fn default() -> CopyOptions {
        CopyOptions {
            platforms: Platforms::All,
            referrers: false,
            format: None,
            edits: Vec::new(),
            preserve_digests: false,
            parallel: 6,
        }
    }
}

/// What a copy came to.
#[derive(Debug, Clone)]
pub struct Copied {
    /// What the destination has under its name.
    pub root: Descriptor,
    /// How many bytes of blobs were taken.
    pub bytes: u64,
    /// Whether the destination had all of it before.
    pub was_there: bool,
    /// How many referrers came along.
    pub referrers: usize,
}

/// Copies from an origin to a destination.
pub struct Copier<'a> {
    /// Where from.
    pub origin: &'a dyn Origin,
    /// Where to.
    pub destination: &'a dyn Destination,
    /// What, and how.
    pub options: &'a CopyOptions,
    /// Who is told.
    pub observer: Observer<'a>,
}

impl Copier<'_> {
    /// Copies.
    ///
    /// # Errors
    /// If anything cannot be read or written. What arrived before stays; nothing stands under the
    /// destination's name then that did not before.
    pub fn copy(&self) -> Result<Copied> {
        let (tree, documents, root) = self.prepare()?;
        if self.options.preserve_digests && root.digest != *tree.document.digest() {
            return Err(refused(&tree.document, "its digest would change"));
        }
        if self.options.referrers && root.digest != *tree.document.digest() {
            return Err(refused(
                &tree.document,
                "what refers to it would refer to nothing: its digest changes on the way",
            ));
        }
        let was_there = self.destination.is_there(&root, &parts_of(&documents))?;
        let mut copied = Copied { root, bytes: 0, was_there, referrers: 0 };
        let mut done = HashSet::new();
        if !was_there {
            copied.bytes = self.put(&documents, Standing::Root, &mut done)?;
        }
        if self.options.referrers {
            self.put_referrers(&tree, &mut copied, &mut done)?;
        }
        self.destination.finish()?;
        Ok(copied)
    }

    /// Whether the destination has all of it, so that there is nothing to copy. Writes nothing.
    ///
    /// # Errors
    /// If one of the places does not say.
    pub fn is_through(&self) -> Result<bool> {
        let (tree, documents, root) = self.prepare()?;
        let mut referrers = Vec::new();
        if self.options.referrers {
            self.each_referrer(&tree, &mut |referrer| {
                referrers.push(referrer.clone());
                Ok(())
            })?;
        }
        let parts = parts_of(&documents);
        self.destination.is_there(&root, &[parts, referrers.iter().collect()].concat())
    }

    /// What is there, what it is to become, and the root of that.
    fn prepare(&self) -> Result<(Node, Vec<Rewritten>, Descriptor)> {
        let tree = gather(self.origin, &self.options.platforms)?;
        let supply = self.supplied();
        let documents = Changes { format: self.options.format, supply: &supply }.apply(&tree)?;
        let root = documents.last().map(|last| last.descriptor.clone());
        let root = root.ok_or_else(|| refused(&tree.document, "it has no documents"))?;
        Ok((tree, documents, root))
    }

    fn supplied(&self) -> Supplied<'_> {
        Supplied { origin: self.origin, edits: &self.options.edits, observer: None }
    }

    /// Puts the blobs of some documents and then the documents, of which the last has the given
    /// standing. Answers with the bytes of the blobs that were taken.
    fn put(
        &self,
        documents: &[Rewritten],
        standing: Standing,
        done: &mut HashSet<Digest>,
    ) -> Result<u64> {
        let blobs: Vec<&Descriptor> = documents
            .iter()
            .flat_map(|written| blobs_of(&written.document))
            .filter(|blob| done.insert(blob.digest.clone()))
            .collect();
        let bytes = self.put_blobs(blobs)?;
        // Some places take blobs with the document that lists them, and do not tell how far.
        let supply = Supplied { observer: Some(self.observer), ..self.supplied() };
        for (position, written) in documents.iter().enumerate() {
            let last = position + 1 == documents.len();
            let standing = if last { standing } else { Standing::Part };
            if done.insert(written.descriptor.digest.clone()) || standing != Standing::Part {
                self.destination.put_document(&written.document, standing, &supply)?;
            }
        }
        Ok(bytes)
    }

    fn put_blobs(&self, blobs: Vec<&Descriptor>) -> Result<u64> {
        let workers = self.options.parallel.clamp(1, blobs.len().max(1));
        let state = Mutex::new(Work { queue: blobs.into_iter().collect(), bytes: 0, failed: None });
        let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
        let supply = self.supplied();
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let Some(blob) = lock().next() else { return };
                        let moved = |bytes| (self.observer)(blob, Moment::Moved(bytes));
                        match self.destination.put_blob(blob, &supply, &moved) {
                            Ok(arrival) => {
                                (self.observer)(blob, Moment::Arrived(arrival));
                                if arrival == Arrival::Taken {
                                    lock().bytes += blob.size;
                                }
                            }
                            Err(error) => drop(lock().failed.get_or_insert(error)),
                        }
                    }
                });
            }
        });
        let work = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        work.failed.map_or(Ok(work.bytes), Err)
    }

    /// Copies what refers to the documents of the tree, and what refers to that.
    fn put_referrers(
        &self,
        tree: &Node,
        copied: &mut Copied,
        done: &mut HashSet<Digest>,
    ) -> Result<()> {
        self.each_referrer(tree, &mut |referrer| {
            let document = self.origin.document(referrer)?;
            let written = Rewritten { descriptor: referrer.clone(), document };
            copied.bytes += self.put(&[written], Standing::Referrer, done)?;
            copied.referrers += 1;
            Ok(())
        })
    }

    /// Calls `visit` for what refers to the documents of the tree, and what refers to that.
    fn each_referrer(
        &self,
        tree: &Node,
        visit: &mut dyn FnMut(&Descriptor) -> Result<()>,
    ) -> Result<()> {
        let mut subjects = VecDeque::new();
        tree.walk(&mut |node| subjects.push_back(node.document.digest().clone()));
        let mut seen: HashSet<Digest> = subjects.iter().cloned().collect();
        while let Some(subject) = subjects.pop_front() {
            for referrer in self.origin.referrers(&subject)? {
                if !seen.insert(referrer.digest.clone()) {
                    continue;
                }
                if seen.len() > MAX_REFERRERS {
                    return Err(refused(&tree.document, "too much refers to it"));
                }
                visit(&referrer)?;
                subjects.push_back(referrer.digest);
            }
        }
        Ok(())
    }
}

/// The documents below the root.
fn parts_of(documents: &[Rewritten]) -> Vec<&Descriptor> {
    documents.iter().rev().skip(1).map(|part| &part.descriptor).collect()
}

/// The blobs that are still to be put.
struct Work<'a> {
    queue: VecDeque<&'a Descriptor>,
    bytes: u64,
    failed: Option<Error>,
}

impl<'a> Work<'a> {
    /// The next; none after a failure.
    fn next(&mut self) -> Option<&'a Descriptor> {
        if self.failed.is_some() { None } else { self.queue.pop_front() }
    }
}

/// The blobs that a document needs. What must not be distributed stays where it is.
fn blobs_of(document: &Document) -> Vec<&Descriptor> {
    match document {
        Document::Index(_) => Vec::new(),
        Document::Manifest(manifest) => manifest
            .layers
            .iter()
            .filter(|layer| !layer.media_type.is_foreign_layer())
            .chain([&manifest.config])
            .collect(),
    }
}
