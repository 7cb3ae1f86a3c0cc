//! The store's database: what is there, what it is called, and who uses it.
//!
//! Bytes live in files; the database says which of them count. Every change is one transaction,
//! and none is held open while bytes flow. The modules below are plain functions over a
//! connection, a file for each group of tables.

pub(crate) mod containers;
pub(crate) mod events;
pub(crate) mod gc;
pub(crate) mod images;
pub(crate) mod layers;
pub(crate) mod pins;
pub(crate) mod records;
pub(crate) mod volumes;

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use rustix::fs::{FlockOperation, flock};

use crate::{Error, Result};

/// Each entry brings the database from the version of its index to the next.
const MIGRATIONS: &[&str] = &[
    include_str!("state/schema.sql"),
    include_str!("state/encoders.sql"),
    include_str!("state/volumes.sql"),
    include_str!("state/events.sql"),
];

/// How long a writer waits for others. Every transaction of ours is a matter of milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// An open database.
pub(crate) struct State {
    path: PathBuf,
    connection: Mutex<Connection>,
}

/// What may end a transaction: the database, or a rule of ours.
pub(crate) enum Abort {
    /// The database failed.
    Sql(rusqlite::Error),
    /// We refuse.
    Own(Error),
}

impl From<rusqlite::Error> for Abort {
    fn from(error: rusqlite::Error) -> Abort {
        Abort::Sql(error)
    }
}

impl From<Error> for Abort {
    fn from(error: Error) -> Abort {
        Abort::Own(error)
    }
}

impl State {
    /// Opens the database at `path`, and makes or migrates it where needed.
    pub(crate) fn open(path: PathBuf) -> Result<State> {
        let wrap = |operation| {
            let path = path.clone();
            move |source| state_error(operation, &path, source)
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection =
            Connection::open_with_flags(&path, flags).map_err(wrap("open the database"))?;
        configure(&connection).map_err(wrap("configure the database"))?;
        if version(&connection).map_err(wrap("read the version"))? != known_version() {
            migrate(&mut connection, &path)?;
        }
        connection.set_prepared_statement_cache_capacity(64);
        Ok(State { path, connection: Mutex::new(connection) })
    }

    /// Runs `f`, which only reads, on one snapshot of the database.
    pub(crate) fn read<T>(
        &self,
        operation: &'static str,
        f: impl FnOnce(&Connection) -> Result<T, Abort>,
    ) -> Result<T> {
        self.transact(operation, TransactionBehavior::Deferred, f)
    }

    /// Runs `f` as one change: all of it or nothing.
    pub(crate) fn write<T>(
        &self,
        operation: &'static str,
        f: impl FnOnce(&Connection) -> Result<T, Abort>,
    ) -> Result<T> {
        self.transact(operation, TransactionBehavior::Immediate, f)
    }

    fn transact<T>(
        &self,
        operation: &'static str,
        behavior: TransactionBehavior,
        f: impl FnOnce(&Connection) -> Result<T, Abort>,
    ) -> Result<T> {
        let mut connection = self.lock();
        let run = || {
            let transaction = connection.transaction_with_behavior(behavior)?;
            let value = f(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|abort| match abort {
            Abort::Sql(source) => state_error(operation, &self.path, source),
            Abort::Own(error) => error,
        })
    }

    /// Brings what was committed to disk: it is in the log, or a checkpoint has already synced it.
    ///
    /// The database's own file is never opened here: closing it again would drop the locks that
    /// SQLite has on it in this process (fcntl_locking(2)).
    pub(crate) fn sync(&self) -> Result<()> {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        match File::open(&log) {
            Ok(file) => file.sync_data().map_err(|e| Error::io("sync", &log, e)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(Error::io("open", &log, e)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a transaction rolled it back; the connection itself is sound.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // The last process to leave would else pay for a checkpoint with its syncs, every time.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.execute_batch(
        "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 250;",
    )
}

fn known_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let wrap = |source| state_error("migrate the database", path, source);
    // The change of the journal's mode cannot wait for others as transactions do.
    let dir = path.parent().unwrap_or(Path::new("/"));
    let lock = File::open(dir).map_err(|e| Error::io("open", dir, e))?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|e| Error::io("lock", dir, e))?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(wrap)?;
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrap)?;
    let found = version(&transaction).map_err(wrap)?;
    let pending = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found..));
    let Some(pending) = pending else {
        return Err(Error::StateTooNew { path: path.to_owned(), found, known: known_version() });
    };
    for migration in pending {
        transaction.execute_batch(migration).map_err(wrap)?;
    }
    transaction.pragma_update(None, "user_version", known_version()).map_err(wrap)?;
    transaction.commit().map_err(wrap)
}

fn state_error(operation: &'static str, path: &Path, source: rusqlite::Error) -> Error {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Error::StateDamaged { path, source }
        }
        _ => Error::State { operation, path, source },
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A text of the database as the type that it was written from.
pub(crate) fn parse<T: std::str::FromStr>(column: &'static str, value: &str) -> Result<T> {
    value.parse().map_err(|_| Error::StateValue { column, value: value.to_owned() })
}
