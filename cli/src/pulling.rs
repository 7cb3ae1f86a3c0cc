//! Images that a command needs: those that are here, else those that registries have.

use std::sync::Arc;

use builder::{BaseImage, BaseImages};
use clap::ValueEnum;
use layerfs::{ImageRecord, Lease, NewImage, Store};
use oci::{DiffId, Image, ImageConfig, ImageSource, Platform, Raw, Reference};
use registry_client::blocking::Source;
use registry_client::{Client, RateLimit};
use tokio::runtime::Handle;

use crate::app::App;
use crate::blobs::Anywhere;
use crate::clients::{self, ConnectionArgs};
use crate::containers::events::note_image;
use crate::error::{Doing, Failure};
use crate::ui::transfer::{Shown, Transfer};

/// When a registry is asked for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PullPolicy {
    /// Always
    Always,
    /// If the image is not here
    Missing,
    /// Never
    Never,
}

/// The image that `text` means: a name or id of the store, else what a registry has.
pub(crate) fn image(
    app: &App,
    lease: &Lease,
    text: &str,
    platform: Option<&Platform>,
    policy: PullPolicy,
    quiet: bool,
) -> Result<ImageRecord, Failure> {
    let store = app.store()?;
    if policy != PullPolicy::Always {
        match store.resolve(text) {
            Ok(image) if serves(&*store.config(&image.id)?, platform) => return Ok(image),
            Ok(_) | Err(layerfs::Error::ImageNotFound { .. }) if policy == PullPolicy::Missing => {}
            Ok(_) => return Err(Failure::new(format!("{text} is here for another platform"))),
            Err(error) => return Err(error.into()),
        }
    }
    let name: Reference = text.parse()?;
    if !quiet {
        let name = name.clone().with_default_tag();
        anstream::eprintln!("{} is not here, pulling it", name.familiar());
    }
    let connection = ConnectionArgs::default();
    let host = Platform::host();
    pull(app, lease, &name, platform.unwrap_or(&host), &connection, app.transfers(quiet))
}

fn serves(config: &ImageConfig, wanted: Option<&Platform>) -> bool {
    wanted.is_none_or(|wanted| config.platform().serves(wanted).is_some())
}

/// Takes an image out of its registry into the store, unpacked.
pub(crate) fn pull(
    app: &App,
    lease: &Lease,
    name: &Reference,
    platform: &Platform,
    connection: &ConnectionArgs,
    shown: Shown,
) -> Result<ImageRecord, Failure> {
    let store = app.store()?;
    let client = clients::client(app, connection, name.registry());
    let source = source(store, client.clone(), app.network()?.handle().clone());
    let cannot = || format!("cannot pull {}", name.familiar());
    let found = source.image(name, platform).doing(cannot);
    let low = client.rate_limit(name.registry()).filter(|limit| is_low(*limit));
    let low = low.map(|limit| left_of(name.registry(), limit));
    let image = match (found, &low) {
        (Ok(image), Some(low)) if shown != Shown::Nothing => {
            anstream::eprintln!("note: {low}");
            image
        }
        (Err(failure), Some(low)) if failure.hint.is_none() => return Err(failure.hint(low)),
        (found, _) => found?,
    };
    let transfer = Transfer::new(shown);
    let mut there = Vec::new();
    for (diff_id, blob) in image.config.rootfs.diff_ids.iter().zip(&image.manifest.layers) {
        if store.layer(diff_id)?.is_some() {
            there.push(&blob.digest);
            transfer.ended(blob, "already here");
        }
    }
    store
        .unpack_image(lease, &image, &source, &|blob, bytes| transfer.moved(blob, bytes))
        .doing(cannot)?;
    for blob in &image.manifest.layers {
        if !there.contains(&&blob.digest) {
            transfer.ended(blob, "pulled");
        }
    }
    note_sources(store, name, &image)?;
    let target = image.index.as_ref().unwrap_or(image.manifest.digest());
    let mut names = vec![name.with_digest(target.clone())];
    if name.digest().is_none() {
        names.push(name.clone().with_default_tag());
    }
    let record = store.put_image(lease, &NewImage::whole(&image, &names))?;
    note_image(store, "pull", &name.clone().with_default_tag().familiar(), &name.to_string());
    Ok(record)
}

/// Whether so little is left of a limit that people should know.
fn is_low(limit: RateLimit) -> bool {
    limit.remaining.saturating_mul(5) <= limit.limit
}

fn left_of(registry: &str, limit: RateLimit) -> String {
    let RateLimit { limit, remaining, window } = limit;
    let of = match window {
        Some(window) => format!("{limit} in {} hours", window.as_secs().div_ceil(3600)),
        None => limit.to_string(),
    };
    format!("{registry} has {remaining} pulls left for you, of {of}")
}

/// Images of registries; manifests and configs that are in the store are not fetched again.
fn source(store: &Store, client: Client, handle: Handle) -> Source {
    let store = store.clone();
    // What cannot be looked up is fetched.
    Source::new(client, handle).knowing(move |digest| store.document(digest).ok().flatten())
}

/// Notes where the layers can be had, for later pushes to mount them or take them from.
fn note_sources(store: &Store, name: &Reference, image: &Image) -> layerfs::Result<()> {
    let digests = image.manifest.layers.iter().map(|layer| &layer.digest);
    store.note_blob_sources(digests, name.registry(), name.repository())
}

/// The layers of an image, fetched and unpacked where they were not.
pub(crate) fn unpacked_layers(
    app: &App,
    lease: &Lease,
    image: &ImageRecord,
) -> Result<Vec<DiffId>, Failure> {
    let store = app.store()?;
    let layers: Vec<DiffId> =
        store.image_layers(&image.id)?.into_iter().map(|(diff_id, _)| diff_id).collect();
    if store.pin_layers(lease, &layers)?.is_none() {
        let image = store.manifest(lease, image, None)?;
        let blobs = anywhere(app, &ConnectionArgs::default(), oci::DEFAULT_REGISTRY)?;
        let transfer = Transfer::new(app.transfers(false));
        store.unpack_image(lease, &image, &blobs, &|blob, bytes| transfer.moved(blob, bytes))?;
    }
    Ok(layers)
}

/// Blobs of the store, and of the registries that they came from.
pub(crate) fn anywhere(
    app: &App,
    connection: &ConnectionArgs,
    registry: &str,
) -> Result<Anywhere, Failure> {
    let store = app.store()?.clone();
    Ok(Anywhere {
        store,
        client: clients::client(app, connection, registry),
        handle: app.network()?.handle().clone(),
    })
}

/// The base images of a build: those of the store first, and of registries otherwise.
pub(crate) struct Bases {
    blobs: Anywhere,
    /// Whether registries may be asked.
    may_pull: bool,
}

impl Bases {
    /// Bases through the given connection, unless they are never pulled.
    pub(crate) fn new(
        app: &App,
        connection: &ConnectionArgs,
        pull: PullPolicy,
    ) -> Result<Bases, Failure> {
        let blobs = anywhere(app, connection, oci::DEFAULT_REGISTRY)?;
        Ok(Bases { blobs, may_pull: pull != PullPolicy::Never })
    }

    fn local(&self, name: &str, platform: &Platform) -> oci::Result<Option<BaseImage>> {
        let store = &self.blobs.store;
        let remote = |error: layerfs::Error| oci::Error::Remote {
            operation: "look up",
            object: format!("image {name}"),
            source: Box::new(error),
        };
        let record = match store.resolve(name) {
            Ok(record) => record,
            Err(layerfs::Error::ImageNotFound { .. }) => return Ok(None),
            Err(error) => return Err(remote(error)),
        };
        let config: Raw<ImageConfig> = store.config(&record.id).map_err(remote)?;
        if !serves(&config, Some(platform)) {
            return Ok(None);
        }
        let layers = store.image_layers(&record.id).map_err(remote)?;
        Ok(Some(BaseImage {
            name: name.to_owned(),
            digest: record.target,
            config,
            layers: layers.into_iter().map(|(_, blob)| blob).collect(),
            blobs: Arc::new(self.blobs.clone()),
        }))
    }

    fn remote(&self, name: &str, platform: &Platform) -> oci::Result<BaseImage> {
        let reference: Reference = name.parse()?;
        let blobs = &self.blobs;
        let source = source(&blobs.store, blobs.client.clone(), blobs.handle.clone());
        let image = source.image(&reference, platform)?;
        note_sources(&self.blobs.store, &reference, &image).map_err(|error| {
            oci::Error::Remote {
                operation: "note the source of",
                object: reference.familiar(),
                source: Box::new(error),
            }
        })?;
        let target = image.index.as_ref().unwrap_or(image.manifest.digest());
        Ok(BaseImage {
            name: match reference.digest() {
                Some(_) => reference.to_string(),
                None => format!("{}@{target}", reference.clone().with_default_tag()),
            },
            digest: Some(target.clone()),
            layers: image.manifest.layers.iter().cloned().map(Some).collect(),
            config: image.config,
            blobs: Arc::new(source),
        })
    }
}

impl BaseImages for Bases {
    fn resolve(&self, name: &str, platform: &Platform, pull: bool) -> oci::Result<BaseImage> {
        if !pull && let Some(found) = self.local(name, platform)? {
            return Ok(found);
        }
        if !self.may_pull {
            return Err(oci::Error::ImageNotFound { name: format!("{name} (never pulled)") });
        }
        self.remote(name, platform)
    }
}
