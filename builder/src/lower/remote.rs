//! Sources of ADD that lie elsewhere.

use std::str::FromStr;

use oci::{Algorithm, Digest};

use crate::op::{Remote, RemoteUrl};
use crate::paths::base_name;
use crate::remote::{GitSource, percent_decoded};

/// What a file is called whose URL ends in no name.
const UNNAMED: &str = "__unnamed__";

/// What a source of ADD says beside its URL.
#[derive(Debug, Default)]
pub(crate) struct Wishes<'a> {
    /// `--checksum`.
    pub(crate) checksum: Option<&'a str>,
    /// `--keep-git-dir`.
    pub(crate) keep_git_dir: bool,
}

/// What kind of source that is no path a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file behind a URL.
    File,
    /// A git repository.
    Git,
}

impl Kind {
    /// The kind of `source`; none for a path.
    pub(crate) fn of(source: &str) -> Option<Kind> {
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| source.starts_with(prefix));
        if starts(&["http://", "https://"]) {
            let path = source.split(['#', '?']).next().unwrap_or(source);
            return Some(if path.ends_with(".git") { Kind::Git } else { Kind::File });
        }
        (starts(&["git://", "ssh://"]) || is_scp_like(source)).then_some(Kind::Git)
    }

    /// What messages call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::File => "a URL",
            Kind::Git => "a git repository",
        }
    }
}

/// Whether it is `user@host:path`, as git takes it for ssh.
fn is_scp_like(source: &str) -> bool {
    let source = source.split('#').next().unwrap_or(source);
    let Some((user, rest)) = source.split_once('@') else { return false };
    let Some((host, path)) = rest.split_once(':') else { return false };
    let named = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    named(user, "-_") && named(host, "-.") && !path.is_empty()
}

/// What there is to fetch for `source`, which is of the kind given.
///
/// # Errors
/// What is wrong with it, as a message.
pub(crate) fn parse(source: &str, kind: Kind, wishes: &Wishes<'_>) -> Result<Remote, String> {
    match kind {
        Kind::File => file(source, wishes.checksum).map(Remote::File),
        Kind::Git => {
            let mut git = git(source)?;
            git.keep_git_dir |= wishes.keep_git_dir;
            if let Some(checksum) = wishes.checksum {
                let wanted = commit(checksum)?;
                if git.commit.as_ref().is_some_and(|commit| *commit != wanted) {
                    return Err("`--checksum` and the URL want different commits".to_owned());
                }
                git.commit = Some(wanted);
            }
            Ok(Remote::Git(git))
        }
    }
}

fn file(source: &str, checksum: Option<&str>) -> Result<RemoteUrl, String> {
    let path = source.split(['#', '?']).next().unwrap_or(source);
    // What follows `http://host`, if anything.
    let path = path.splitn(4, '/').nth(3).unwrap_or_default();
    let name = match percent_decoded(base_name(path)) {
        name if matches!(name.as_str(), "" | "." | "..") || name.contains(['/', '\0']) => {
            UNNAMED.to_owned()
        }
        name => name,
    };
    let checksum = checksum.map(|text| {
        let digest = Digest::from_str(text).map_err(|error| format!("`--checksum`: {error}"))?;
        match digest.algorithm() {
            Algorithm::Sha256 => Ok(digest),
            other => Err(format!("`--checksum` of a URL takes sha256, not {}", other.as_str())),
        }
    });
    Ok(RemoteUrl { url: source.to_owned(), name, checksum: checksum.transpose()? })
}

/// Reads `url`, `url#ref:directory` and `url?ref=…&subdir=…`.
fn git(source: &str) -> Result<GitSource, String> {
    let (source, fragment) = match source.split_once('#') {
        Some((source, fragment)) => (source, Some(fragment)),
        None => (source, None),
    };
    let (url, query) = match source.split_once('?') {
        Some((url, query)) if !is_scp_like(source) => (url, Some(query)),
        _ => (source, None),
    };
    let mut git = GitSource { url: url.to_owned(), submodules: true, ..GitSource::default() };
    if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
        let (reference, directory) = fragment.split_once(':').unwrap_or((fragment, ""));
        git.reference = (!reference.is_empty()).then(|| reference.to_owned());
        git.directory = directory_of(directory)?;
    }
    for pair in query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty())
    {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decoded(value);
        let reference = match key {
            "ref" => Some(value.clone()),
            "branch" => Some(format!("refs/heads/{}", value.trim_start_matches("refs/heads/"))),
            "tag" => Some(format!("refs/tags/{}", value.trim_start_matches("refs/tags/"))),
            _ => None,
        };
        match key {
            "ref" | "branch" | "tag" => {
                if git.reference.is_some() && git.reference != reference {
                    return Err(format!("the URL names more than one reference: `{key}={value}`"));
                }
                git.reference = reference;
            }
            "subdir" => {
                let directory = directory_of(&value)?;
                if git.directory.is_some() && git.directory != directory {
                    return Err(format!("the URL names more than one directory: `{key}={value}`"));
                }
                git.directory = directory;
            }
            "checksum" | "commit" => git.commit = Some(commit(&value)?),
            "keep-git-dir" => git.keep_git_dir = boolean(key, &value)?,
            "submodules" => git.submodules = boolean(key, &value)?,
            // Files always have the time of their commit, and a commit is fetched by its name
            // where the server allows it.
            "mtime" if matches!(value.as_str(), "commit" | "checkout") => {}
            "fetch-by-commit" => drop(boolean(key, &value)?),
            _ => return Err(format!("unexpected query `{pair}` in the URL of a git repository")),
        }
    }
    Ok(git)
}

fn directory_of(text: &str) -> Result<Option<String>, String> {
    if text.split('/').any(|part| part == "..") {
        return Err(format!("the directory `{text}` leaves the repository"));
    }
    let clean = crate::paths::clean_absolute(text);
    let clean = clean.trim_start_matches('/');
    Ok((!clean.is_empty()).then(|| clean.to_owned()))
}

fn boolean(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "" | "1" | "t" | "true" => Ok(true),
        "0" | "f" | "false" => Ok(false),
        _ => Err(format!("`{key}` takes true or false, not `{value}`")),
    }
}

/// The name of a commit, or how it begins.
fn commit(text: &str) -> Result<String, String> {
    let is_commit = (7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_commit {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!("`{text}` is no commit: 7 to 64 hexadecimal digits are wanted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_repositories_are_told_from_paths() {
        for (source, kind) in [
            ("a/b", None),
            ("http:/a", None),
            ("git@", None),
            ("a@b", None),
            ("a b@c:d", None),
            ("http://h/", Some(Kind::File)),
            ("https://h/a.git", Some(Kind::Git)),
            ("https://h/a.git#main:sub", Some(Kind::Git)),
            ("https://h/a.git?branch=main", Some(Kind::Git)),
            ("https://h/a.gitx", Some(Kind::File)),
            ("git://h/a", Some(Kind::Git)),
            ("ssh://git@h/a", Some(Kind::Git)),
            ("git@h:a/b", Some(Kind::Git)),
            ("user@h:a/b.git#v1", Some(Kind::Git)),
        ] {
            assert_eq!(Kind::of(source), kind, "{source}");
        }
    }

    #[test]
    fn a_file_has_the_last_part_of_its_url_as_its_name() {
        for (url, name) in [
            ("http://h", UNNAMED),
            ("http://h/", UNNAMED),
            ("http://h/a", "a"),
            ("http://h/a/b.tar.gz?x=/y", "b.tar.gz"),
            ("http://h/a/#f", "a"),
            ("http://h/a%20b", "a b"),
            ("http://h/a%2fb", UNNAMED),
            ("http://h/a%zz", "a%zz"),
            ("http://h/..", UNNAMED),
        ] {
            assert_eq!(file(url, None).unwrap().name, name, "{url}");
        }
    }

    #[test]
    fn a_repository_has_a_reference_and_a_directory_in_either_form() {
        let wanted = |reference: Option<&str>, directory: Option<&str>| GitSource {
            url: "https://h/a.git".into(),
            reference: reference.map(str::to_owned),
            directory: directory.map(str::to_owned),
            submodules: true,
            ..GitSource::default()
        };
        for (text, source) in [
            ("", wanted(None, None)),
            ("#", wanted(None, None)),
            ("#main", wanted(Some("main"), None)),
            ("#:sub/", wanted(None, Some("sub"))),
            ("#main:/a/b", wanted(Some("main"), Some("a/b"))),
            ("?ref=main&subdir=a", wanted(Some("main"), Some("a"))),
            ("?branch=main", wanted(Some("refs/heads/main"), None)),
            ("?tag=v1#:d", wanted(Some("refs/tags/v1"), Some("d"))),
            ("?mtime=commit", wanted(None, None)),
            ("?submodules=false", GitSource { submodules: false, ..wanted(None, None) }),
            ("?keep-git-dir", GitSource { keep_git_dir: true, ..wanted(None, None) }),
            (
                "?checksum=ABCDEF0",
                GitSource { commit: Some("abcdef0".into()), ..wanted(None, None) },
            ),
        ] {
            assert_eq!(git(&format!("https://h/a.git{text}")), Ok(source), "{text}");
        }
        let pinned = |checksum| {
            let wishes = Wishes { checksum: Some(checksum), keep_git_dir: false };
            parse("https://h/a.git?commit=ABCDEF0", Kind::Git, &wishes)
        };
        assert!(pinned("AbcDef0").is_ok() && pinned("abcdef1").is_err());
        for wrong in ["#:../a", "?x=y", "?ref=a#b", "?checksum=xyz", "?submodules=maybe"] {
            assert!(git(&format!("https://h/a.git{wrong}")).is_err(), "{wrong}");
        }
    }
}
