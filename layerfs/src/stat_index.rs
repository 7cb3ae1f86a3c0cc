//! The index of a build context: which files did not change since their content was digested.
//!
//! A file is believed unchanged if device, inode, size, mode, mtime and ctime are what they were.
//! That fails for a file that is written twice within one tick of the file system's clock, once
//! before it is digested and once after. Git calls such entries racy and does not believe them;
//! here they are not even written: what was changed as late as the tick in which the index was
//! opened, or later, is digested again next time. Then it is old enough, as it were, unless it was
//! touched again.
//!
//! The file is one table for each context, read at once and searched in place. It is a cache: a
//! file that is damaged, or of another version, is an empty index.

mod table;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use tempfile::NamedTempFile;

use table::{Table, TableWriter, Value};

use crate::gc::CONTEXTS;
use crate::lease::{entries, is_linked};
use crate::store::Store;
use crate::{Error, Result};

/// No file system that we know ticks more slowly than this, where it keeps parts of a second.
const TICK: Duration = Duration::from_millis(20);

/// And where it does not: FAT has two seconds.
const COARSE_TICK: Duration = Duration::from_secs(2);

/// An entry that no build asked for is kept for so many writes of the index: another target or
/// another Dockerfile may ask again.
const MAX_IDLE: u8 = 8;

/// What must not have changed for a digest to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileStat {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Size in bytes.
    pub size: u64,
    /// Type and permissions.
    pub mode: u32,
    /// Time of the last change of the content: seconds since 1970, and nanoseconds.
    pub mtime: (i64, u32),
    /// Time of the last change of content or attributes: seconds since 1970, and nanoseconds.
    pub ctime: (i64, u32),
}

impl From<&fs::Metadata> for FileStat {
    fn from(metadata: &fs::Metadata) -> FileStat {
        let nanoseconds = |n: i64| u32::try_from(n).unwrap_or_default();
        FileStat {
            dev: metadata.dev(),
            ino: metadata.ino(),
            size: metadata.size(),
            mode: metadata.mode(),
            mtime: (metadata.mtime(), nanoseconds(metadata.mtime_nsec())),
            ctime: (metadata.ctime(), nanoseconds(metadata.ctime_nsec())),
        }
    }
}

impl FileStat {
    /// Half of a hash of all of it. Two states of one file collide by chance once in 2^128.
    fn fingerprint(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        for part in [self.dev, self.ino, self.size, u64::from(self.mode)] {
            hasher.update(&part.to_le_bytes());
        }
        for (seconds, nanoseconds) in [self.mtime, self.ctime] {
            hasher.update(&seconds.to_le_bytes());
            hasher.update(&nanoseconds.to_le_bytes());
        }
        let mut half = [0; 16];
        half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        half
    }

    /// Whether the file changed so late that a change after `now` could look the same.
    fn is_racy(&self, now: (i64, u32)) -> bool {
        let latest = self.mtime.max(self.ctime);
        let is_coarse = self.mtime.1 == 0 && self.ctime.1 == 0;
        let tick = if is_coarse { COARSE_TICK } else { TICK };
        later(latest, tick) >= now
    }
}

fn later((seconds, nanoseconds): (i64, u32), by: Duration) -> (i64, u32) {
    let sum = nanoseconds + by.subsec_nanos();
    let carry = i64::from(sum / 1_000_000_000);
    let whole = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
    (seconds.saturating_add(whole).saturating_add(carry), sum % 1_000_000_000)
}

/// The digests of a context's files, by path.
pub struct StatIndex {
    path: PathBuf,
    opened: (i64, u32),
    stored: Table,
    /// Which of the stored entries were asked for; they stay.
    used: Vec<AtomicBool>,
    /// Where a walk in the order of the table asks next.
    next: AtomicUsize,
    fresh: BTreeMap<Vec<u8>, Option<Value>>,
}

impl StatIndex {
    /// Reads the index at `path`; one that is missing, damaged or of another version is empty.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn load(path: &Path) -> Result<StatIndex> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        StatIndex::load_at(path, (seconds, since.subsec_nanos()))
    }

    /// As [`load`](StatIndex::load) at the time `now`, in seconds since 1970 and nanoseconds.
    fn load_at(path: &Path, now: (i64, u32)) -> Result<StatIndex> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::io("read", path, e)),
        };
        let stored = Table::parse(bytes).unwrap_or_default();
        Ok(StatIndex {
            path: path.to_owned(),
            opened: now,
            used: (0..stored.len()).map(|_| AtomicBool::new(false)).collect(),
            stored,
            next: AtomicUsize::new(0),
            fresh: BTreeMap::new(),
        })
    }

    /// The digest of the content of `path`, if it is known for a file in this very state. A walk
    /// in the order of bytes costs least; several threads may ask at once.
    pub fn lookup(&self, path: &Path, stat: &FileStat) -> Option<[u8; 32]> {
        let key = path.as_os_str().as_bytes();
        if let Some(fresh) = self.fresh.get(key) {
            return fresh.filter(|v| v.fingerprint == stat.fingerprint()).map(|v| v.content);
        }
        let position = self.position(key)?;
        let (_, value) = self.stored.entry(position);
        if value.fingerprint != stat.fingerprint() {
            return None;
        }
        self.used[position].store(true, Ordering::Relaxed);
        Some(value.content)
    }

    fn position(&self, key: &[u8]) -> Option<usize> {
        let guess = self.next.load(Ordering::Relaxed);
        let found = if guess < self.stored.len() && self.stored.entry(guess).0 == key {
            guess
        } else {
            self.stored.find(key)?
        };
        self.next.store(found + 1, Ordering::Relaxed);
        Some(found)
    }

    /// Takes the digest of the content of `path`. `stat` must have been taken after this index was
    /// loaded and before the content was read. What changed too late to be believed next time is
    /// not kept.
    pub fn insert(&mut self, path: &Path, stat: &FileStat, content: [u8; 32]) {
        let value = (!stat.is_racy(self.opened)).then(|| Value {
            fingerprint: stat.fingerprint(),
            content,
            idle: 0,
        });
        let key = path.as_os_str().as_bytes();
        // Something there is no need to write down twice: that it is still not known.
        if value.is_some() || self.stored.find(key).is_some() {
            self.fresh.insert(key.to_vec(), value);
        }
    }

    /// Writes the index, if anything in it is new, in place of the older one.
    ///
    /// # Errors
    /// If it cannot be written. The older one is still there then.
    pub fn save(&self) -> Result<()> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let mut table = TableWriter::default();
        let mut fresh = self.fresh.iter().peekable();
        for position in 0..self.stored.len() {
            let (key, mut value) = self.stored.entry(position);
            while let Some((new, value)) = fresh.next_if(|(new, _)| new.as_slice() < key) {
                table.push(new, value.as_ref());
            }
            if let Some((new, value)) = fresh.next_if(|(new, _)| new.as_slice() == key) {
                table.push(new, value.as_ref());
                continue;
            }
            let used = self.used[position].load(Ordering::Relaxed);
            value.idle = if used { 0 } else { value.idle + 1 };
            if value.idle <= MAX_IDLE {
                table.push(key, Some(&value));
            }
        }
        for (new, value) in fresh {
            table.push(new, value.as_ref());
        }
        self.replace(&table.finish())
    }

    fn replace(&self, bytes: &[u8]) -> Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir).map_err(|e| Error::io("create", dir, e))?;
        let mut file = locked_file(dir)?;
        file.write_all(bytes).map_err(|e| Error::io("write", &self.path, e))?;
        file.persist(&self.path).map_err(|e| Error::io("replace", &self.path, e.error))?;
        Ok(())
    }
}

/// What the names of unfinished indexes begin with.
const UNFINISHED: &str = ".index-";

/// A new file that says by its lock that somebody is writing it.
fn locked_file(dir: &Path) -> Result<NamedTempFile> {
    loop {
        let file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempfile_in(dir)
            .map_err(|e| Error::io("create a file in", dir, e))?;
        flock(file.as_file(), FlockOperation::LockExclusive)
            .map_err(|e| Error::io("lock a file in", dir, e))?;
        // A sweeper may have come between the two calls.
        if is_linked(file.as_file(), file.path())? {
            return Ok(file);
        }
    }
}

/// Removes the unfinished indexes below `cache/` whose writers are gone.
pub(crate) fn sweep(store: &Store) -> Result<()> {
    let dir = store.places().cache().join(CONTEXTS);
    for name in entries(&dir)?.iter().filter(|name| name.starts_with(UNFINISHED)) {
        let path = dir.join(name);
        // One that is gone was finished meanwhile, and one that is locked is being written.
        if let Ok(file) = fs::File::open(&path)
            && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
            && is_linked(&file, &path)?
        {
            let _ = fs::remove_file(&path);
        }
    }
    Ok(())
}

impl Store {
    /// Where the index of the build context at `context`, an absolute path, is kept.
    pub fn stat_index_path(&self, context: &Path) -> PathBuf {
        let name = blake3::hash(context.as_os_str().as_bytes()).to_hex();
        self.places().cache().join(CONTEXTS).join(&name.as_str()[..32])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: (i64, u32) = (1_000_000, 500_000_000);

    fn stat(ctime: (i64, u32)) -> FileStat {
        FileStat { dev: 1, ino: 2, size: 3, mode: 0o100_644, mtime: (5, 6), ctime }
    }

    fn saved(path: &Path, entries: &[(&str, FileStat, [u8; 32])]) {
        let mut index = StatIndex::load_at(path, NOW).unwrap();
        for (name, stat, content) in entries {
            index.insert(Path::new(name), stat, *content);
        }
        index.save().unwrap();
    }

    #[test]
    fn what_did_not_change_is_known_and_every_difference_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let known = stat((7, 8));
        saved(&path, &[("b", known, [2; 32]), ("a/b", known, [1; 32])]);
        let index = StatIndex::load(&path).unwrap();
        assert_eq!(index.lookup(Path::new("a/b"), &known), Some([1; 32]));
        assert_eq!(index.lookup(Path::new("b"), &known), Some([2; 32]));
        assert_eq!(index.lookup(Path::new("a"), &known), None);
        let others = [
            FileStat { dev: 9, ..known },
            FileStat { ino: 9, ..known },
            FileStat { size: 9, ..known },
            FileStat { mode: 0o100_755, ..known },
            FileStat { mtime: (5, 7), ..known },
            FileStat { ctime: (7, 9), ..known },
        ];
        for other in others {
            assert_eq!(index.lookup(Path::new("b"), &other), None, "{other:?}");
        }
    }

    #[test]
    fn what_changed_in_the_tick_of_the_opening_or_later_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let believed = |ctime, mtime| {
            let stat = FileStat { mtime, ..stat(ctime) };
            saved(&path, &[("a", stat, [1; 32])]);
            StatIndex::load(&path).unwrap().lookup(Path::new("a"), &stat).is_some()
        };
        let long_ago = (1, 1);
        assert!(believed((NOW.0 - 1, NOW.1), long_ago));
        assert!(!believed(NOW, long_ago));
        assert!(!believed((NOW.0, NOW.1 - 10_000_000), long_ago));
        assert!(!believed((NOW.0 + 100, 0), long_ago));
        assert!(!believed(long_ago, (NOW.0, NOW.1)), "mtime counts as well");
        // Without parts of a second, two seconds are one tick.
        assert!(!believed((NOW.0 - 1, 0), (1, 0)));
        assert!(believed((NOW.0 - 3, 0), (1, 0)));
    }

    #[test]
    fn an_entry_that_became_racy_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        saved(&path, &[("a", stat((7, 8)), [1; 32]), ("b", stat((7, 8)), [1; 32])]);
        saved(&path, &[("a", stat(NOW), [2; 32])]);
        let index = StatIndex::load(&path).unwrap();
        assert_eq!(index.lookup(Path::new("a"), &stat((7, 8))), None);
        assert_eq!(index.lookup(Path::new("b"), &stat((7, 8))), Some([1; 32]));
    }

    #[test]
    fn other_content_with_the_same_size_mode_and_mtime_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let state = |content: &[u8]| {
            fs::write(&file, content).unwrap();
            let opened = fs::File::options().write(true).open(&file).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
            opened.set_modified(time).unwrap();
            FileStat::from(&fs::metadata(&file).unwrap())
        };
        let first = state(b"one");
        std::thread::sleep(TICK * 2);
        let path = dir.path().join("index");
        let mut index = StatIndex::load(&path).unwrap();
        index.insert(Path::new("file"), &first, [1; 32]);
        index.save().unwrap();

        let second = state(b"two");
        assert_eq!((first.size, first.mode, first.mtime), (second.size, second.mode, second.mtime));
        let index = StatIndex::load(&path).unwrap();
        assert_eq!(index.lookup(Path::new("file"), &first), Some([1; 32]));
        assert_eq!(index.lookup(Path::new("file"), &second), None);
    }

    #[test]
    fn entries_that_nobody_asks_for_go_after_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let known = stat((7, 8));
        saved(&path, &[("asked", known, [1; 32]), ("idle", known, [1; 32])]);
        for round in 0..=MAX_IDLE {
            let mut index = StatIndex::load_at(&path, NOW).unwrap();
            assert!(index.position(b"idle").is_some(), "{round}");
            assert!(index.lookup(Path::new("asked"), &known).is_some(), "{round}");
            index.insert(
                Path::new("new"),
                &stat((1, i64::from(round).unsigned_abs() as u32)),
                [3; 32],
            );
            index.save().unwrap();
        }
        let index = StatIndex::load(&path).unwrap();
        assert!(index.position(b"idle").is_none());
        assert!(index.position(b"asked").is_some());
    }

    #[test]
    fn a_damaged_file_is_an_empty_index_and_can_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let known = stat((7, 8));
        saved(&path, &[("a", known, [1; 32])]);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert_eq!(StatIndex::load(&path).unwrap().stored.len(), 0, "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert_eq!(StatIndex::load(&path).unwrap().stored.len(), 0, "cut at {at}");
        }
        saved(&path, &[("a", known, [2; 32])]);
        assert_eq!(StatIndex::load(&path).unwrap().lookup(Path::new("a"), &known), Some([2; 32]));
    }

    #[test]
    fn nothing_new_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        StatIndex::load(&path).unwrap().save().unwrap();
        assert!(!path.exists());
    }

    proptest! {
        #[test]
        fn what_is_saved_is_found(names in proptest::collection::btree_set("[a-c/]{1,4}", 0..40), more in proptest::collection::btree_set("[a-c/]{1,4}", 0..40)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("index");
            let known = stat((7, 8));
            for (round, names) in [&names, &more].into_iter().enumerate() {
                let mut index = StatIndex::load_at(&path, NOW).unwrap();
                for name in names {
                    index.insert(Path::new(name), &known, [round as u8; 32]);
                }
                index.save().unwrap();
            }
            let index = StatIndex::load(&path).unwrap();
            prop_assert_eq!(index.stored.len(), names.union(&more).count());
            for name in names.union(&more) {
                let round = u8::from(more.contains(name));
                prop_assert_eq!(index.lookup(Path::new(name), &known), Some([round; 32]));
            }
        }
    }
}
