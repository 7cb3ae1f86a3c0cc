//! Blobs on their way from upstreams. One comes once, for all who ask; each of these gets the
//! bytes as they come as long as it keeps up, and the rest from storage.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::{self, BoxStream, Stream};
use oci::Digest;
use tokio::sync::{broadcast, watch};

use super::Missed;
use crate::Registry;
use crate::name::Repository;
use crate::storage::locked;

/// How many pieces wait for those who follow; who is further behind goes on from storage.
const PIECES: usize = 32;
/// How many blobs are waited for at once, those included that wait for room.
const MOST: usize = 1024;

type Key = (Repository, Digest);

/// All flights.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Key, Arc<Flight>>>);

/// One blob on its way.
struct Flight {
    progress: watch::Sender<Progress>,
    pieces: broadcast::Sender<Piece>,
}

#[derive(Debug, Clone)]
struct Piece {
    offset: u64,
    bytes: Bytes,
}

/// How far a flight is.
#[derive(Debug, Clone)]
enum Progress {
    Asking,
    /// The blob has this size, in bytes, and comes.
    Coming(u64),
    /// It is in storage, with this size in bytes.
    Landed(u64),
    Missed(Missed),
}

/// Who steers a flight. However its task ends, those who follow learn of it.
pub(super) struct Pilot {
    registry: Registry,
    key: Key,
    flight: Arc<Flight>,
    offset: u64,
    /// The last bytes are held back until all of them were checked.
    held: Option<Bytes>,
}

/// Who waits for the bytes of a flight.
pub(super) struct Following {
    progress: watch::Receiver<Progress>,
    pieces: broadcast::Receiver<Piece>,
}

impl Flights {
    /// Follows the flight of a blob, and gives a pilot to who is the first. `None` if there are
    /// too many.
    pub(super) fn join(
        registry: &Registry,
        repository: &Repository,
        digest: &Digest,
    ) -> Option<(Following, Option<Pilot>)> {
        let key = (repository.clone(), digest.clone());
        let mut running = locked(&registry.0.mirrors.flights.0);
        if let Some(flight) = running.get(&key) {
            return Some((flight.follow(), None));
        }
        if running.len() >= MOST {
            return None;
        }
        let (progress, _) = watch::channel(Progress::Asking);
        let (pieces, _) = broadcast::channel(PIECES);
        let flight = Arc::new(Flight { progress, pieces });
        running.insert(key.clone(), flight.clone());
        let following = flight.follow();
        let registry = registry.clone();
        Some((following, Some(Pilot { registry, key, flight, offset: 0, held: None })))
    }
}

impl Flight {
    fn follow(&self) -> Following {
        Following { progress: self.progress.subscribe(), pieces: self.pieces.subscribe() }
    }
}

impl Pilot {
    /// The blob has this size, in bytes, and comes.
    pub(super) fn begin(&self, size: u64) {
        self.flight.progress.send_replace(Progress::Coming(size));
    }

    /// Passes bytes on.
    pub(super) fn pass(&mut self, bytes: Bytes) {
        if let Some(bytes) = self.held.replace(bytes) {
            let length = bytes.len() as u64;
            // That nobody follows any more is no reason to stop.
            let _ = self.flight.pieces.send(Piece { offset: self.offset, bytes });
            self.offset += length;
        }
    }

    /// Ends the flight.
    pub(super) fn land(mut self, outcome: Result<u64, Missed>) {
        let progress = match outcome {
            Ok(size) => Progress::Landed(size),
            Err(missed) => Progress::Missed(missed),
        };
        if matches!(progress, Progress::Landed(_)) {
            self.pass(Bytes::new());
        }
        // Who learns that it failed and asks again must not find it any more.
        self.leave();
        self.flight.progress.send_replace(progress);
    }

    fn leave(&self) {
        let mut running = locked(&self.registry.0.mirrors.flights.0);
        if running.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            running.remove(&self.key);
        }
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        self.leave();
        self.flight.progress.send_if_modified(|progress| {
            let under_way = matches!(progress, Progress::Asking | Progress::Coming(_));
            if under_way {
                *progress = Progress::Missed(Missed::failed("the transfer was given up"));
            }
            under_way
        });
    }
}

impl Following {
    /// Waits until the size of the blob is known, in bytes.
    pub(super) async fn size(&mut self) -> Result<u64, Missed> {
        let known = self.progress.wait_for(|progress| !matches!(progress, Progress::Asking)).await;
        match known.as_deref() {
            Ok(Progress::Coming(size) | Progress::Landed(size)) => Ok(*size),
            Ok(Progress::Missed(missed)) => Err(missed.clone()),
            Ok(Progress::Asking) | Err(_) => Err(Missed::failed("the transfer was given up")),
        }
    }

    /// Waits until the blob is in storage.
    pub(super) async fn landed(&mut self) -> Result<(), Missed> {
        let ended =
            |progress: &Progress| matches!(progress, Progress::Landed(_) | Progress::Missed(_));
        match self.progress.wait_for(ended).await.as_deref() {
            Ok(Progress::Missed(missed)) => Err(missed.clone()),
            Ok(_) => Ok(()),
            Err(_) => Err(Missed::failed("the transfer was given up")),
        }
    }

    /// The bytes of the blob, which has `size` of them.
    pub(super) fn stream(
        self,
        registry: Registry,
        repository: Repository,
        digest: Digest,
        size: u64,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let place = Place { registry, repository, digest, size };
        let body = Body { following: self, place, position: 0, rest: None };
        stream::try_unfold(body, Body::next)
    }
}

/// Where the blob will be.
struct Place {
    registry: Registry,
    repository: Repository,
    digest: Digest,
    size: u64,
}

struct Body {
    following: Following,
    place: Place,
    position: u64,
    /// What was not seen as it came, from storage.
    rest: Option<BoxStream<'static, io::Result<Bytes>>>,
}

impl Body {
    async fn next(mut self) -> io::Result<Option<(Bytes, Body)>> {
        loop {
            if let Some(rest) = &mut self.rest {
                return Ok(rest.try_next().await?.map(|bytes| (bytes, self)));
            }
            if self.position == self.place.size {
                return Ok(None);
            }
            match self.following.pieces.recv().await {
                Ok(Piece { offset, bytes }) if offset == self.position => {
                    self.position += bytes.len() as u64;
                    return Ok(Some((bytes, self)));
                }
                // It came late, could not keep up, or something broke.
                _ => self.rest = Some(self.remaining().await?),
            }
        }
    }

    async fn remaining(&mut self) -> io::Result<BoxStream<'static, io::Result<Bytes>>> {
        let broken = |why: &str| io::Error::other(why.to_owned());
        let landed = self.following.landed().await;
        landed.map_err(|_| broken("the blob did not come from its upstream"))?;
        let Place { registry, repository, digest, size } = &self.place;
        let opened = registry.0.storage.0.open_blob(repository, digest).await;
        let blob = opened.map_err(io::Error::other)?.ok_or_else(|| broken("the blob is gone"))?;
        Ok(blob.content.stream(self.position..*size))
    }
}
