//! `tierce rename`: another name for a container.

use crate::app::App;
use crate::error::Outcome;
use crate::networks::Networks;

// What `tierce rename` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name or id of the container
    container: String,
    /// Its new name
    name: String,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let container = store.container(&args.container)?;
    let name = args.name.strip_prefix('/').unwrap_or(&args.name);
    store.rename_container(&container.id, name)?;
    Networks::lock(store)?.rename(&container, name)?;
    Ok(0)
}
