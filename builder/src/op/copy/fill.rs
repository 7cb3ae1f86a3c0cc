//! Copies a directory into one that is empty, on several threads.
//!
//! Nothing can be in the way there, so nothing is looked for; and what lies below an overlay has
//! no say in it, so the files are written where the overlay keeps what is new. What the
//! instruction copied before and has not changed becomes another name of the file made then.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use layerfs::{Dir, FileKind, Root};
use rustix::io::Errno;

use super::earlier::note;
use super::file::{FileCopier, New, Several};
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
    /// The group that files get in the copy.
    group: OnceLock<u32>,
    /// What it was copied to before, if it was and files of it are the same.
    before: Option<Dir>,
}

/// Files of one directory.
struct Job<'e> {
    pair: Arc<Pair>,
    entries: &'e [Entry],
    /// Which of them were copied before.
    same: &'e [bool],
}

/// What all threads share.
struct Filling<'a> {
    source: &'a Path,
    target: &'a Path,
    /// Files that are copied later.
    several: &'a Several,
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
        for (entry, same) in job.entries.iter().zip(job.same) {
            if !is_leaf(entry) || self.several.has(entry) {
                continue;
            }
            if self.cancel.is_cancelled() {
                return Err(StepCause::Cancelled);
            }
            if self.failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let name = entry.path.file_name().unwrap_or_default();
            let before = job.pair.before.as_ref().filter(|_| *same);
            if before.is_some_and(|before| files.take(before, (&job.pair.to, name), entry)) {
                continue;
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
        let new = New { dir: &pair.to, name, group: Some(&pair.group) };
        let same = files.copy((&pair.from, name), new, entry, (&source, &path))?;
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
        &mut self,
        upper: &Root,
        target: &Path,
        tree: &FileTree<'_>,
        item: &Selected,
    ) -> Result<bool, StepCause> {
        let from = tree.root.subtree(&item.path).map_err(|e| failed("open", &item.path, e))?;
        let to = upper.subtree(target).map_err(|e| failed("open", target, e))?;
        let several = Several::among(&item.entries);
        let filling = Filling {
            source: &item.path,
            target,
            several: &several,
            cancel: self.place.cancel,
            unchanged: AtomicBool::new(true),
            failure: Mutex::new(None),
            failed: AtomicBool::new(false),
        };
        let entries = &item.entries[1..];
        let earlier = self.place.earlier;
        let same = match earlier {
            Some(earlier) => earlier.has(target, item, &several),
            None => vec![false; item.entries.len()],
        };
        let before = earlier.filter(|_| same.contains(&true)).map(|earlier| &earlier.tree);
        let trees = Trees { from: &from, to: &to, before };
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
            if let Err(cause) = hand_out(&filling, trees, (entries, &same[1..]), &jobs) {
                filling.fail(cause);
            }
            drop(jobs);
        });
        if let Some(cause) = filling.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(cause);
        }
        let unchanged = filling.unchanged.into_inner();
        let linked = self.linked(upper, target, tree, item, &several)?;
        self.finish_directories(&to, target, entries)?;
        note(&mut self.contents, target, item, &several);
        Ok(unchanged && linked)
    }

    /// Copies the files with several names, and makes the other names.
    fn linked(
        &self,
        upper: &Root,
        target: &Path,
        tree: &FileTree<'_>,
        item: &Selected,
        several: &Several,
    ) -> Result<bool, StepCause> {
        let mut first = std::collections::HashMap::<_, PathBuf>::new();
        let mut files = self.files.another();
        let mut unchanged = true;
        for entry in item.entries[1..].iter().filter(|entry| several.has(entry)) {
            let (source, path) = (item.path.join(&entry.path), target.join(&entry.path));
            let inode = (entry.metadata.dev, entry.metadata.ino);
            if let Some(first) = first.get(&inode) {
                upper.hard_link(first, &path).map_err(|e| failed("link", &path, e))?;
                continue;
            }
            let from = tree.root.parent(&source).map_err(|e| failed("open", &source, e))?;
            let to = upper.parent(&path).map_err(|e| failed("open", &path, e))?;
            let names = (&*source, &*path);
            let new = New { dir: &to.0, name: to.1, group: None };
            unchanged &= files.copy((&from.0, from.1), new, entry, names)?;
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

/// Where directories are found, and where they are made.
#[derive(Clone, Copy)]
struct Trees<'t> {
    from: &'t Root,
    to: &'t Root,
    /// The tree of the whole layer that was made before.
    before: Option<&'t Root>,
}

/// Makes the directories, and hands out the files in them.
fn hand_out<'e>(
    filling: &Filling<'_>,
    Trees { from, to, before }: Trees<'_>,
    (entries, same): (&'e [Entry], &'e [bool]),
    jobs: &crossbeam_channel::Sender<Job<'e>>,
) -> Result<(), StepCause> {
    let open = |path: &Path| -> Result<Arc<Pair>, StepCause> {
        let (source, target) = (filling.source.join(path), filling.target.join(path));
        let from = from.open_dir(path).map_err(|e| failed("open", &source, e))?;
        let to = to.open_dir(path).map_err(|e| failed("open", &target, e))?;
        // What is not there any more is copied.
        let before = before.and_then(|before| before.open_dir(&target).ok());
        Ok(Arc::new(Pair { from, to, group: OnceLock::new(), before }))
    };
    let mut here = (Path::new(""), open(Path::new(""))?);
    let (mut rest, mut same) = (entries, same);
    while let Some(entry) = rest.first() {
        if filling.failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        if !is_leaf(entry) {
            let path = filling.target.join(&entry.path);
            let made = to.mkdir(&entry.path, 0o700);
            made.map_err(|e| failed("create the directory", &path, e))?;
            here = (&entry.path, open(&entry.path)?);
            (rest, same) = (&rest[1..], &same[1..]);
            continue;
        }
        let parent = entry.path.parent().unwrap_or(Path::new(""));
        if here.0 != parent {
            here = (parent, open(parent)?);
        }
        let count = one_job(rest, parent);
        let job = Job { pair: Arc::clone(&here.1), entries: &rest[..count], same: &same[..count] };
        (rest, same) = (&rest[count..], &same[count..]);
        // Who takes jobs ends only after us.
        let _ = jobs.send(job);
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
