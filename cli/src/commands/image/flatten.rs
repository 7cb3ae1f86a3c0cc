//! `tierce image flatten`: all layers of an image as one.

use layerfs::LayersTogether;
use oci::edit::Flatten;

use crate::app::App;
use crate::copying::editing::{self, Editing, Target};
use crate::error::Outcome;

// What `tierce image flatten` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// The image
    image: String,
}

/// Carries it out.
pub(super) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let lease = store.lease()?;
    let (source, origin) = editing::open(app, &lease, &args.image, &args.target)?;
    let scratch = lease.scratch_dir("flat")?;
    let together = LayersTogether::new(store.clone());
    let flatten = Flatten::new(together, app.threads(), &scratch)?;
    let edits = vec![Box::new(flatten) as _];
    let editing = Editing { origin, source: Some(&source), edits, all: false };
    editing::edit(app, &lease, editing, &args.target)
}
