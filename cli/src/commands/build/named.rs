//! `--build-context`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use builder::{ContextDirectory, NamedContext, NamedContexts, RemoteContext};

use super::texts::read_text;
use crate::error::Failure;
use crate::layouts;

/// `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedContextArg {
    name: String,
    value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Directory(PathBuf),
    Image(String),
    Remote(RemoteContext),
}

impl NamedContextArg {
    /// The name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What it stands for, without what is nobody's business.
    pub(super) fn shown(&self) -> String {
        match &self.value {
            Value::Directory(_) => format!("local:{}", self.name),
            // A layout may be at any place.
            Value::Image(name) if layouts::is_layout(name) => format!("local:{}", self.name),
            Value::Image(name) => format!("docker-image://{name}"),
            Value::Remote(remote) => remote.to_string(),
        }
    }
}

impl FromStr for NamedContextArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pair =
            text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
        let (name, value) = pair.ok_or("it must be NAME=VALUE")?;
        let value = match value.split_once("://") {
            Some(("docker-image", image)) => Value::Image(image.to_owned()),
            // Images in layouts are known to the images of a build by this very name.
            Some(("oci-layout", _)) => Value::Image(value.to_owned()),
            Some(("target", _)) => return Err("targets are those of a bake file".to_owned()),
            _ => match value.parse() {
                Ok(remote) => Value::Remote(remote),
                Err(error) if value.contains("://") => return Err(error),
                Err(_) => Value::Directory(value.into()),
            },
        };
        Ok(NamedContextArg { name: name.to_owned(), value })
    }
}

/// The contexts that options name, ignore files read.
pub(super) fn contexts(args: &[NamedContextArg]) -> Result<NamedContexts, Failure> {
    let mut contexts = NamedContexts::default();
    for arg in args {
        let wrong =
            |message: String| Failure::new(format!("the build context {:?}: {message}", arg.name));
        let context = match &arg.value {
            Value::Directory(path) => NamedContext::Directory(directory(path).map_err(wrong)?),
            Value::Image(name) => {
                check_image(name).map_err(wrong)?;
                NamedContext::Image(name.clone())
            }
            Value::Remote(remote) => NamedContext::Remote(remote.clone()),
        };
        contexts.insert(&arg.name, context).map_err(wrong)?;
    }
    Ok(contexts)
}

fn directory(path: &Path) -> Result<ContextDirectory, String> {
    if !path.is_dir() {
        return Err(format!("{} is no directory", path.display()));
    }
    let ignore = read_text(&path.join(".dockerignore")).map_err(|failure| failure.message)?;
    Ok(ContextDirectory::local(path, ignore.unwrap_or_default()))
}

fn check_image(name: &str) -> Result<(), String> {
    if layouts::is_layout(name) {
        return Ok(());
    }
    name.parse::<oci::Reference>().map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_an_image_a_url_or_a_directory() {
        let parse = |text: &str| text.parse::<NamedContextArg>().map(|arg| arg.value);
        let image = |name: &str| Ok(Value::Image(name.into()));
        assert_eq!(parse("a=docker-image://alpine:3"), image("alpine:3"));
        assert_eq!(parse("a=oci-layout://x:y"), image("oci-layout://x:y"));
        assert_eq!(parse("a=../b"), Ok(Value::Directory("../b".into())));
        assert!(matches!(parse("a=https://h/x.git#main:d"), Ok(Value::Remote(_))));
        assert!(matches!(parse("a=http://h/x.tar"), Ok(Value::Remote(_))));
        assert!(matches!(parse("a=git@h:x"), Ok(Value::Remote(_))));
        for wrong in ["a", "=x", "a=", "a=ftp://h/x", "a=target://x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
