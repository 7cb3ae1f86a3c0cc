//! Files on their way into a registry.

use oci::Reference;
use oci::transfer::Standing;
use registry_client::blocking::RepositoryDestination;

use crate::app::App;
use crate::artifacts::Bundle;
use crate::clients::{self, ConnectionArgs};
use crate::error::{Doing, Failure, Outcome};
use crate::ui::say;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the artifact is: application/vnd.example+json, …
    #[arg(long, value_name = "MEDIA TYPE")]
    artifact_type: Option<String>,
    /// A file that is the artifact's configuration
    #[arg(long, value_name = "FILE[:MEDIA TYPE]")]
    config: Option<String>,
    /// A note for the artifact
    #[arg(short, long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// What it is to be called; without a tag it has its digest alone
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Reference,
    /// The files and directories, with their types: chart.tgz:application/gzip
    #[arg(value_name = "FILE[:MEDIA TYPE]")]
    files: Vec<String>,
}

/// Puts them; prints the artifact's digest.
pub(super) fn push(args: &Args, app: &App) -> Outcome {
    if args.files.is_empty() && args.artifact_type.is_none() && args.config.is_none() {
        return Err(Failure::new("there are no files to push")
            .hint("an artifact without files needs --artifact-type"));
    }
    if args.name.digest().is_some() {
        let name = args.name.familiar();
        return Err(Failure::new(format!("{name} has a digest, which the files decide")));
    }
    let mut bundle = Bundle::new(app.threads());
    for file in &args.files {
        bundle.add(file)?;
    }
    if let Some(config) = &args.config {
        bundle.set_config(config)?;
    }
    let manifest = bundle.manifest(app, args.artifact_type.as_deref(), &args.annotation)?;
    let client = clients::client(app, &args.connection, args.name.registry());
    let handle = app.network()?.handle().clone();
    let registry = RepositoryDestination::new(client, handle, args.name.clone());
    let standing = if args.name.tag().is_some() { Standing::Root } else { Standing::Part };
    let doing = || format!("cannot push {}", args.name.familiar());
    say!("{}", bundle.put(manifest, &registry, standing).doing(doing)?);
    Ok(0)
}
