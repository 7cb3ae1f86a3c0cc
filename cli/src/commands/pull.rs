//! `tierce pull`: an image out of a registry.

use oci::{Platform, Reference};

use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::error::Outcome;
use crate::pulling;
use crate::ui::say;

// What `tierce pull` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which image of several
    #[arg(long)]
    platform: Option<Platform>,
    /// Print the name alone
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The image: a name, by tag or by digest
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    name: Reference,
}

/// Carries it out; prints the name and, unless it is to be quiet, the digest.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let lease = store.lease()?;
    let platform = args.platform.clone().unwrap_or_else(Platform::host);
    let shown = app.transfers(args.quiet);
    let image = pulling::pull(app, &lease, &args.name, &platform, &args.connection, shown)?;
    if !args.quiet
        && let Some(digest) = image.target.as_ref().or(image.manifest.as_ref())
    {
        say!("Digest: {digest}");
    }
    say!("{}", args.name.clone().with_default_tag());
    Ok(0)
}
