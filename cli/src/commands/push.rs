//! `tierce push`: an image into a registry.

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;

use layerfs::{Follower, ImageRecord, Lease, NewImage, Onlooker};
use oci::{Descriptor, DiffId, Digest, ImageSink, Reference};
use registry_client::blocking::{BlobProgress, EarlyUploads, GrowingBlob, Sink, SinkOptions};

use crate::app::App;
use crate::blobs::Anywhere;
use crate::clients::ConnectionArgs;
use crate::error::{Doing, Failure, Outcome};
use crate::pulling;
use crate::ui::say;
use crate::ui::transfer::Transfer;

/// What `tierce push` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print the digest alone
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The image: a name of the store, or an id
    image: String,
    /// Where to push it, if not to its own name
    #[arg(value_name = "NAME[:TAG]")]
    destination: Option<Reference>,
}

/// Carries it out; prints what the registry now knows the image by.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let lease = store.lease()?;
    let record = store.resolve(&args.image)?;
    let name = match &args.destination {
        Some(name) => name.clone(),
        None => args.image.parse().map_err(|_| {
            Failure::new(format!("{} is an id, and does not say where to push to", args.image))
                .hint("name the destination behind it")
        })?,
    };
    let digest = push(app, &lease, &record, &name, &args.connection, args.quiet)?;
    if args.quiet {
        say!("{digest}");
    } else {
        let target = name.tag_or_default().unwrap_or_default();
        say!("{target}: digest: {digest}");
    }
    Ok(0)
}

/// Sends blobs while they are compressed.
struct Sending<'a>(&'a EarlyUploads);

impl Onlooker for Sending<'_> {
    fn begins(&self, layer: &DiffId, file: File) -> Option<Box<dyn Follower>> {
        Some(Box::new(Sent(self.0.begin(file, &layer.to_string()))))
    }
}

/// One blob on its way.
struct Sent(GrowingBlob);

impl Follower for Sent {
    fn grew(&mut self, size: u64) {
        self.0.grew(size);
    }

    fn completed(self: Box<Self>, blob: &Descriptor) {
        self.0.completed(blob.size, blob.digest.clone());
    }
}

/// Whether a registry takes blobs out of our store by itself.
fn takes_blobs_of_ours(app: &App, blobs: &Anywhere, name: &Reference) -> Result<bool, Failure> {
    let lender = blobs.handle.block_on(blobs.client.lender(name.registry()));
    Ok(match lender {
        Some(lender) => lender == app.store_name()?,
        None => false,
    })
}

/// Pushes an image of the store, and notes the digest that it has there.
pub(crate) fn push(
    app: &App,
    lease: &Lease,
    record: &ImageRecord,
    name: &Reference,
    connection: &ConnectionArgs,
    quiet: bool,
) -> Result<Digest, Failure> {
    let store = app.store()?;
    let blobs = pulling::anywhere(app, connection, name.registry())?;
    let defaults = SinkOptions::default();
    let (client, handle) = (blobs.client.clone(), blobs.handle.clone());
    let (image, early) = if takes_blobs_of_ours(app, &blobs, name)? {
        // It is told what it has to take when that is made.
        (store.manifest(lease, record, None)?, HashSet::new())
    } else {
        // What has to be compressed first is sent meanwhile.
        let early = EarlyUploads::new(client, handle, name.clone(), defaults.parallel);
        let image = store.manifest_watched(lease, record, None, &Sending(&early))?;
        (image, early.finish())
    };
    let transfer = Arc::new(Transfer::new(app.transfers(quiet)));
    let (mounts, shown) = (blobs.clone(), transfer.clone());
    let options = SinkOptions {
        mounts: Arc::new(move |digest| mounts.repositories(digest)),
        progress: Arc::new(move |blob, progress| match progress {
            BlobProgress::Present if early.contains(&blob.digest) => shown.ended(blob, "pushed"),
            BlobProgress::Present => shown.ended(blob, "already there"),
            BlobProgress::Mounted => shown.ended(blob, "mounted"),
            BlobProgress::Sent => shown.ended(blob, "pushed"),
            BlobProgress::At(bytes) => shown.moved(blob, bytes),
        }),
        ..defaults
    };
    let sink = Sink::new(blobs.client.clone(), blobs.handle.clone(), options);
    let digest =
        sink.put(name, &image, &blobs).doing(|| format!("cannot push {}", name.familiar()))?;
    let layers = image.manifest.layers.iter().map(|layer| &layer.digest);
    store.note_blob_sources(layers, name.registry(), name.repository())?;
    let names = [name.with_digest(digest.clone())];
    store.put_image(lease, &NewImage::whole(&image, &names))?;
    Ok(digest)
}
