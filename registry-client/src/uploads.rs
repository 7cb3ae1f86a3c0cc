//! Uploads: mount, send whole, send in chunks, and go on where it broke.

use http::StatusCode;
use oci::{Descriptor, Reference};

use crate::Result;
use crate::auth::Access;
use crate::client::{Client, InRepository};
use crate::error::Error;
use crate::payload::BodySource;
use crate::retry::Tries;
use crate::unfinished::Note;
use crate::upload_session::{Mount, Opened, Session, UploadCalls};

/// How large a chunk is when a registry does not take the whole, in bytes; halved as needed.
pub(crate) const LARGEST_CHUNK: u64 = 64 << 20;
pub(crate) const SMALLEST_CHUNK: u64 = 1 << 20;
/// From which size on a blob goes in chunks, where uploads are remembered, in bytes.
const CHUNKED_FROM: u64 = 4 << 20;
/// Into how many chunks such a blob goes: a kill costs one of them.
const CHUNKS: u64 = 10;
/// How often an upload goes on or starts again at the registry's word, without a wait.
const MAX_REMEDIES: usize = 4;
/// From which size on a registry is asked whether it has a blob anywhere, in bytes.
const WORTH_ASKING: u64 = 64 << 10;
/// How many repositories we try to mount a blob from.
const MAX_MOUNTS: usize = 3;

/// How a blob came to be in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uploaded {
    /// The registry took it from another of its repositories.
    Mounted,
    /// Its bytes were sent.
    Sent,
}

impl Client {
    /// Brings a blob into a repository. The repositories in `mount_from` (on the same registry)
    /// are tried first; whatever goes wrong there, the bytes are sent instead. What is sent and
    /// breaks off goes on where it was, as far as the registry allows.
    ///
    /// # Errors
    /// If the registry refuses the blob, or the bytes cannot be read.
    pub async fn upload_blob(
        &self,
        repository: &Reference,
        blob: &Descriptor,
        source: &dyn BodySource,
        mount_from: &[String],
    ) -> Result<Uploaded> {
        let host = self.place_to_write(repository)?.host;
        let place = InRepository { name: repository, access: Access::Push };
        let call = place.call("push blob", &blob.digest);
        let calls = UploadCalls { client: self, host: &host, place, call };
        let (chunk, note) = match &self.transport.unfinished {
            Some(all) if blob.size >= SMALLEST_CHUNK => {
                let chunk = (blob.size / CHUNKS).clamp(SMALLEST_CHUNK, LARGEST_CHUNK);
                let chunk = (blob.size >= CHUNKED_FROM).then_some(chunk);
                (chunk, all.upload(repository, &blob.digest.to_string()))
            }
            _ => (None, None),
        };
        let mut upload = Upload {
            calls: &calls,
            blob,
            source,
            session: note.as_ref().and_then(|note| Session::restored(&note.session()?)),
            chunk,
            may_send_whole: chunk.is_some(),
            resumed: false,
            remedies: MAX_REMEDIES,
            note,
        };
        upload.go_on().await?;
        let mount_from = if upload.session.is_some() { &[] } else { mount_from };
        for from in
            mount_from.iter().filter(|from| *from != repository.repository()).take(MAX_MOUNTS)
        {
            match calls.open(Some(Mount::From(&blob.digest, from))).await {
                Ok(Opened::Present) => return Ok(Uploaded::Mounted),
                Ok(Opened::Session(opened)) => upload.session = Some(opened),
                // If there is something wrong with more than the mount, the upload will tell.
                Err(error) => tracing::debug!(%error, from, "not mounted"),
            }
        }
        upload.run().await
    }
}

struct Upload<'a> {
    calls: &'a UploadCalls<'a>,
    blob: &'a Descriptor,
    source: &'a dyn BodySource,
    session: Option<Session>,
    /// The size of chunks, where the whole is not sent at once.
    chunk: Option<u64>,
    /// Whether the chunks are our wish, and not the registry's.
    may_send_whole: bool,
    /// Whether this session went on after something broke.
    resumed: bool,
    /// How many remedies without a wait are left: a registry may contradict itself forever.
    remedies: usize,
    /// Where the session is written down.
    note: Option<Note>,
}

impl Upload<'_> {
    async fn run(mut self) -> Result<Uploaded> {
        let transport = &self.calls.client.transport;
        let mut tries = Tries::new(&transport.clients.config().retry);
        let mut best = 0;
        loop {
            let error = match self.attempt().await {
                Ok(ended) => {
                    self.note.take().into_iter().for_each(Note::forget);
                    return Ok(ended);
                }
                Err(error) => error,
            };
            match self.remedy(&error) {
                Remedy::SmallerChunks(size) => {
                    self.chunk = Some(size);
                    self.session = None;
                }
                Remedy::Whole => {
                    self.chunk = None;
                    self.may_send_whole = false;
                    self.restart();
                }
                Remedy::StartAgain => self.restart(),
                Remedy::GoOn => self.go_on().await?,
                Remedy::None => {
                    transport.wait_after(self.calls.host, &mut tries, error).await?;
                    self.go_on().await?;
                }
            }
            let now = self.session.as_ref().map_or(0, |session| session.offset);
            if now > best {
                best = now;
                tries.moved_on();
            }
        }
    }

    async fn attempt(&mut self) -> Result<Uploaded> {
        let (size, digest) = (self.blob.size, &self.blob.digest);
        let session = match &mut self.session {
            Some(session) => session,
            None => match self.open().await? {
                Opened::Present => return Ok(Uploaded::Mounted),
                Opened::Session(session) => self.session.insert(session),
            },
        };
        keep(self.note.as_ref(), session);
        if self.chunk.is_none() && session.offset == 0 {
            self.calls.put_whole(session, digest, self.source, size).await?;
            return Ok(Uploaded::Sent);
        }
        let chunk = self.chunk.unwrap_or(size).max(session.chunk_minimum).max(1);
        while session.offset < size {
            let length = chunk.min(size - session.offset);
            self.calls.patch(session, self.source, length).await?;
            keep(self.note.as_ref(), session);
        }
        self.calls.put_end(session, digest).await?;
        Ok(Uploaded::Sent)
    }

    /// Opens a session, unless the registry finds the blob in another repository by itself. One
    /// that takes the question amiss is not asked again.
    async fn open(&self) -> Result<Opened> {
        let host = self.calls.host;
        if host.may_mount_anywhere() && self.blob.size >= WORTH_ASKING {
            match self.calls.open(Some(Mount::Anywhere(&self.blob.digest))).await {
                Err(Error::Status { status, .. }) if status.is_client_error() => {
                    host.set_mounts_nowhere();
                }
                opened => return opened,
            }
        }
        self.calls.open(None).await
    }

    /// What to do about an error, besides waiting and trying again.
    fn remedy(&mut self, error: &Error) -> Remedy {
        if self.remedies == 0 {
            return Remedy::None;
        }
        let remedy = self.best_remedy(error);
        if matches!(remedy, Remedy::GoOn | Remedy::StartAgain | Remedy::Whole) {
            self.remedies -= 1;
        }
        remedy
    }

    fn best_remedy(&self, error: &Error) -> Remedy {
        let minimum = self.session.as_ref().map_or(0, |session| session.chunk_minimum);
        match error.status() {
            Some(StatusCode::PAYLOAD_TOO_LARGE) => {
                let size = match self.chunk {
                    None => LARGEST_CHUNK.min(self.blob.size.div_ceil(2)),
                    Some(chunk) => chunk / 2,
                };
                let smallest = SMALLEST_CHUNK.max(minimum);
                if size >= smallest { Remedy::SmallerChunks(size) } else { Remedy::None }
            }
            // The registry has another idea of where we are.
            Some(StatusCode::RANGE_NOT_SATISFIABLE) if !self.resumed => Remedy::GoOn,
            // A session that went on may be at odds with the blob; a new one is not.
            Some(
                StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND,
            ) if self.resumed => Remedy::StartAgain,
            // Some registries take no chunks, or take them and then not what they make together.
            Some(status) if self.may_send_whole && dislikes_chunks(status) => Remedy::Whole,
            _ => Remedy::None,
        }
    }

    /// Asks the registry how far it is, and goes on there or starts again.
    async fn go_on(&mut self) -> Result<()> {
        let Some(session) = self.session.take() else { return Ok(()) };
        match self.calls.status(session).await {
            Ok(Some(session)) if session.offset <= self.blob.size => {
                self.resumed = true;
                self.session = Some(session);
                Ok(())
            }
            Ok(_) | Err(Error::Status { .. } | Error::Protocol { .. }) => {
                self.restart();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn restart(&mut self) {
        self.session = None;
        self.resumed = false;
    }
}

fn keep(note: Option<&Note>, session: &Session) {
    if let Some(note) = note {
        note.keep(&session.saved());
    }
}

fn dislikes_chunks(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 404 | 405 | 411 | 415 | 416 | 422 | 501)
}

enum Remedy {
    /// Without chunks.
    Whole,
    SmallerChunks(u64),
    StartAgain,
    GoOn,
    /// None but what the policy of retries says.
    None,
}
