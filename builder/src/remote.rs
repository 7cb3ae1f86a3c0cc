//! What ADD fetches: files behind URLs and git repositories.

use std::io::Read;
use std::path::Path;

use crate::cancel::Cancel;

/// Fetches what ADD names by URL. Who implements it decides about connections, proxies and
/// credentials; the builder knows when something is fetched and what becomes of it.
pub trait Remotes: Sync {
    /// Asks for the file behind an `http` or `https` URL. The body is read, if at all, after the
    /// answer: one that is known by its validators is dropped unread.
    ///
    /// # Errors
    /// If the server cannot be reached, or answers with anything but the file.
    fn file(&self, url: &str) -> oci::Result<RemoteFile>;

    /// The commit that a repository's reference means now, as 40 or 64 hexadecimal digits.
    ///
    /// # Errors
    /// If the repository cannot be reached or has no such reference.
    fn commit(&self, source: &GitSource) -> oci::Result<String>;

    /// Writes the files of a commit into the empty directory `into`, with modes 0644 and 0755 and
    /// the time of the commit.
    ///
    /// # Errors
    /// If the repository cannot be reached or lacks the commit or the directory asked for.
    fn checkout(
        &self,
        source: &GitSource,
        commit: &str,
        into: &Path,
        cancel: &Cancel,
    ) -> oci::Result<()>;
}

/// The answer to a request for a file.
pub struct RemoteFile {
    /// What the server says to know this content by: `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`, in seconds since 1970.
    pub last_modified: Option<i64>,
    /// How many bytes will come, if it is known.
    pub size: Option<u64>,
    /// The bytes.
    pub body: Box<dyn Read + Send>,
}

impl std::fmt::Debug for RemoteFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteFile")
            .field("etag", &self.etag)
            .field("last_modified", &self.last_modified)
            .finish_non_exhaustive()
    }
}

/// A part of a git repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct GitSource {
    /// Where the repository is: an `http`, `https`, `git` or `ssh` URL, or `user@host:path`.
    pub url: String,
    /// The branch, tag, other reference or commit; the repository's own choice if none.
    pub reference: Option<String>,
    /// The directory whose files are wanted; all if none.
    pub directory: Option<String>,
    /// The commit that it must be, or how its name begins.
    pub commit: Option<String>,
    /// Whether `.git` is among the files.
    pub keep_git_dir: bool,
    /// Whether submodules are fetched as well.
    pub submodules: bool,
}

impl GitSource {
    /// Holds a commit against the one that it must be.
    ///
    /// # Errors
    /// That it is another one, as a message.
    pub fn check(&self, commit: &str) -> Result<(), String> {
        match &self.commit {
            Some(wanted) if !commit.starts_with(wanted.as_str()) => {
                Err(format!("it is at commit {commit}, and {wanted} was asked for"))
            }
            _ => Ok(()),
        }
    }
}

/// A URL without the name and password in it, for people to read.
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{scheme}://xxxxx@{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

/// The text of a part of a URL; what does not decode stays as it is.
pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%').then(|| after.get(..2)).flatten();
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Fetches nothing: for builds that may not.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRemotes;

impl NoRemotes {
    fn refuse<T>(object: &str) -> oci::Result<T> {
        Err(oci::Error::Remote {
            operation: "fetch",
            object: object.to_owned(),
            source: "this build has no network".into(),
        })
    }
}

impl Remotes for NoRemotes {
    fn file(&self, url: &str) -> oci::Result<RemoteFile> {
        NoRemotes::refuse(url)
    }

    fn commit(&self, source: &GitSource) -> oci::Result<String> {
        NoRemotes::refuse(&source.url)
    }

    fn checkout(&self, source: &GitSource, _: &str, _: &Path, _: &Cancel) -> oci::Result<()> {
        NoRemotes::refuse(&source.url)
    }
}
