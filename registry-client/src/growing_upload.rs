//! Uploads of blobs that are still being made.

use oci::{Digest, Reference};
use tokio::sync::watch;

use crate::Result;
use crate::auth::Access;
use crate::client::{Client, InRepository};
use crate::error::Error;
use crate::payload::BodySource;
use crate::unfinished::Note;
use crate::upload_session::{Opened, Session, UploadCalls};
use crate::uploads::{LARGEST_CHUNK, SMALLEST_CHUNK};

/// What is known of a blob that is being made.
#[derive(Default)]
pub(crate) struct Grown {
    /// How many of its bytes will not change any more.
    pub(crate) size: u64,
    /// Known at the end.
    pub(crate) digest: Option<Digest>,
}

/// A blob that is being made.
pub(crate) struct GrowingBody<'a> {
    pub(crate) bytes: &'a dyn BodySource,
    pub(crate) grown: watch::Receiver<Grown>,
    /// What it is made of: the same, made again, gives the same bytes.
    pub(crate) made_of: &'a str,
}

impl Client {
    /// Sends a blob while it is being made, in one try, chunk by chunk as they are ready. An
    /// upload that an earlier process began goes on where it was: should the bytes differ after
    /// all, their digest tells.
    pub(crate) async fn upload_growing(
        &self,
        repository: &Reference,
        body: GrowingBody<'_>,
    ) -> Result<Digest> {
        let host = self.place_to_write(repository)?.host;
        let place = InRepository { name: repository, access: Access::Push };
        let call = place.call("push blob", "that is being made");
        let calls = UploadCalls { client: self, host: &host, place, call };
        let unfinished = self.transport.unfinished.as_deref();
        let mut growing = Growing { calls, repository, body, note: None };
        growing.wait_for(SMALLEST_CHUNK).await?;
        growing.note = unfinished.and_then(|all| all.upload(repository, &growing.key()));
        let sent = growing.run().await;
        // What failed on its way may go on; what the registry refused will not.
        let over = match &sent {
            Ok(_) => true,
            Err(error) => error.status().is_some_and(|status| status.is_client_error()),
        };
        if let Some(note) = growing.note.take().filter(|_| over) {
            note.forget();
        }
        sent
    }
}

struct Growing<'a> {
    calls: UploadCalls<'a>,
    repository: &'a Reference,
    body: GrowingBody<'a>,
    note: Option<Note>,
}

impl Growing<'_> {
    async fn run(&mut self) -> Result<Digest> {
        let mut session = self.open().await?;
        loop {
            let chunk = (session.offset / 8).clamp(SMALLEST_CHUNK, LARGEST_CHUNK);
            let chunk = chunk.max(session.chunk_minimum);
            let (size, digest) = self.wait_for(session.offset.saturating_add(chunk)).await?;
            let length = match &digest {
                Some(digest) if session.offset == 0 && size <= chunk => {
                    let source = self.body.bytes;
                    self.calls.put_whole(&session, digest, source, size).await?;
                    return Ok(digest.clone());
                }
                Some(digest) if session.offset >= size => {
                    self.calls.put_end(&session, digest).await?;
                    return Ok(digest.clone());
                }
                Some(_) => chunk.min(size - session.offset),
                None => chunk,
            };
            self.calls.patch(&mut session, self.body.bytes, length).await?;
            if let Some(note) = &self.note {
                note.keep(&session.saved());
            }
        }
    }

    /// Waits until so many bytes are there, or all.
    async fn wait_for(&mut self, size: u64) -> Result<(u64, Option<Digest>)> {
        let ready = |grown: &Grown| grown.size >= size || grown.digest.is_some();
        let Ok(grown) = self.body.grown.wait_for(ready).await else {
            let source = std::io::Error::other("the blob was given up");
            return Err(Error::Body { call: self.calls.call.clone(), source });
        };
        let found = (grown.size, grown.digest.clone());
        drop(grown);
        if let (Some(digest), Some(note), Some(all)) =
            (&found.1, &mut self.note, &self.calls.client.transport.unfinished)
        {
            note.named(all, self.repository, digest);
        }
        Ok(found)
    }

    /// What the upload is remembered by.
    fn key(&self) -> String {
        let digest = self.body.grown.borrow().digest.as_ref().map(ToString::to_string);
        digest.unwrap_or_else(|| self.body.made_of.to_owned())
    }

    async fn open(&mut self) -> Result<Session> {
        let saved = self.note.as_ref().and_then(|note| Session::restored(&note.session()?));
        if let Some(saved) = saved
            && let Some(session) = self.calls.status(saved).await?
        {
            return Ok(session);
        }
        match self.calls.open(None).await? {
            Opened::Session(session) => {
                if let Some(note) = &self.note {
                    note.keep(&session.saved());
                }
                Ok(session)
            }
            Opened::Present => {
                Err(Error::protocol(&self.calls.call, "has a blob that nobody has named"))
            }
        }
    }
}
