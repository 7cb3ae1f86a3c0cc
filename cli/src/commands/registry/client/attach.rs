//! Artifacts that refer to an image.

use oci::transfer::Standing;
use oci::{Platform, Reference};
use registry_client::blocking::RepositoryDestination;

use super::Asker;
use crate::app::App;
use crate::artifacts::Bundle;
use crate::clients::ConnectionArgs;
use crate::error::{Doing, Outcome};
use crate::ui::say;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// What the artifact is: application/spdx+json, …
    #[arg(long, value_name = "MEDIA TYPE")]
    artifact_type: String,
    /// A note for the artifact
    #[arg(short, long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
    /// Which image of an index is meant; the index itself if nothing is said
    #[arg(long)]
    platform: Option<Platform>,
    /// The image
    image: Reference,
    /// The files and directories, with their types: sbom.json:application/json
    #[arg(value_name = "FILE[:MEDIA TYPE]")]
    files: Vec<String>,
}

/// Puts the artifact; prints its digest.
pub(crate) fn attach(args: &Args, app: &App) -> Outcome {
    let asker = Asker::of(app, &args.connection, &args.image)?;
    let subject = asker.document(&args.image, args.platform.as_ref())?.descriptor();
    let mut bundle = Bundle::new(app.threads());
    for file in &args.files {
        bundle.add(file)?;
    }
    let mut manifest = bundle.manifest(app, Some(&args.artifact_type), &args.annotation)?;
    manifest.subject = Some(subject);
    let handle = asker.network.handle().clone();
    let registry = RepositoryDestination::new(asker.client.clone(), handle, args.image.clone());
    let doing = || format!("cannot attach to {}", args.image.familiar());
    let digest = bundle.put(manifest, &registry, Standing::Referrer).doing(doing)?;
    say!("{digest}");
    Ok(0)
}
