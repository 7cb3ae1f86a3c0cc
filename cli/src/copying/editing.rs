//! Images changed on their way from a place to the same or another one, as crane does it.

use std::path::PathBuf;

use layerfs::Lease;
use oci::Platform;
use oci::transfer::{CopyOptions, Edit, Origin, Platforms};

use super::{Location, carry, destination, origin};
use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::error::{Doing, Failure, Outcome};
use crate::ui::say;

// Where a changed image goes, and which images of an index are meant.
#[derive(clap::Args)]
pub(crate) struct Target {
    /// Where the new image goes, written as the image is. In a registry without this: into the
    /// image's repository, by digest
    #[arg(short, long, value_name = "PLACE")]
    tag: Option<String>,
    /// Write the new image to this file, a docker archive, in place of a registry
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Which image of an index
    #[arg(long, conflicts_with = "all")]
    platform: Option<Platform>,
    /// All images of an index, and the index with them
    #[arg(short = 'A', long)]
    all: bool,
    /// Say nothing of the way
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

impl Target {
    /// Whether `source`, another place or the target is in the store.
    pub(crate) fn has_store<'a>(&'a self, others: impl IntoIterator<Item = &'a String>) -> bool {
        let is_store =
            |text: &String| Location::of_registry(text).is_ok_and(|place| place.is_store());
        others.into_iter().chain(&self.tag).any(is_store)
    }

    /// Which image of an index is meant, where it is one.
    pub(crate) fn one_platform(&self) -> Platform {
        self.platform.clone().unwrap_or_else(Platform::host)
    }

    fn platforms(&self, all: bool) -> Platforms {
        if self.all || (all && self.platform.is_none()) {
            return Platforms::All;
        }
        Platforms::Best(self.one_platform())
    }

    fn location(&self, source: Option<&Location>) -> Result<Location, Failure> {
        if let Some(path) = &self.output {
            return Ok(Location::DockerArchive(path.clone(), self.tag.clone()));
        }
        match (&self.tag, source) {
            (Some(tag), _) => Location::of_registry(tag),
            (None, Some(Location::Registry(name))) => Ok(Location::Untagged(name.clone())),
            (None, _) => Err(Failure::new("the new image has no place")
                .hint("say where it goes with `--tag`, or name a file with `--output`")),
        }
    }
}

/// What is changed, and how.
pub(crate) struct Editing<'a> {
    pub(crate) origin: Box<dyn Origin>,
    /// Where the image is, unless it is made from nothing.
    pub(crate) source: Option<&'a Location>,
    pub(crate) edits: Vec<Box<dyn Edit>>,
    /// Whether an index as a whole is meant when nothing is said.
    pub(crate) all: bool,
}

/// The place that an image is changed at, and what it has.
pub(crate) fn open(
    app: &App,
    lease: &Lease,
    text: &str,
    target: &Target,
) -> Result<(Location, Box<dyn Origin>), Failure> {
    let place = Location::of_registry(text)?;
    let origin = origin(app, lease, &place, &target.connection)?;
    Ok((place, origin))
}

/// Changes, and prints the new image: by name and digest in a registry, else its digest.
pub(crate) fn edit(app: &App, lease: &Lease, editing: Editing<'_>, target: &Target) -> Outcome {
    let place = target.location(editing.source)?;
    let (platforms, edits) = (target.platforms(editing.all), editing.edits);
    let options = CopyOptions { platforms, edits, ..CopyOptions::default() };
    let end = destination(app, lease, &place, &target.connection)?;
    let copied = carry(app, &*editing.origin, end, &options, target.quiet)
        .doing(|| "cannot make the new image".to_owned())?;
    let digest = copied.root.digest;
    match place {
        Location::Registry(name) | Location::Untagged(name) => {
            say!("{}", name.with_digest(digest).familiar());
        }
        _ => say!("{digest}"),
    }
    Ok(0)
}

/// Reads `NAME=VALUE`. Several in one, with commas between, are taken apart, as crane does it.
pub(crate) fn pairs(texts: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let mut all = Vec::new();
    for text in texts {
        let parts: Vec<&str> = text.split(',').collect();
        let several = parts.iter().all(|part| part.contains('='));
        for part in if several { parts } else { vec![text.as_str()] } {
            let (name, value) = part
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or(Failure::new(format!("invalid `{part}`: write it as NAME=VALUE")))?;
            all.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_divides_pairs_and_nothing_else() {
        let read = |text: &str| pairs(&[text.to_owned()]).map_err(|failure| failure.message);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read("a=1,b=2"), Ok(vec![pair("a", "1"), pair("b", "2")]));
        assert_eq!(read("a=1,2"), Ok(vec![pair("a", "1,2")]));
        assert_eq!(read("a="), Ok(vec![pair("a", "")]));
        assert!(read("a").is_err() && read("=a").is_err());
    }
}
