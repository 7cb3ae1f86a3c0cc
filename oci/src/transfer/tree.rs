//! What belongs to a copy: the root and the documents below it.

use super::Origin;
use crate::{Descriptor, Document, Error, Index, Manifest, Platform, Raw, Result};

/// How deep indexes may be nested.
const MAX_DEPTH: usize = 4;
/// How many documents a copy may have.
const MAX_DOCUMENTS: usize = 4096;
/// How many bytes all documents of a copy may have.
const MAX_BYTES: usize = 128 << 20;

/// Which images of an index are copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Platforms {
    /// The one that serves a platform best, without its index.
    Best(Platform),
    /// All, as they are.
    All,
    /// Those that serve each of these platforms best, under an index of them alone.
    Only(Vec<Platform>),
    /// The index, and nothing that it lists.
    IndexAlone,
}

/// A document and those that it lists.
#[derive(Debug)]
pub(super) struct Node {
    /// The document as its index lists it.
    pub(super) descriptor: Descriptor,
    pub(super) document: Document,
    /// For an index: what is copied of it, or what it lists if nothing below is looked at.
    pub(super) entries: Vec<Entry>,
}

/// One entry of an index.
#[derive(Debug)]
pub(super) enum Entry {
    Node(Box<Node>),
    /// Listed and not copied.
    Listed(Box<Descriptor>),
}

impl Node {
    /// Calls `visit` for this node and all below it, those below first.
    pub(super) fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Node)) {
        for entry in &self.entries {
            if let Entry::Node(node) = entry {
                node.walk(visit);
            }
        }
        visit(self);
    }
}

/// Reads the documents of a copy.
pub(super) fn gather(origin: &dyn Origin, platforms: &Platforms) -> Result<Node> {
    let mut root = origin.root()?;
    let mut gathering = Gathering { origin, platforms, documents: 0, bytes: 0 };
    if let Platforms::Best(platform) = platforms {
        root = best(origin, root, platform)?;
    }
    gathering.node(root.descriptor(), root, 0)
}

/// The image of an origin that serves a platform best.
///
/// # Errors
/// If there is none.
pub fn image_for(origin: &dyn Origin, platform: &Platform) -> Result<Raw<Manifest>> {
    match best(origin, origin.root()?, platform)? {
        Document::Manifest(manifest) => Ok(manifest),
        document @ Document::Index(_) => Err(refused(&document, "it is no image")),
    }
}

/// Goes down to the image for a platform.
fn best(origin: &dyn Origin, mut document: Document, platform: &Platform) -> Result<Document> {
    for _ in 0..MAX_DEPTH {
        let Document::Index(index) = &document else { return Ok(document) };
        let entry = index.select(platform).ok_or_else(|| not_found(index, &document, platform))?;
        document = origin.document(entry)?;
    }
    match document {
        Document::Manifest(_) => Ok(document),
        Document::Index(_) => Err(refused(&document, "it is nested too deeply")),
    }
}

struct Gathering<'a> {
    origin: &'a dyn Origin,
    platforms: &'a Platforms,
    documents: usize,
    bytes: usize,
}

impl Gathering<'_> {
    fn node(&mut self, descriptor: Descriptor, document: Document, depth: usize) -> Result<Node> {
        self.documents += 1;
        self.bytes += document.bytes().len();
        if self.documents > MAX_DOCUMENTS || self.bytes > MAX_BYTES || depth > MAX_DEPTH {
            return Err(refused(&document, "it leads to too many documents"));
        }
        let mut entries = Vec::new();
        if let Document::Index(index) = &document {
            for entry in self.wanted(index, &document)? {
                entries.push(match self.platforms {
                    Platforms::IndexAlone => Entry::Listed(Box::new(entry)),
                    _ if !entry.media_type.is_manifest() && !entry.media_type.is_index() => {
                        Entry::Listed(Box::new(entry))
                    }
                    _ => {
                        let below = self.origin.document(&entry)?;
                        Entry::Node(Box::new(self.node(entry, below, depth + 1)?))
                    }
                });
            }
        }
        Ok(Node { descriptor, document, entries })
    }

    fn wanted(&self, index: &Index, document: &Document) -> Result<Vec<Descriptor>> {
        let Platforms::Only(platforms) = self.platforms else { return Ok(index.manifests.clone()) };
        let mut chosen = Vec::new();
        for platform in platforms {
            let best = index.select(platform);
            chosen.push(&best.ok_or_else(|| not_found(index, document, platform))?.digest);
        }
        let about = |entry: &&Descriptor| {
            // BuildKit's attestations name the image that they are about.
            let subject = entry.annotations.get(crate::attestation::SUBJECT);
            let is_chosen = |text: &String| chosen.iter().any(|digest| digest.to_string() == *text);
            chosen.contains(&&entry.digest) || subject.is_some_and(is_chosen)
        };
        Ok(index.manifests.iter().filter(about).cloned().collect())
    }
}

fn not_found(index: &Index, document: &Document, platform: &Platform) -> Error {
    let platforms = index.manifests.iter().filter_map(|d| d.platform.as_ref());
    let known = platforms.filter(|p| p.os != "unknown");
    Error::PlatformNotFound {
        name: format!("index {}", document.digest()),
        wanted: Box::new(platform.clone()),
        available: known.map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

pub(super) fn refused(document: &Document, reason: &str) -> Error {
    let (digest, reason) = (document.digest().clone(), reason.to_owned());
    Error::RefusedDocument { kind: "manifest", digest, reason }
}
