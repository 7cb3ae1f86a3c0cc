//! What happens to images, for whoever wants to hear of it.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::USER_AGENT;
use http::request::Parts;
use oci::{Digest, MediaType};

use crate::Registry;
use crate::access::Caller;
use crate::name::{Repository, Tag};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub action: EventAction,
    /// To which repository.
    pub repository: String,
    /// The manifest; nothing where a tag alone was removed.
    pub digest: Option<Digest>,
    /// Its media type, where it is at hand.
    pub media_type: Option<MediaType>,
    /// Its size in bytes, where it is at hand.
    pub size: Option<u64>,
    /// The tags that were set, pulled or removed.
    pub tags: Vec<String>,
    /// Who did it; empty if that is not known.
    pub user: String,
    /// What the client calls itself.
    pub agent: String,
    /// When it was done.
    pub at: SystemTime,
}

/// What can happen to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventAction {
    /// Its manifest was stored, or it got a tag.
    Push,
    /// Its manifest was sent.
    Pull,
    /// It, or a tag of it, was removed.
    Delete,
}

/// Hears of events, once what they tell is done and durable.
pub trait Events: Send + Sync {
    /// Something happened. The client waits for its answer meanwhile: this must not block.
    fn happened(&self, event: Event);
}

/// Who hears of events, if anybody does.
#[derive(Clone, Default)]
pub struct Listener(Option<Arc<dyn Events>>);

impl Listener {
    /// This one hears of them.
    pub fn new(events: Arc<dyn Events>) -> Listener {
        Listener(Some(events))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.0.is_some()).finish()
    }
}

/// The manifest of an event.
pub(crate) struct Happened<'a> {
    pub(crate) action: EventAction,
    pub(crate) digest: Option<&'a Digest>,
    pub(crate) media_type: Option<&'a MediaType>,
    pub(crate) size: Option<u64>,
    pub(crate) tags: &'a [Tag],
}

impl Registry {
    /// Tells of something that a request did.
    pub(crate) fn tell(&self, repository: &Repository, head: &Parts, happened: &Happened<'_>) {
        let Some(events) = &self.0.config.events.0 else { return };
        let caller = head.extensions.get::<Caller>();
        let agent = head.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        events.happened(Event {
            action: happened.action,
            repository: repository.as_str().to_owned(),
            digest: happened.digest.cloned(),
            media_type: happened.media_type.cloned(),
            size: happened.size,
            tags: happened.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
            user: caller
                .filter(|caller| !caller.is_anonymous())
                .map(Caller::name)
                .unwrap_or_default()
                .to_owned(),
            agent: agent.unwrap_or_default().to_owned(),
            at: SystemTime::now(),
        });
    }
}
