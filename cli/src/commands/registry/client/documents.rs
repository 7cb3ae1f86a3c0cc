//! Documents of a registry: manifests, configurations, and their digests.

use oci::{Platform, Reference};

use super::Asker;
use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::error::Outcome;
use crate::ui::{say, say_bytes};

#[derive(clap::Args)]
pub(crate) struct Manifest {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The manifest of the image for this platform, where the name means an index
    #[arg(long)]
    platform: Option<Platform>,
    /// The image
    image: Reference,
}

#[derive(clap::Args)]
pub(crate) struct Config {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Which image of an index; the one for this machine if nothing is said
    #[arg(long)]
    platform: Option<Platform>,
    /// The image
    image: Reference,
}

#[derive(clap::Args)]
pub(crate) struct Digest {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// That of the image for this platform, where the name means an index
    #[arg(long)]
    platform: Option<Platform>,
    /// The image
    image: Reference,
}

/// Prints what a name means.
pub(super) fn manifest(args: &Manifest, app: &App) -> Outcome {
    let asker = Asker::of(app, &args.connection, &args.image)?;
    say_bytes(asker.document(&args.image, args.platform.as_ref())?.bytes())?;
    Ok(0)
}

/// Prints the configuration of an image.
pub(super) fn config(args: &Config, app: &App) -> Outcome {
    let asker = Asker::of(app, &args.connection, &args.image)?;
    let platform = args.platform.clone().unwrap_or_else(Platform::host);
    let image = asker.ask(asker.client.image(&args.image, &platform))?;
    say_bytes(image.config.bytes())?;
    Ok(0)
}

/// Prints what digest a name means.
pub(super) fn digest(args: &Digest, app: &App) -> Outcome {
    let asker = Asker::of(app, &args.connection, &args.image)?;
    let digest = match &args.platform {
        None => asker.ask(asker.client.resolve(&args.image))?.digest,
        some => asker.document(&args.image, some.as_ref())?.digest().clone(),
    };
    say!("{digest}");
    Ok(0)
}
