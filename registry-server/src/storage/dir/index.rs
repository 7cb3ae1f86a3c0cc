//! The `index.json` of a repository (OCI image-spec, "Image Layout"): every manifest that was
//! pushed, with a descriptor more for each of its tags.

use std::collections::{BTreeMap, HashSet};
use std::fs;

use oci::{Digest, MediaType};
use serde::{Deserialize, Serialize};

use super::blobs::Blobs;
use super::file;
use crate::condition::Condition;
use crate::document::Document;
use crate::name::{Repository, Tag};
use crate::state::{Change, Entry, State};
use crate::{Error, Result};

/// The annotation of a tag (image-spec, "Pre-Defined Annotation Keys").
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Says that every manifest is listed. Other tools list only the outermost ones.
const COMPLETE: &str = "dev.tierce.registry.complete";
/// Larger documents in a foreign layout are not looked into, in bytes.
const MAX_DOCUMENT: u64 = 16 << 20;

/// The content of `oci-layout`.
pub(super) const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    #[serde(default = "index_type")]
    media_type: MediaType,
    #[serde(default)]
    manifests: Vec<Listed>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

fn index_type() -> MediaType {
    MediaType::OCI_INDEX
}

/// Writes the index of a state.
pub(super) fn write(state: &State) -> Vec<u8> {
    let mut tagged: HashSet<&Digest> = HashSet::new();
    let mut manifests = Vec::with_capacity(state.tags().len() + state.manifests().len());
    for (tag, digest) in state.tags() {
        if let Some(entry) = state.manifest(digest) {
            tagged.insert(digest);
            let annotations = [(REF_NAME.to_owned(), tag.to_string())].into();
            manifests.push(Listed { annotations, ..listed(digest, entry) });
        }
    }
    let untagged = state.manifests().iter().filter(|(digest, _)| !tagged.contains(digest));
    manifests.extend(untagged.map(|(digest, entry)| listed(digest, entry)));
    let index = Index {
        schema_version: 2,
        media_type: index_type(),
        manifests,
        annotations: [(COMPLETE.to_owned(), "true".to_owned())].into(),
    };
    serde_json::to_vec(&index).expect("our documents have string keys only")
}

fn listed(digest: &Digest, entry: &Entry) -> Listed {
    Listed {
        media_type: entry.media_type.to_string(),
        digest: digest.to_string(),
        size: entry.size,
        annotations: BTreeMap::new(),
    }
}

/// Reads the state of a repository; `None` if it has no index.
pub(super) fn read(blobs: &Blobs, repository: &Repository) -> Result<Option<State>> {
    let path = blobs.layout.index(repository);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if file::is_missing(&e) => return Ok(None),
        Err(e) => return Err(Error::at("read", &path, e)),
    };
    let index: Index = serde_json::from_slice(&bytes)
        .map_err(|source| Error::InvalidIndex { path, source: source.into() })?;
    let complete = index.annotations.contains_key(COMPLETE);
    let mut loading = Loading { blobs, repository, state: State::default(), children: !complete };
    for listed in index.manifests {
        loading.add(&listed)?;
    }
    Ok(Some(loading.state))
}

struct Loading<'a> {
    blobs: &'a Blobs,
    repository: &'a Repository,
    state: State,
    /// Whether the manifests of an index must be looked for inside it.
    children: bool,
}

impl Loading<'_> {
    fn add(&mut self, listed: &Listed) -> Result<()> {
        // What we could not serve is none of ours: a digest we cannot verify, a missing blob.
        let Ok(digest) = listed.digest.parse::<Digest>() else { return Ok(()) };
        let tag = listed.annotations.get(REF_NAME).and_then(|text| Tag::parse(text));
        let media_type =
            Some(MediaType::new(&listed.media_type)).filter(|t| !t.as_str().is_empty());
        let mut queue = vec![(digest, media_type, tag)];
        while let Some((digest, media_type, tag)) = queue.pop() {
            if let (Some(known), None) = (self.state.manifest(&digest), &tag)
                && Some(&known.media_type) == media_type.as_ref().or(Some(&known.media_type))
            {
                continue;
            }
            let Some((document, size)) = self.document(&digest, media_type.as_ref())? else {
                continue;
            };
            if self.children {
                queue.extend(document.manifests.iter().map(|child| (child.clone(), None, None)));
            }
            let entry = Entry {
                media_type: document.media_type,
                size,
                subject: document.subject,
                pushed: None,
            };
            let tags = tag.into_iter().collect();
            self.state.apply(&Change::Put {
                digest,
                entry,
                tags,
                condition: Condition::default(),
                most_tags: usize::MAX,
                needs: Vec::new(),
            });
        }
        Ok(())
    }

    fn document(
        &self,
        digest: &Digest,
        media_type: Option<&MediaType>,
    ) -> Result<Option<(Document, u64)>> {
        match self.blobs.size(self.repository, digest)? {
            Some(size) if size <= MAX_DOCUMENT => {}
            _ => return Ok(None),
        }
        let path = self.blobs.layout.blob(self.repository, digest);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if file::is_missing(&e) => return Ok(None),
            Err(e) => return Err(Error::at("read", &path, e)),
        };
        // A manifest is small: here damage is found and not served.
        if digest.algorithm().digest(&bytes) != *digest {
            tracing::warn!(path = %path.display(), "a manifest is damaged and left out");
            return Ok(None);
        }
        let document = Document::parse(&bytes, media_type).ok();
        Ok(document.map(|document| (document, bytes.len() as u64)))
    }
}
