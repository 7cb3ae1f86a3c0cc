//! Named contexts: what stands in for stages and images of their names.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use indexmap::IndexMap;
use oci::{Platform, Reference};

use crate::lower::remote::{Kind, Wishes, parse};
use crate::op::Remote;
use crate::remote::{GitSource, redacted};

/// Names that no context takes: they mean something of their own.
const RESERVED: [&str; 2] = ["scratch", "context"];

/// What a name means in place of the stage or image of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// Files of the machine.
    Directory(ContextDirectory),
    /// An image, by the name that [`BaseImages`](crate::BaseImages) knows it by.
    Image(String),
    /// Something that is fetched when a step needs it.
    Remote(RemoteContext),
}

/// A directory whose files steps read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextDirectory {
    /// Where it is.
    pub path: PathBuf,
    /// Whose files they are.
    pub origin: Origin,
}

/// Where the files of a directory come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Somebody works on them, on this machine: owners and extended attributes mean nothing.
    Local {
        /// The text of the ignore file; empty if there is none.
        ignore: String,
    },
    /// They were fetched for this build: owners count, and no ignore file does.
    Fetched,
}

impl ContextDirectory {
    /// A directory of the machine with the text of its ignore file.
    pub fn local(path: impl Into<PathBuf>, ignore: impl Into<String>) -> ContextDirectory {
        ContextDirectory { path: path.into(), origin: Origin::Local { ignore: ignore.into() } }
    }

    pub(crate) fn ignore(&self) -> &str {
        match &self.origin {
            Origin::Local { ignore } => ignore,
            Origin::Fetched => "",
        }
    }
}

/// A git repository, or a file behind a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteContext(pub(crate) Remote);

impl FromStr for RemoteContext {
    type Err = String;

    /// Reads a URL as `ADD` does.
    fn from_str(text: &str) -> Result<RemoteContext, String> {
        let kind = Kind::of(text).ok_or_else(|| "it is no URL".to_owned())?;
        parse(text, kind, &Wishes::default()).map(RemoteContext)
    }
}

impl RemoteContext {
    /// The repository, if it is one.
    pub fn git(&self) -> Option<&GitSource> {
        match &self.0 {
            Remote::Git(source) => Some(source),
            Remote::File(_) => None,
        }
    }

    /// The URL that it is fetched from.
    pub fn url(&self) -> &str {
        match &self.0 {
            Remote::Git(source) => &source.url,
            Remote::File(file) => &file.url,
        }
    }
}

/// Its URL, without what is nobody's business.
impl fmt::Display for RemoteContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(self.url()))
    }
}

/// The named contexts of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedContexts(IndexMap<String, NamedContext>);

impl NamedContexts {
    /// Adds a context. A later one of the same name counts. `NAME::PLATFORM` is for that platform
    /// alone.
    ///
    /// # Errors
    /// Why the name is none, as a message.
    pub fn insert(&mut self, name: &str, context: NamedContext) -> Result<(), String> {
        let (plain, platform) = match name.split_once("::") {
            Some((plain, platform)) => (plain, Some(platform)),
            None => (name, None),
        };
        if RESERVED.contains(&plain) {
            return Err(format!("`{plain}` cannot be the name of a context"));
        }
        let mut key = normalized(plain).ok_or_else(|| format!("`{plain}` is no name"))?;
        if let Some(platform) = platform {
            let platform = platform.parse::<Platform>().map_err(|error| error.to_string())?;
            key = format!("{key}::{}", platform.normalized());
        }
        self.0.insert(key, context);
        Ok(())
    }

    /// The context that `name` means for `platform`, with its number.
    pub(crate) fn get(&self, name: &str, platform: &Platform) -> Option<(usize, &NamedContext)> {
        if self.0.is_empty() || RESERVED.contains(&name) {
            return None;
        }
        let name = normalized(name)?;
        let of_platform = self.0.get_full(&format!("{name}::{}", platform.normalized()));
        let (index, _, context) = of_platform.or_else(|| self.0.get_full(&name))?;
        Some((index, context))
    }

    /// The context of a number that [`NamedContexts::get`] gave.
    pub(crate) fn at(&self, index: usize) -> (&str, &NamedContext) {
        let (name, context) = &self.0.get_index(index).expect("numbers come from `get`");
        (name, context)
    }

    /// The directories, with their numbers.
    pub(crate) fn directories(&self) -> impl Iterator<Item = (usize, &ContextDirectory)> {
        self.0.values().enumerate().filter_map(|(index, context)| match context {
            NamedContext::Directory(directory) => Some((index, directory)),
            _ => None,
        })
    }
}

/// A name as images have it, in its short form and without `latest`; names of stages are such
/// names, too, in whichever case.
fn normalized(name: &str) -> Option<String> {
    let reference: Reference = name.parse().or_else(|_| name.to_lowercase().parse()).ok()?;
    let name = reference.familiar();
    Some(name.strip_suffix(":latest").map_or(name.clone(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_found_by_every_spelling_of_its_name() {
        let mut contexts = NamedContexts::default();
        let image = |name: &str| NamedContext::Image(name.to_owned());
        contexts.insert("alpine", image("any")).unwrap();
        contexts.insert("alpine::linux/arm64", image("arm")).unwrap();
        contexts.insert("h.example/a:latest", image("named")).unwrap();
        let amd64 = "linux/amd64".parse().unwrap();
        let arm64 = "linux/arm64".parse().unwrap();
        for (name, platform, found) in [
            ("alpine", &amd64, Some("any")),
            ("Alpine", &amd64, Some("any")),
            ("alpine:latest", &amd64, Some("any")),
            ("docker.io/library/alpine", &amd64, Some("any")),
            ("alpine", &arm64, Some("arm")),
            ("alpine:3", &amd64, None),
            ("h.example/a", &arm64, Some("named")),
            ("scratch", &amd64, None),
        ] {
            let got = contexts.get(name, platform).map(|(_, context)| context.clone());
            assert_eq!(got, found.map(image), "{name} {platform}");
        }
        for wrong in ["scratch", "context", "a b", "alpine::"] {
            assert!(contexts.insert(wrong, image("x")).is_err(), "{wrong}");
        }
    }
}
