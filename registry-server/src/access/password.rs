//! Passwords as `htpasswd -B` writes them down.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use tokio::sync::Semaphore;

use crate::storage::locked;
use crate::{Error, Result};

/// How long a password that was right need not be hashed again.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How many are remembered.
const MOST: usize = 10_000;
/// How many are hashed at once: it is meant to be slow, and must not take all processors.
const AT_ONCE: usize = 2;
/// The hash of nothing anybody can type: an unknown name takes as long as a wrong password.
const NOBODY: &str = "$2b$10$abcdefghijklmnopqrstuuWFPmAjrkEoFTUWbqUQXqzZ.1Xb5nO3W";

/// Users and the bcrypt hashes of their passwords.
#[derive(Debug)]
pub struct Passwords {
    hashes: HashMap<String, String>,
    right: Mutex<HashMap<[u8; 32], Instant>>,
    hashing: Semaphore,
}

impl Default for Passwords {
    fn default() -> Passwords {
        Passwords {
            hashes: HashMap::new(),
            right: Mutex::default(),
            hashing: Semaphore::new(AT_ONCE),
        }
    }
}

impl Passwords {
    /// Reads a file of lines `user:hash`. Hashes other than bcrypt's can be computed too fast to
    /// protect anything and are refused.
    ///
    /// # Errors
    /// If a line is not that.
    pub fn parse(text: &str) -> Result<Passwords> {
        let mut hashes = HashMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = line.split_once(':').filter(|(_, hash)| {
                ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix))
            });
            let Some((user, hash)) = entry else {
                return Err(Error::InvalidPasswords { line: number + 1 });
            };
            hashes.insert(user.to_owned(), hash.to_owned());
        }
        Ok(Passwords { hashes, ..Passwords::default() })
    }

    /// Whether that is the user's password.
    pub(super) async fn verify(&self, user: &str, password: &str) -> bool {
        let mut context = Context::new(&SHA256);
        let (length, hash) = (user.len().to_le_bytes(), self.hashes.get(user));
        for part in [&length[..], user.as_bytes(), password.as_bytes()] {
            context.update(part);
        }
        let Ok(key) = <[u8; 32]>::try_from(context.finish().as_ref()) else { return false };
        if locked(&self.right).get(&key).is_some_and(|since| since.elapsed() < REMEMBERED) {
            return true;
        }
        let Ok(_turn) = self.hashing.acquire().await else { return false };
        let hash = hash.map_or(NOBODY, String::as_str).to_owned();
        let password = password.to_owned();
        let verified =
            tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        let right = verified.await.unwrap_or(false) && self.hashes.contains_key(user);
        if right {
            let mut remembered = locked(&self.right);
            if remembered.len() >= MOST {
                remembered.clear();
            }
            remembered.insert(key, Instant::now());
        }
        right
    }
}
