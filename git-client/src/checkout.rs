//! The files of a commit.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use gix::bstr::BString;
use gix::progress::Discard;
use gix::worktree::stack::state::attributes::Source;
use gix::{ObjectId, Repository};

use crate::error::{Error, Result};
use crate::fetch::{fetch, init};
use crate::finish;
use crate::resolve::find;
use crate::submodules::{self, MAX_DEPTH};
use crate::web::Web;

/// What is wanted of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted<'a> {
    /// Where it is.
    pub url: &'a str,
    /// The commit, in hexadecimal digits.
    pub commit: &'a str,
    /// How the commit was found; kept in `.git`.
    pub reference: Option<&'a str>,
    /// The directory whose files are wanted; all if none.
    pub directory: Option<&'a str>,
    /// Whether `.git` is kept, with this commit alone; never of a part or a submodule.
    pub keep_git_dir: bool,
    /// Whether submodules are fetched as well.
    pub submodules: bool,
}

/// Writes the files of a commit into the empty directory `into`: with modes 0644 and 0755, and all
/// with the time of the commit. `interrupt` ends it.
///
/// # Errors
/// If the server does not give the commit, or it has no such directory, or files cannot be
/// written.
pub fn checkout(
    web: &dyn Web,
    wanted: &Wanted<'_>,
    into: &Path,
    interrupt: &AtomicBool,
) -> Result<()> {
    checkout_at(web, wanted, into, interrupt, MAX_DEPTH)
}

/// The same, with as many levels of submodules as `depth` says.
pub(crate) fn checkout_at(
    web: &dyn Web,
    wanted: &Wanted<'_>,
    into: &Path,
    interrupt: &AtomicBool,
    depth: usize,
) -> Result<()> {
    let commit = ObjectId::from_hex(wanted.commit.as_bytes())
        .map_err(Error::git("read the name of the commit"))?;
    let repository = init(into)?;
    let keeps = wanted.keep_git_dir && wanted.directory.is_none();
    let named = match wanted.reference {
        Some(reference) if keeps => find(web, wanted.url, Some(reference))?,
        _ => None,
    };
    let named = named.filter(|found| found.commit == commit && found.name.starts_with("refs/"));
    let names: Vec<String> = named.iter().map(|found| found.name.clone()).collect();
    fetch(web, wanted.url, &repository, commit, &names, interrupt)?;
    let links = write(&repository, commit, wanted, into, interrupt)?;
    let time = time_of(&repository, commit)?;
    if wanted.submodules {
        submodules::checkout(web, &repository, commit, wanted, &links, into, interrupt, depth)?;
    }
    let git_dir = into.join(".git");
    match keeps {
        true => finish::keep(&git_dir, commit, wanted.url)?,
        false => fs::remove_dir_all(&git_dir).map_err(Error::io("remove", &git_dir))?,
    }
    finish::normalise(into, time)
}

/// A submodule's place below the directory that is written, and its commit.
pub(crate) struct Link {
    pub(crate) path: BString,
    pub(crate) commit: ObjectId,
}

/// Writes the files; answers with the submodules among them, which are empty directories.
fn write(
    repository: &Repository,
    commit: ObjectId,
    wanted: &Wanted<'_>,
    into: &Path,
    interrupt: &AtomicBool,
) -> Result<Vec<Link>> {
    let failed = || Error::git("write the files of the commit");
    let tree = tree_of(repository, commit, wanted.directory)?;
    let mut index = repository.index_from_tree(&tree).map_err(failed())?;
    let mut options = repository.checkout_options(Source::IdMapping).map_err(failed())?;
    options.destination_is_initially_empty = true;
    let objects = repository.objects.clone().into_arc();
    let objects = objects.map_err(Error::git("open the objects of the commit"))?;
    let state = gix::worktree::state::checkout;
    let outcome = state(&mut index, into, objects, &Discard, &Discard, interrupt, options)
        .map_err(failed())?;
    if interrupt.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    let collisions = outcome.collisions.iter().map(|collision| collision.path.to_string());
    let paths: Vec<String> = collisions.take(3).collect();
    if !paths.is_empty() {
        return Err(Error::Unwritable { paths: paths.join(", ") });
    }
    // What is said of the files here is not what will be true of copies of them.
    for entry in index.entries_mut() {
        entry.stat = gix::index::entry::Stat::default();
    }
    index.write(gix::index::write::Options::default()).map_err(failed())?;
    let links =
        index.entries().iter().filter(|entry| entry.mode == gix::index::entry::Mode::COMMIT);
    Ok(links.map(|e| Link { path: e.path(&index).to_owned(), commit: e.id }).collect())
}

fn tree_of(repository: &Repository, commit: ObjectId, directory: Option<&str>) -> Result<ObjectId> {
    let failed = || Error::git("read the commit");
    let tree = repository.find_commit(commit).map_err(failed())?.tree().map_err(failed())?;
    let Some(directory) = directory else { return Ok(tree.id) };
    let entry = tree.lookup_entry_by_path(directory).map_err(failed())?;
    let found = entry.filter(|entry| entry.mode().is_tree());
    found.map(|entry| entry.object_id()).ok_or_else(|| Error::NoDirectory {
        commit: commit.to_string(),
        directory: directory.to_owned(),
    })
}

/// When the commit was made, in seconds since 1970.
fn time_of(repository: &Repository, commit: ObjectId) -> Result<i64> {
    let failed = || Error::git("read the time of the commit");
    let time = repository.find_commit(commit).map_err(failed())?.time().map_err(failed())?;
    Ok(time.seconds)
}
