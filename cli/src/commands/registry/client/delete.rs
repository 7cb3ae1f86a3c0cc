//! Tags, manifests and blobs that are taken away.

use oci::Reference;

use super::Asker;
use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::error::{Failure, Outcome};
use crate::ui::say;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The names are those of blobs: REPOSITORY@DIGEST
    #[arg(long)]
    blob: bool,
    /// Take away the manifest that a tag means, with all tags that mean it
    #[arg(long, conflicts_with = "blob")]
    manifest: bool,
    /// What is to go: NAME:TAG for a tag, NAME@DIGEST for a manifest
    #[arg(required = true, value_name = "NAME")]
    names: Vec<Reference>,
}

/// Takes them away.
pub(super) fn delete(args: &Args, app: &App) -> Outcome {
    for name in &args.names {
        let asker = Asker::of(app, &args.connection, name)?;
        match name.digest() {
            Some(digest) if args.blob => asker.ask(asker.client.delete_blob(name, digest))?,
            None if args.blob => {
                return Err(Failure::new(format!("`{}` has no digest", name.familiar()))
                    .hint("a blob is named REPOSITORY@DIGEST"));
            }
            None if args.manifest => {
                let digest = asker.ask(asker.client.resolve(name))?.digest;
                asker.ask(asker.client.delete_manifest(&name.with_digest(digest)))?;
            }
            _ => asker.ask(asker.client.delete_manifest(name))?,
        }
        say!("deleted {}", name.familiar());
    }
    Ok(0)
}
