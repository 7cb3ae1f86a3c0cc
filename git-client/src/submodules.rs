//! Submodules: repositories at places of another one.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use gix::bstr::ByteSlice;
use gix::config::File;
use gix::config::file::SectionRef;
use gix::{ObjectId, Repository};

use crate::checkout::{Link, Wanted, checkout_at};
use crate::error::{Error, Result};
use crate::web::Web;

/// How deep submodules may be nested: one that holds itself has no end.
pub(crate) const MAX_DEPTH: usize = 16;

/// Where the commit says what its submodules are.
const MODULES: &str = ".gitmodules";

/// Fetches the submodules at `links`, which are below `into`.
#[expect(clippy::too_many_arguments, reason = "it carries on what a checkout was given")]
pub(crate) fn checkout(
    web: &dyn Web,
    repository: &Repository,
    commit: ObjectId,
    wanted: &Wanted<'_>,
    links: &[Link],
    into: &Path,
    interrupt: &AtomicBool,
    depth: usize,
) -> Result<()> {
    if links.is_empty() {
        return Ok(());
    }
    let modules = modules(repository, commit)?;
    let below = wanted.directory.map(|directory| format!("{directory}/")).unwrap_or_default();
    for link in links {
        let path = format!("{below}{}", link.path);
        let invalid = |reason| Error::InvalidSubmodule { path: path.clone(), reason };
        // As git does, what `.gitmodules` does not name stays an empty directory.
        let Some(module) = modules.iter().find(|module| module.path == path) else { continue };
        let url = absolute(wanted.url, &module.url)
            .ok_or_else(|| invalid("its URL leads out of the server"))?;
        let depth = depth.checked_sub(1).ok_or_else(|| invalid("it is nested too deeply"))?;
        let commit = link.commit.to_string();
        let wanted = Wanted { url: &url, commit: &commit, submodules: true, ..Wanted::default() };
        let place = into.join(Path::new(OsStr::from_bytes(&link.path)));
        fs::create_dir_all(&place).map_err(Error::io("create", &place))?;
        checkout_at(web, &wanted, &place, interrupt, depth)
            .map_err(|source| Error::Submodule { path, source: Box::new(source) })?;
    }
    Ok(())
}

/// A submodule as `.gitmodules` has it.
struct Module {
    path: String,
    url: String,
}

fn modules(repository: &Repository, commit: ObjectId) -> Result<Vec<Module>> {
    let failed = || Error::git("read what submodules there are");
    let tree = repository.find_commit(commit).map_err(failed())?.tree().map_err(failed())?;
    let Some(entry) = tree.lookup_entry_by_path(MODULES).map_err(failed())? else {
        return Ok(Vec::new());
    };
    let object = entry.object().map_err(failed())?;
    let text = object.data.to_str().map_err(Error::git("read `.gitmodules`"))?;
    let file: File = text.parse().map_err(Error::git("read `.gitmodules`"))?;
    let sections = file.sections_by_name("submodule").into_iter().flatten();
    let module = |section: &SectionRef<'_>| {
        let value = |name: &str| Some(section.value(name)?.to_string());
        Some(Module { path: value("path")?, url: value("url")? })
    };
    Ok(sections.filter_map(|section| module(&section)).collect())
}

/// A submodule's URL, seen from the URL of its repository if it begins with `./` or `../`.
fn absolute(parent: &str, url: &str) -> Option<String> {
    if !url.starts_with("./") && !url.starts_with("../") {
        return Some(url.to_owned());
    }
    let (scheme, mut base) = parent.trim_end_matches('/').split_once("://")?;
    let mut rest = url;
    loop {
        if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("../") {
            base = base.rsplit_once('/')?.0;
            rest = after;
        } else {
            return Some(format!("{scheme}://{base}/{rest}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::absolute;

    #[test]
    fn a_relative_url_is_seen_from_the_repository() {
        for (url, seen) in [
            ("https://x/y", Some("https://x/y")),
            ("../b.git", Some("https://h/g/b.git")),
            ("./b.git", Some("https://h/g/a.git/b.git")),
            ("../../o/b", Some("https://h/o/b")),
            ("../../../../b", None),
        ] {
            assert_eq!(absolute("https://h/g/a.git/", url).as_deref(), seen, "{url}");
        }
    }
}
