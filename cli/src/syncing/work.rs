//! Finding out what is to be copied, and copying what is not there.

use std::collections::HashMap;

use oci::transfer::{Copier, CopyOptions, Platforms};
use oci::{Digest, Reference};
use registry_client::Client;
use registry_client::blocking::{RepositoryDestination, RepositoryOrigin};
use tokio::runtime::Handle;

use super::{Entry, Kind};
use crate::error::{Doing, Failure};

/// One image to be brought somewhere.
pub(crate) struct Synced<'a> {
    pub(crate) from: Reference,
    pub(crate) to: Reference,
    entry: &'a Entry,
}

/// How that ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was there.
    Unchanged,
    /// It was copied, or would be.
    Copied,
}

/// Whoever copies: the clients of all registries that are named.
pub(crate) struct Worker {
    pub(crate) source: HashMap<String, Client>,
    pub(crate) target: HashMap<String, Client>,
    pub(crate) handle: Handle,
}

impl Worker {
    /// Copies an image unless it is there; only tells what would be done if it is to be `dry`.
    pub(crate) fn sync(&self, image: &Synced<'_>, dry: bool) -> Result<Ended, Failure> {
        let (source, target) = (client(&self.source, &image.from), client(&self.target, &image.to));
        let entry = image.entry;
        let failed = || format!("cannot sync {} to {}", image.from.familiar(), image.to.familiar());
        let wanted = self.handle.block_on(source.resolve(&image.from)).doing(failed)?.digest;
        // A part of an index has a digest of its own, which the copy finds out; and what refers
        // to an image changes without it.
        let is_whole = entry.platforms.is_empty() && !entry.referrers;
        if is_whole && self.there(target, &image.to).doing(failed)?.as_ref() == Some(&wanted) {
            return Ok(Ended::Unchanged);
        }
        let platforms = match &entry.platforms[..] {
            [] => Platforms::All,
            [one] => Platforms::Best(one.clone()),
            several => Platforms::Only(several.to_vec()),
        };
        let options =
            CopyOptions { platforms, referrers: entry.referrers, ..CopyOptions::default() };
        let origin = RepositoryOrigin::new(source.clone(), self.handle.clone(), image.from.clone());
        let destination =
            RepositoryDestination::new(target.clone(), self.handle.clone(), image.to.clone());
        let copier = Copier {
            origin: &origin,
            destination: &destination,
            options: &options,
            observer: &|_, _| {},
        };
        if !is_whole && copier.is_through().doing(failed)? {
            return Ok(Ended::Unchanged);
        }
        if !dry {
            copier.copy().doing(failed)?;
        }
        Ok(Ended::Copied)
    }

    /// What a name means, if anything.
    fn there(&self, client: &Client, name: &Reference) -> registry_client::Result<Option<Digest>> {
        match self.handle.block_on(client.resolve(name)) {
            Ok(found) => Ok(Some(found.digest)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn client<'a>(clients: &'a HashMap<String, Client>, name: &Reference) -> &'a Client {
    clients.get(name.registry()).expect("every registry that is named has a client")
}

/// The images of an entry. `of_registry` lists repositories, `tags` the tags of one. What cannot be
/// listed holds nothing else up.
pub(crate) fn expand<'a>(
    entry: &'a Entry,
    of_registry: &dyn Fn(&str) -> Result<Vec<String>, Failure>,
    tags: &dyn Fn(&Reference) -> Result<Vec<String>, Failure>,
) -> Vec<Result<Synced<'a>, Failure>> {
    let repository = |source: &str, target: &str| -> Result<Vec<Synced<'a>>, Failure> {
        let from: Reference = source.parse()?;
        let wanted = tags(&from)?.into_iter().filter(|tag| entry.tags.wants(tag));
        wanted
            .map(|tag| {
                let (from, to) = (format!("{source}:{tag}"), format!("{target}:{tag}"));
                Ok(Synced { from: from.parse()?, to: to.parse()?, entry })
            })
            .collect()
    };
    let (source, target) = (&entry.source, &entry.target);
    let repositories = match entry.kind {
        Kind::Image => return vec![image(entry)],
        Kind::Repository => vec![repository(source, target)],
        Kind::Registry => match of_registry(source) {
            Err(failure) => vec![Err(failure)],
            Ok(names) => names
                .iter()
                .filter(|name| entry.repositories.wants(name))
                .map(|name| repository(&format!("{source}/{name}"), &format!("{target}/{name}")))
                .collect(),
        },
    };
    let each = repositories.into_iter().flat_map(|found| match found {
        Ok(images) => images.into_iter().map(Ok).collect(),
        Err(failure) => vec![Err(failure)],
    });
    each.collect()
}

fn image(entry: &Entry) -> Result<Synced<'_>, Failure> {
    let from = entry.source.parse::<Reference>()?.with_default_tag();
    let mut to: Reference = entry.target.parse()?;
    if to.tag().is_none() && to.digest().is_none() {
        let tag = from.tag_or_default().unwrap_or("latest");
        to = format!("{}:{tag}", entry.target).parse()?;
    }
    Ok(Synced { from, to, entry })
}
