//! `tierce push`: an image into a registry.

use std::fs::File;
use std::sync::{Arc, LazyLock};

use layerfs::{Follower, ImageRecord, Lease, NewImage, Onlooker};
use oci::{Descriptor, DiffId, Digest, ImageSink, Reference};
use registry_client::blocking::{BlobProgress, EarlyUploads, GrowingBlob, Sink, SinkOptions};

use crate::app::App;
use crate::blobs::Anywhere;
use crate::clients::ConnectionArgs;
use crate::containers::events::note_image;
use crate::error::{Doing, Failure, Outcome};
use crate::pulling;
use crate::ui::say;
use crate::ui::transfer::Transfer;

// What `tierce push` takes.
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
    note_image(store, "push", &name.familiar(), &name.to_string());
    if args.quiet {
        say!("{digest}");
    } else {
        let target = name.tag_or_default().unwrap_or_default();
        say!("{target}: digest: {digest}");
    }
    Ok(0)
}

/// Sends blobs while they are compressed, unless the registry takes them by itself when they are
/// made.
struct Sending<'a> {
    uploads: &'a EarlyUploads,
    /// Asked when there is a first one.
    is_taken: LazyLock<bool, Box<dyn FnOnce() -> bool + Send + 'a>>,
}

impl Onlooker for Sending<'_> {
    fn begins(&self, layer: &DiffId, file: File) -> Option<Box<dyn Follower>> {
        if *self.is_taken {
            return None;
        }
        Some(Box::new(Sent(self.uploads.begin(file, &layer.to_string()))))
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

/// Whether a registry takes blobs by itself out of the store that is called `ours`.
fn takes_blobs(blobs: &Anywhere, name: &Reference, ours: &str) -> bool {
    let lender = blobs.handle.block_on(blobs.client.lender(name.registry()));
    lender.is_some_and(|lender| lender == ours)
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
    let early = EarlyUploads::new(client, handle, name.clone(), defaults.parallel);
    let ours = app.store_name()?;
    let is_taken: Box<dyn FnOnce() -> bool + Send + '_> =
        Box::new(|| takes_blobs(&blobs, name, &ours));
    let sending = Sending { uploads: &early, is_taken: LazyLock::new(is_taken) };
    let image = store.manifest_watched(lease, record, None, &sending)?;
    drop(sending);
    let early = early.finish();
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
