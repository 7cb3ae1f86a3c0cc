//! What the sources of a COPY name, and the digest of its content.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use layerfs::{FileKind, Metadata};

use crate::cache::{CacheKey, KeyHasher};
use crate::diagnostic::suggest;
use crate::dockerignore::Ignore;
use crate::error::StepCause;
use crate::glob::Glob;
use crate::op::{Copy, CopySource, Excludes, Take};
use crate::tree::{Entry, FileTree, failed, failed_io, text};

/// Files are hashed by several threads from this many on: below, starting them costs more.
const PARALLEL_FROM: usize = 16;

/// One file or directory that a source names.
#[derive(Debug, Clone)]
pub(crate) struct Selected {
    /// The name by which it was found, which a file keeps in a destination directory.
    pub(crate) name: OsString,
    /// Where it is, symlinks followed.
    pub(crate) path: PathBuf,
    /// Itself and what it holds, directories first.
    pub(crate) entries: Vec<Entry>,
    /// The digests of its regular files, in their order, once they are [known](content_digest).
    pub(crate) digests: Vec<[u8; 32]>,
    /// What a directory is selected for.
    pub(crate) of_directory: OfDirectory,
}

/// What of a selected directory is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OfDirectory {
    /// What it holds, and its time.
    Content,
    /// It.
    Itself,
    /// Some of what it holds.
    Parts,
}

/// Digests of files by what the system says of them.
pub(crate) trait DigestIndex: Sync {
    /// The digest of the file at `path`, if nothing can have changed since it was computed.
    fn lookup(&self, path: &Path, metadata: &Metadata) -> Option<[u8; 32]>;
    /// Keeps a digest.
    fn insert(&self, path: &Path, metadata: &Metadata, digest: [u8; 32]);
}

/// What a source asks for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// What the pattern means.
    pub(crate) take: &'a Take,
    /// A clean absolute path or pattern.
    pub(crate) pattern: &'a str,
    /// As it was written, for errors.
    pub(crate) written: &'a str,
    /// What is left out of it. Patterns see the names that wildcards find, and paths from a
    /// directory that is copied; what is named without wildcards is wanted.
    pub(crate) excludes: &'a Excludes,
}

impl<'a> Wanted<'a> {
    /// The patterns of what is wanted of a directory, if that is not everything.
    pub(crate) fn includes(&self) -> Option<&'a Ignore> {
        match self.take {
            Take::Below(includes) => Some(&includes.patterns),
            Take::Matches | Take::Itself => None,
        }
    }

    /// The selection of `path`, found by `name`; none if there is nothing of it.
    fn selected(
        &self,
        tree: &FileTree<'_>,
        name: OsString,
        path: PathBuf,
    ) -> Result<Option<Selected>, StepCause> {
        let entries = tree.walk(&path, self)?;
        let (of_directory, least) = match self.take {
            Take::Matches => (OfDirectory::Content, 1),
            Take::Itself => (OfDirectory::Itself, 1),
            Take::Below(includes) if includes.text.is_empty() => (OfDirectory::Parts, 1),
            // The directory alone is nothing of what it holds.
            Take::Below(_) => (OfDirectory::Parts, 2),
        };
        let there = entries.len() >= least;
        let digests = Vec::new();
        Ok(there.then_some(Selected { name, path, entries, digests, of_directory }))
    }

    /// What a source of a copy asks for, unless it is a here-document.
    pub(crate) fn of(op: &'a Copy, source: &'a CopySource) -> Option<Wanted<'a>> {
        match source {
            CopySource::Inline { .. } => None,
            CopySource::Path { take, pattern, written, .. } => {
                Some(Wanted { take, pattern, written, excludes: &op.excludes })
            }
        }
    }

    /// The file or directory at `path`.
    pub(crate) fn itself(path: &'a str) -> Wanted<'a> {
        Wanted { take: &Take::Itself, pattern: path, written: path, excludes: &NOTHING }
    }
}

/// No patterns.
static NOTHING: Excludes = Excludes { texts: Vec::new(), patterns: Ignore::nothing() };

/// What a source names in a tree. A pattern with wildcards may name nothing; a path without must
/// be there.
pub(crate) fn select(tree: &FileTree<'_>, wanted: &Wanted<'_>) -> Result<Vec<Selected>, StepCause> {
    let Wanted { take, pattern, written, .. } = *wanted;
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    let wildcard = parts.iter().position(|part| has_wildcard(part));
    let Some(first) = wildcard.filter(|_| !matches!(take, Take::Itself)) else {
        return Ok(literal(tree, wanted)?.into_iter().collect());
    };
    let globs = parts[first..]
        .iter()
        .map(|part| Glob::parse(part))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| StepCause::Pattern { pattern: written.to_owned() })?;
    let base: PathBuf = parts[..first].iter().collect();
    let mut found = match tree.resolve(&base)? {
        Some((base, metadata)) if metadata.kind == FileKind::Dir => vec![base],
        _ => return Ok(Vec::new()),
    };
    for (depth, glob) in globs.iter().enumerate() {
        let last = depth + 1 == globs.len();
        let mut next = Vec::new();
        for dir in &found {
            for (name, kind) in tree.names_in(dir)? {
                if glob.matches(&name.to_string_lossy()) && (last || kind == FileKind::Dir) {
                    next.push(dir.join(name));
                }
            }
        }
        found = next;
    }
    let mut selected = Vec::new();
    let mut emptied = None;
    for path in found {
        let name = path.file_name().unwrap_or_default().to_owned();
        let is_excluded = wanted.excludes.patterns.matches(&name.to_string_lossy());
        let Some((path, metadata)) = tree.resolve(&path)? else {
            match is_excluded {
                true => continue,
                false => return Err(not_found(tree, &format!("/{}", path.display()), false)),
            }
        };
        match is_excluded {
            true if metadata.kind != FileKind::Dir => {}
            true => drop(emptied.get_or_insert((name, path))),
            false => selected.extend(wanted.selected(tree, name, path)?),
        }
    }
    // Where nothing is left but directories that are left out, one of them is there without what
    // it holds: what was asked for is a directory.
    if let (true, Some((name, path))) = (selected.is_empty(), emptied) {
        let directory = wanted.selected(tree, name, path)?.map(|mut directory| {
            directory.entries.truncate(1);
            directory
        });
        selected.extend(directory);
    }
    Ok(selected)
}

/// What is at a path without wildcards. It must be there, unless it is wanted for a pattern in it.
fn literal(tree: &FileTree<'_>, wanted: &Wanted<'_>) -> Result<Option<Selected>, StepCause> {
    let Wanted { take, pattern, written, .. } = *wanted;
    let below = match take {
        Take::Below(includes) => includes.text.as_str(),
        Take::Matches | Take::Itself => "",
    };
    let missing = |ignored| match (pattern, below) {
        ("/", "") => not_found(tree, written, ignored),
        (pattern, "") => not_found(tree, pattern, ignored),
        (pattern, below) => {
            not_found(tree, &format!("{}/{below}", pattern.trim_end_matches('/')), ignored)
        }
    };
    let Some((path, _)) = tree.resolve(Path::new(pattern.trim_start_matches('/')))? else {
        return Err(missing(false));
    };
    let name = crate::paths::base_name(pattern).into();
    match wanted.selected(tree, name, path)? {
        None if below.split('/').any(has_wildcard) => Ok(None),
        None => Err(missing(below.is_empty())),
        selected => Ok(selected),
    }
}

fn not_found(tree: &FileTree<'_>, path: &str, ignored: bool) -> StepCause {
    let parent = Path::new(crate::paths::parent(path).trim_start_matches('/'));
    let names: Vec<String> = match tree.names_in(parent) {
        Ok(names) if !ignored => {
            names.into_iter().map(|(name, _)| name.to_string_lossy().into_owned()).collect()
        }
        // Suggestions are a courtesy.
        _ => Vec::new(),
    };
    let wanted = crate::paths::base_name(path);
    let suggestion = suggest(wanted, names.iter().map(String::as_str));
    StepCause::NotFound { path: path.to_owned(), suggestion, ignored }
}

/// Whether a part of a path is a pattern; `\` takes the meaning of the next character away.
fn has_wildcard(part: &str) -> bool {
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

/// The digest of everything that a copy of `selected` can depend on: names, kinds, modes,
/// owners, links, attributes and bytes, and no times. Those of the files are kept there.
pub(crate) fn content_digest(
    tree: &FileTree<'_>,
    selected: &mut [Selected],
    index: Option<&dyn DigestIndex>,
    threads: usize,
) -> Result<CacheKey, StepCause> {
    let files: Vec<(PathBuf, &Metadata)> = selected
        .iter()
        .flat_map(|item| item.entries.iter().map(move |entry| (item, entry)))
        .filter(|(_, entry)| entry.metadata.kind == FileKind::File)
        .map(|(item, entry)| (joined(&item.path, &entry.path), &entry.metadata))
        .collect();
    let mut digests = file_digests(tree, &files, index, threads)?.into_iter();
    for item in &mut *selected {
        let files = item.entries.iter().filter(|e| e.metadata.kind == FileKind::File).count();
        item.digests = digests.by_ref().take(files).collect();
    }
    let mut hasher = KeyHasher::new("content/1");
    hasher.number(selected.len() as u64);
    for item in &*selected {
        let mut digests = item.digests.iter();
        let top_is_dir = item.entries.first().is_some_and(|e| e.metadata.kind == FileKind::Dir);
        // The contents of a directory are copied, not the directory: neither its name nor its
        // mode shows in the result.
        hasher.bytes(if top_is_dir { b"" } else { item.name.as_bytes() });
        hasher.number(item.entries.len() as u64);
        for (number, entry) in item.entries.iter().enumerate() {
            entry_into(
                &mut hasher,
                entry,
                number == 0 && top_is_dir && item.of_directory != OfDirectory::Itself,
            );
            if entry.metadata.kind == FileKind::File {
                hasher.bytes(digests.next().map_or(&[][..], |digest| &digest[..]));
            }
        }
    }
    Ok(hasher.finish())
}

fn entry_into(hasher: &mut KeyHasher, entry: &Entry, top_directory: bool) {
    let metadata = &entry.metadata;
    hasher.bytes(entry.path.as_os_str().as_bytes());
    let kind = match metadata.kind {
        FileKind::File => "file",
        FileKind::Dir => "dir",
        FileKind::Symlink => "symlink",
        FileKind::CharDevice => "char",
        FileKind::BlockDevice => "block",
        FileKind::Fifo => "fifo",
        FileKind::Socket => "socket",
    };
    hasher.text(kind);
    if top_directory {
        return;
    }
    // A symlink's mode means nothing.
    let mode = if metadata.kind == FileKind::Symlink { 0 } else { metadata.mode };
    hasher.number(u64::from(mode));
    hasher.number(u64::from(metadata.uid));
    hasher.number(u64::from(metadata.gid));
    if metadata.kind.is_device() {
        hasher.number(u64::from(metadata.rdev.0));
        hasher.number(u64::from(metadata.rdev.1));
    }
    if let Some(link) = &entry.link {
        hasher.bytes(link.as_os_str().as_bytes());
    }
    hasher.number(entry.xattrs.len() as u64);
    for (name, value) in &entry.xattrs {
        hasher.bytes(name.as_bytes());
        hasher.bytes(value);
    }
}

/// The digests of files, in their order.
fn file_digests(
    tree: &FileTree<'_>,
    files: &[(PathBuf, &Metadata)],
    index: Option<&dyn DigestIndex>,
    threads: usize,
) -> Result<Vec<[u8; 32]>, StepCause> {
    let mut digests = vec![[0; 32]; files.len()];
    let mut missing = Vec::new();
    for (number, (path, metadata)) in files.iter().enumerate() {
        match index.and_then(|index| index.lookup(path, metadata)) {
            Some(digest) => digests[number] = digest,
            None => missing.push(number),
        }
    }
    let hash = |number: usize| -> Result<[u8; 32], StepCause> {
        let (path, metadata) = &files[number];
        let digest = hash_file(tree, path)?;
        if let Some(index) = index {
            index.insert(path, metadata, digest);
        }
        Ok(digest)
    };
    let threads = threads.min(missing.len() / PARALLEL_FROM + 1);
    if threads < 2 {
        for number in missing {
            digests[number] = hash(number)?;
        }
        return Ok(digests);
    }
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done = Mutex::new((Vec::with_capacity(missing.len()), None));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut mine = Vec::new();
                let mut error = None;
                while !stop.load(Ordering::Relaxed) {
                    let Some(number) = missing.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        break;
                    };
                    match hash(*number) {
                        Ok(digest) => mine.push((*number, digest)),
                        Err(e) => {
                            stop.store(true, Ordering::Relaxed);
                            error = Some(e);
                        }
                    }
                }
                let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                done.0.extend(mine);
                done.1 = done.1.take().or(error);
            });
        }
    });
    let (hashed, error) = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(error) = error {
        return Err(error);
    }
    for (number, digest) in hashed {
        digests[number] = digest;
    }
    Ok(digests)
}

fn hash_file(tree: &FileTree<'_>, path: &Path) -> Result<[u8; 32], StepCause> {
    let mut file = tree.root.open_file(path).map_err(|e| failed("read", path, e))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = [0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(*hasher.finalize().as_bytes()),
            Ok(count) => drop(hasher.update(&buffer[..count])),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed_io("read", path, e)),
        }
    }
}

/// `path` below `base`, without a slash at the end when it is empty.
pub(crate) fn joined(base: &Path, path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { base.to_owned() } else { base.join(path) }
}

/// A path as messages show it.
pub(crate) fn shown(path: &Path) -> String {
    format!("/{}", text(path))
}
