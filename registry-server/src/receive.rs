//! From the socket to storage: a body is read while what came before is being written, and never
//! more of it is in memory than two batches.

use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::task::JoinHandle;

use crate::quota::{OverQuota, Room};
use crate::session::{Held, Session};
use crate::upload::Upload;
use crate::{Error, Result};

/// How much is handed to storage at once, in bytes.
const BATCH: usize = 512 << 10;
/// And at the latest after this time, so that little is lost of what comes slowly.
const SOON: Duration = Duration::from_secs(1);
/// However small the pieces that arrive, no more than this many wait in a batch.
const PIECES: usize = 256;

/// Why a body did not arrive whole. What came before is kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The connection ended or the body was malformed.
    #[error("the request's body broke off")]
    Cut,
    /// Nothing came for too long.
    #[error("the request's body stopped coming")]
    Stalled,
    /// More came than is allowed.
    #[error("the blob is larger than the {0} bytes that are allowed")]
    TooLarge(u64),
    /// More came than the repository may hold.
    #[error(transparent)]
    OverQuota(OverQuota),
    /// The session ended meanwhile.
    #[error("the upload has ended")]
    Ended,
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] Error),
}

/// The rules for one body.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    /// How long to wait for more.
    pub(crate) stall: Duration,
    /// The largest size of the whole blob, in bytes.
    pub(crate) blob: u64,
    /// How much more the repository may hold.
    pub(crate) room: Room,
}

/// Adds a body to an upload. The right to write comes back when all of it is written.
pub(crate) async fn receive(
    mut body: Body,
    held: Held,
    session: &std::sync::Arc<Session>,
    rules: Rules,
) -> (Result<Held, Error>, Result<(), Broken>) {
    let Some(before) = held.as_ref().map(Upload::size) else {
        return (Ok(held), Err(Broken::Ended));
    };
    let mut writer = Writer::Idle(held);
    let mut batch = Batch { pieces: Vec::new(), length: 0, total: before, since: Instant::now() };
    let arrived = loop {
        match next(&mut body, rules.stall).await {
            Ok(None) => break Ok(()),
            Err(broken) => break Err(broken),
            Ok(Some(bytes)) => {
                batch.push(bytes);
                if batch.total > rules.blob {
                    break Err(Broken::TooLarge(rules.blob));
                }
                if batch.total > rules.room.bytes {
                    break Err(Broken::OverQuota(rules.room.refusal()));
                }
                if batch.is_full() {
                    match writer.begin(batch.take(), session.clone()).await {
                        Ok(busy) => writer = busy,
                        Err(error) => return (Err(error.clone()), Err(error.into())),
                    }
                }
            }
        }
    };
    let written = match writer.begin(batch.take(), session.clone()).await {
        Ok(writer) => writer.idle().await,
        Err(error) => Err(error),
    };
    match written {
        Ok(held) => (Ok(held), arrived),
        Err(error) => (Err(error.clone()), Err(error.into())),
    }
}

async fn next(body: &mut Body, stall: Duration) -> Result<Option<Bytes>, Broken> {
    loop {
        let frame = tokio::time::timeout(stall, body.frame()).await;
        let Some(frame) = frame.map_err(|_| Broken::Stalled)? else { return Ok(None) };
        // Trailers say nothing that we need.
        if let Ok(bytes) = frame.map_err(|_| Broken::Cut)?.into_data() {
            return Ok(Some(bytes));
        }
    }
}

struct Batch {
    pieces: Vec<Bytes>,
    /// The bytes in this batch.
    length: usize,
    /// The bytes of the blob up to its end.
    total: u64,
    /// When it began.
    since: Instant,
}

impl Batch {
    fn push(&mut self, bytes: Bytes) {
        self.length += bytes.len();
        self.total += bytes.len() as u64;
        self.pieces.push(bytes);
    }

    fn is_full(&self) -> bool {
        let is_late = self.since.elapsed() >= SOON;
        self.length >= BATCH || self.pieces.len() >= PIECES || is_late
    }

    fn take(&mut self) -> Vec<Bytes> {
        (self.length, self.since) = (0, Instant::now());
        std::mem::take(&mut self.pieces)
    }
}

/// Who has the right to write: we, or the task that is writing. The task ends its batch even if
/// the request is dropped, so that an upload's size, digest and bytes always agree.
enum Writer {
    Idle(Held),
    Busy(JoinHandle<(Held, Result<()>)>),
}

impl Writer {
    async fn idle(self) -> Result<Held> {
        match self {
            Writer::Idle(held) => Ok(held),
            Writer::Busy(task) => {
                let (held, written) = task
                    .await
                    .map_err(|_| Error::Interrupted { operation: "write of an upload" })?;
                written.map(|()| held)
            }
        }
    }

    async fn begin(self, batch: Vec<Bytes>, session: std::sync::Arc<Session>) -> Result<Writer> {
        let mut held = self.idle().await?;
        if batch.is_empty() {
            return Ok(Writer::Idle(held));
        }
        Ok(Writer::Busy(tokio::spawn(async move {
            let Some(upload) = held.as_mut() else { return (held, Ok(())) };
            let written = upload.write(batch).await;
            session.note(upload.size());
            (held, written)
        })))
    }
}
