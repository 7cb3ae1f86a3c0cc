//! Upload sessions: what stands behind the `Location` of a begun upload.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::OwnedMutexGuard;

use crate::name::Repository;
use crate::storage::locked;
use crate::upload::Upload;

/// All open sessions.
#[derive(Default)]
pub(crate) struct Sessions {
    table: Mutex<HashMap<String, Arc<Session>>>,
}

/// One session. It belongs to the repository where it began.
pub(crate) struct Session {
    pub(crate) id: String,
    repository: Repository,
    /// `None` once it has ended.
    upload: Arc<tokio::sync::Mutex<Option<Upload>>>,
    received: AtomicU64,
    touched: Mutex<Instant>,
}

/// The right to write to a session; one request at a time has it.
pub(crate) type Held = OwnedMutexGuard<Option<Upload>>;

impl Sessions {
    /// Opens a session unless there are `limit` already. Sessions that nothing was heard of for
    /// `expiry` make room first.
    pub(crate) fn open(
        &self,
        repository: &Repository,
        upload: Upload,
        limit: usize,
        expiry: Duration,
    ) -> Option<Arc<Session>> {
        let session = Arc::new(Session {
            id: new_id(),
            repository: repository.clone(),
            upload: Arc::new(tokio::sync::Mutex::new(Some(upload))),
            received: AtomicU64::new(0),
            touched: Mutex::new(Instant::now()),
        });
        self.expire(expiry);
        let mut table = locked(&self.table);
        if table.len() >= limit {
            return None;
        }
        table.insert(session.id.clone(), session.clone());
        Some(session)
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

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        locked(&self.table).len()
    }

    /// Forgets a session; its bytes go when nobody writes to it any more.
    pub(crate) fn close(&self, session: &Session) -> bool {
        locked(&self.table).remove(&session.id).is_some()
    }

    /// Forgets the sessions that nothing was heard of for `expiry` and that nobody writes to.
    pub(crate) fn expire(&self, expiry: Duration) {
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
}

impl Session {
    /// Waits for the right to write, at most `patience`.
    pub(crate) async fn hold(&self, patience: Duration) -> Option<Held> {
        tokio::time::timeout(patience, self.upload.clone().lock_owned()).await.ok()
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
