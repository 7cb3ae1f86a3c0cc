//! The state of a repository as one object. Who changes it says which version he changed: two
//! servers over one bucket lose nothing to each other.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oci::{Digest, MediaType};
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::name::Tag;
use crate::state::{Change, Entry, State};

#[derive(Serialize, Deserialize)]
struct Record {
    manifests: BTreeMap<String, Listed>,
    tags: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    media_type: MediaType,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Digest>,
    /// When it was pushed, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pushed: Option<u64>,
}

/// Writes a state.
pub(super) fn write(state: &State) -> Vec<u8> {
    let listed = |entry: &Entry| Listed {
        media_type: entry.media_type.clone(),
        size: entry.size,
        subject: entry.subject.clone(),
        pushed: entry.pushed.and_then(milliseconds),
    };
    let manifests = state.manifests().iter();
    let tags = state.tags().iter();
    let record = Record {
        manifests: manifests.map(|(digest, entry)| (digest.to_string(), listed(entry))).collect(),
        tags: tags.map(|(tag, digest)| (tag.to_string(), digest.to_string())).collect(),
    };
    serde_json::to_vec(&record).expect("our documents have string keys only")
}

fn milliseconds(time: SystemTime) -> Option<u64> {
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// Reads a state. What cannot be a digest or a tag is none of ours.
pub(super) fn read(bytes: &[u8]) -> Result<State, serde_json::Error> {
    let record: Record = serde_json::from_slice(bytes)?;
    let mut tags: BTreeMap<String, Vec<Tag>> = BTreeMap::new();
    for (tag, digest) in record.tags {
        tags.entry(digest).or_default().extend(Tag::parse(&tag));
    }
    let mut state = State::default();
    for (text, Listed { media_type, size, subject, pushed }) in record.manifests {
        let Ok(digest) = text.parse::<Digest>() else { continue };
        let tags = tags.remove(&text).unwrap_or_default();
        let pushed = pushed.map(|since| UNIX_EPOCH + Duration::from_millis(since));
        let entry = Entry { media_type, size, subject, pushed };
        state.apply(&Change::Put {
            digest,
            entry,
            tags,
            condition: Condition::default(),
            most_tags: usize::MAX,
            needs: Vec::new(),
        });
    }
    Ok(state)
}
