//! Copies a directory into one that is new and empty, on several threads.
//!
//! Nothing can be in the way there, so nothing is looked for; and what lies below an overlay has
//! no say in it, so the files are written where the overlay keeps what is new.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use layerfs::{Dir, FileKind, Root};
use rustix::io::Errno;

use super::file::{FileCopier, is_linked};
use super::place::Placer;
use crate::cancel::Cancel;
use crate::error::StepCause;
use crate::select::Selected;
use crate::tree::{Entry, FileTree, failed, failed_io};

/// How many files, and how many bytes in files, one thread takes at once.
const FILES: usize = 64;
const BYTES: u64 = 4 << 20;

/// How much work lies ready for each thread.
const AHEAD: usize = 4;

/// A directory and its copy.
struct Pair {
    from: Dir,
    to: Dir,
}

/// Files of one directory.
struct Job<'e> {
    pair: Arc<Pair>,
    entries: &'e [Entry],
}

/// What all threads share.
struct Filling<'a> {
    source: &'a Path,
    target: &'a Path,
    cancel: &'a Cancel,
    unchanged: AtomicBool,
    failure: Mutex<Option<StepCause>>,
    failed: AtomicBool,
}

impl Filling<'_> {
    fn fail(&self, cause: StepCause) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(cause);
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Copies the files of a job; those with several names are left for later.
    fn run(&self, job: &Job<'_>, files: &mut FileCopier<'_>) -> Result<(), StepCause> {
        for entry in job.entries.iter().filter(|entry| is_leaf(entry) && !is_linked(entry)) {
            if self.cancel.is_cancelled() {
                return Err(StepCause::Cancelled);
            }
            if self.failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.copy(&job.pair, entry, files)?;
        }
        Ok(())
    }

    fn copy(
        &self,
        pair: &Pair,
        entry: &Entry,
        files: &mut FileCopier<'_>,
    ) -> Result<(), StepCause> {
        let name = entry.path.file_name().unwrap_or_default();
        let (source, path) = (self.source.join(&entry.path), self.target.join(&entry.path));
        let same = files.copy((&pair.from, name), (&pair.to, name), entry, (&source, &path))?;
        if !same {
            self.unchanged.store(false, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn is_leaf(entry: &Entry) -> bool {
    entry.metadata.kind != FileKind::Dir
}

impl Placer<'_> {
    /// Copies what the selected directory holds into `target`, a new directory in `upper`.
    pub(super) fn fill(
        &self,
        upper: &Root,
        target: &Path,
        tree: &FileTree<'_>,
        item: &Selected,
    ) -> Result<bool, StepCause> {
        let from = tree.root.subtree(&item.path).map_err(|e| failed("open", &item.path, e))?;
        let to = upper.subtree(target).map_err(|e| failed("open", target, e))?;
        let filling = Filling {
            source: &item.path,
            target,
            cancel: self.place.cancel,
            unchanged: AtomicBool::new(true),
            failure: Mutex::new(None),
            failed: AtomicBool::new(false),
        };
        let entries = &item.entries[1..];
        let threads = self.place.threads.min(entries.len() / FILES + 1);
        let (jobs, queue) = crossbeam_channel::bounded::<Job<'_>>(threads * AHEAD);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let (queue, filling, mut files) = (queue.clone(), &filling, self.files.another());
                scope.spawn(move || {
                    for job in queue {
                        if let Err(cause) = filling.run(&job, &mut files) {
                            filling.fail(cause);
                        }
                    }
                });
            }
            drop(queue);
            if let Err(cause) = hand_out(&filling, (&from, &to), entries, &jobs) {
                filling.fail(cause);
            }
            drop(jobs);
        });
        if let Some(cause) = filling.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(cause);
        }
        let unchanged = filling.unchanged.into_inner();
        let linked = self.linked(upper, target, tree, item)?;
        self.finish_directories(&to, target, entries)?;
        Ok(unchanged && linked)
    }

    /// Copies the files with several names, and makes the other names.
    fn linked(
        &self,
        upper: &Root,
        target: &Path,
        tree: &FileTree<'_>,
        item: &Selected,
    ) -> Result<bool, StepCause> {
        let mut first = std::collections::HashMap::<_, PathBuf>::new();
        let mut files = self.files.another();
        let mut unchanged = true;
        for entry in item.entries[1..].iter().filter(|entry| is_linked(entry)) {
            let (source, path) = (item.path.join(&entry.path), target.join(&entry.path));
            let inode = (entry.metadata.dev, entry.metadata.ino);
            if let Some(first) = first.get(&inode) {
                upper.hard_link(first, &path).map_err(|e| failed("link", &path, e))?;
                continue;
            }
            let from = tree.root.parent(&source).map_err(|e| failed("open", &source, e))?;
            let to = upper.parent(&path).map_err(|e| failed("open", &path, e))?;
            let names = (&*source, &*path);
            unchanged &= files.copy((&from.0, from.1), (&to.0, to.1), entry, names)?;
            first.insert(inode, path);
        }
        Ok(unchanged)
    }

    /// Gives the directories what they have, now that nothing changes in them any more.
    fn finish_directories(
        &self,
        to: &Root,
        target: &Path,
        entries: &[Entry],
    ) -> Result<(), StepCause> {
        for entry in entries.iter().rev().filter(|entry| !is_leaf(entry)) {
            let path = target.join(&entry.path);
            let dir = to.open_dir(&entry.path).map_err(|e| failed("open", &path, e))?;
            self.attributes
                .finish(&dir, OsStr::new("."), entry)
                .map_err(|e: Errno| failed_io("set the attributes of", &path, e.into()))?;
        }
        Ok(())
    }
}

/// Makes the directories, and hands out the files in them.
fn hand_out<'e>(
    filling: &Filling<'_>,
    (from, to): (&Root, &Root),
    entries: &'e [Entry],
    jobs: &crossbeam_channel::Sender<Job<'e>>,
) -> Result<(), StepCause> {
    let open = |path: &Path| -> Result<Arc<Pair>, StepCause> {
        let (source, target) = (filling.source.join(path), filling.target.join(path));
        let from = from.open_dir(path).map_err(|e| failed("open", &source, e))?;
        let to = to.open_dir(path).map_err(|e| failed("open", &target, e))?;
        Ok(Arc::new(Pair { from, to }))
    };
    let mut here = (Path::new(""), open(Path::new(""))?);
    let mut rest = entries;
    while let Some(entry) = rest.first() {
        if filling.failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        if !is_leaf(entry) {
            let path = filling.target.join(&entry.path);
            let made = to.mkdir(&entry.path, 0o700);
            made.map_err(|e| failed("create the directory", &path, e))?;
            here = (&entry.path, open(&entry.path)?);
            rest = &rest[1..];
            continue;
        }
        let parent = entry.path.parent().unwrap_or(Path::new(""));
        if here.0 != parent {
            here = (parent, open(parent)?);
        }
        let (job, after) = rest.split_at(one_job(rest, parent));
        rest = after;
        // Who takes jobs ends only after us.
        let _ = jobs.send(Job { pair: Arc::clone(&here.1), entries: job });
    }
    Ok(())
}

/// How many of the first entries make one job: files of one directory, not too many of them.
fn one_job(entries: &[Entry], parent: &Path) -> usize {
    let mut bytes = 0;
    entries
        .iter()
        .take(FILES)
        .take_while(|entry| {
            let fits = bytes < BYTES;
            bytes += entry.metadata.size;
            fits && is_leaf(entry) && entry.path.parent() == Some(parent)
        })
        .count()
}
