//! Upload sessions: what stands behind the `Location` of a begun upload. Those of storage that
//! belongs to this process live here from request to request; those of storage that is shared live
//! there, and here only as long as a request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::OwnedMutexGuard;

use crate::name::Repository;
use crate::storage::{Storage, locked};
use crate::upload::Upload;
use crate::{Error, Result};

/// How long a request waits for another one on the same upload to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often at most it is looked for uploads in shared storage that were given up.
const EXPIRE: Duration = Duration::from_secs(30);

/// All open sessions.
#[derive(Default)]
pub(crate) struct Sessions {
    table: Mutex<HashMap<String, Arc<Session>>>,
    /// The uploads in shared storage that began here, and of which no end was heard of here.
    begun: Mutex<HashMap<String, Instant>>,
    expired: Mutex<Option<Instant>>,
}

/// One session. It belongs to the repository where it began.
pub(crate) struct Session {
    pub(crate) id: String,
    repository: Repository,
    /// `None` once it has ended, and between two requests if it is shared.
    upload: Arc<tokio::sync::Mutex<Option<Upload>>>,
    is_shared: bool,
    received: AtomicU64,
    touched: Mutex<Instant>,
}

/// The right to write to a session; one request at a time has it.
pub(crate) type Held = OwnedMutexGuard<Option<Upload>>;

impl Session {
    fn new(id: String, repository: &Repository, upload: Option<Upload>) -> Session {
        Session {
            id,
            repository: repository.clone(),
            is_shared: upload.is_none(),
            upload: Arc::new(tokio::sync::Mutex::new(upload)),
            received: AtomicU64::new(0),
            touched: Mutex::new(Instant::now()),
        }
    }
}

impl Sessions {
    /// Opens a session of this process unless there are `limit` already. Sessions that nothing was
    /// heard of for `expiry` make room first.
    pub(crate) fn open(
        &self,
        repository: &Repository,
        upload: Upload,
        limit: usize,
        expiry: Duration,
    ) -> Option<Arc<Session>> {
        let session = Arc::new(Session::new(new_id(), repository, Some(upload)));
        self.expire(expiry);
        let mut table = locked(&self.table);
        if table.len() >= limit {
            return None;
        }
        table.insert(session.id.clone(), session.clone());
        Some(session)
    }

    /// The same for an upload that has begun in shared storage.
    pub(crate) fn opened(&self, repository: &Repository, id: String) -> Session {
        locked(&self.begun).insert(id.clone(), Instant::now());
        Session::new(id, repository, None)
    }

    /// Whether fewer than `limit` uploads that began here are open.
    pub(crate) fn has_room(&self, limit: usize, expiry: Duration) -> bool {
        self.expire(expiry);
        self.count() < limit
    }

    /// The session of that repository.
    pub(crate) fn get(&self, repository: &Repository, id: &str) -> Option<Arc<Session>> {
        let session = locked(&self.table).get(id).cloned()?;
        if session.repository != *repository {
            return None;
        }
        *locked(&session.touched) = Instant::now();
        Some(session)
    }

    /// A session of shared storage, if there is one with that name.
    pub(crate) fn shared(&self, repository: &Repository, id: &str) -> Session {
        if let Some(touched) = locked(&self.begun).get_mut(id) {
            *touched = Instant::now();
        }
        Session::new(id.to_owned(), repository, None)
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        locked(&self.table).len() + locked(&self.begun).len()
    }

    /// Forgets a session; its bytes go when nobody writes to it any more.
    pub(crate) fn close(&self, session: &Session) -> bool {
        let begun = locked(&self.begun).remove(&session.id).is_some();
        locked(&self.table).remove(&session.id).is_some() || begun
    }

    /// Forgets the sessions that nothing was heard of for `expiry` and that nobody writes to.
    pub(crate) fn expire(&self, expiry: Duration) {
        locked(&self.begun).retain(|_, touched| touched.elapsed() < expiry);
        let mut expired = Vec::new();
        locked(&self.table).retain(|_, session| {
            let idle = locked(&session.touched).elapsed() >= expiry;
            let keep = !idle || session.upload.try_lock().is_err();
            if !keep {
                expired.push(session.clone());
            }
            keep
        });
        // Their files are removed here, outside the lock.
        drop(expired);
    }

    /// Ends the uploads in shared storage that nothing was heard of for `expiry`, whoever began
    /// them, now and then.
    pub(crate) async fn expire_shared(&self, storage: &Storage, expiry: Duration) {
        let Some(uploads) = storage.0.uploads() else { return };
        {
            let mut last = locked(&self.expired);
            if last.is_some_and(|last| last.elapsed() < EXPIRE.min(expiry)) {
                return;
            }
            *last = Some(Instant::now());
        }
        if let Err(error) = uploads.expire(expiry).await {
            tracing::warn!(%error, "uploads that were given up are left for the next time");
        }
    }
}

impl Session {
    /// Waits for the right to write, at `at` if that is given.
    ///
    /// # Errors
    /// [`Error::Contended`] if another request has it or `at` is not where the upload ends,
    /// [`Error::Ended`] if there is no such upload.
    pub(crate) async fn hold(&self, storage: &Storage, at: Option<u64>) -> Result<Held> {
        let lock = self.upload.clone().lock_owned();
        let held = tokio::time::timeout(PATIENCE, lock).await;
        let mut held = held.map_err(|_| Error::Contended)?;
        if let Some(uploads) = storage.0.uploads().filter(|_| self.is_shared) {
            let resumed = uploads.resume(&self.repository, &self.id, at).await?;
            *held = Some(Upload::resume(resumed));
        }
        let size = held.as_ref().map(Upload::size).ok_or(Error::Ended)?;
        self.note(size);
        if at.is_some_and(|at| at != size) { Err(Error::Contended) } else { Ok(held) }
    }

    /// Gives the right to write back: from now on the next request goes on, whoever answers it.
    pub(crate) async fn release(&self, mut held: Held) -> Result<()> {
        if let Some(mut upload) = held.take_if(|_| self.is_shared) {
            upload.park().await?;
            self.note(upload.size());
        }
        Ok(())
    }

    /// Learns how many bytes others have brought. False if there is no such upload.
    pub(crate) async fn look_again(&self, storage: &Storage) -> Result<bool> {
        let Some(uploads) = storage.0.uploads().filter(|_| self.is_shared) else {
            return Ok(true);
        };
        let received = uploads.received(&self.repository, &self.id).await?;
        self.note(received.unwrap_or_default());
        Ok(received.is_some())
    }

    /// Ends the upload. False if there is no such upload.
    pub(crate) async fn cancel(&self, storage: &Storage) -> Result<bool> {
        match storage.0.uploads().filter(|_| self.is_shared) {
            Some(uploads) => uploads.cancel(&self.repository, &self.id).await,
            None => {
                if let Ok(mut held) = self.hold(storage, None).await {
                    held.take();
                }
                Ok(true)
            }
        }
    }

    /// How many bytes have come.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    /// Notes how many bytes have come, and that something has.
    pub(crate) fn note(&self, received: u64) {
        self.received.store(received, Ordering::Release);
        *locked(&self.touched) = Instant::now();
    }
}

/// Closes a session when it is dropped: for one that lives as long as a request, however that ends.
pub(crate) struct Closing<'a>(pub(crate) &'a Sessions, pub(crate) &'a Session);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close(self.1);
    }
}

/// Fills with bytes that nobody can guess.
pub(crate) fn fill_random(bytes: &mut [u8]) {
    let mut filled = 0;
    while filled < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        match rustix::rand::getrandom(&mut bytes[filled..], flags) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => unreachable!("Linux gives random bytes to everybody: {error}"),
        }
    }
}

/// A version 4 UUID. Who does not know it cannot guess it.
pub(crate) fn new_id() -> String {
    let mut bytes = [0_u8; 16];
    fill_random(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
