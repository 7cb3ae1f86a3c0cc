//! `tierce tag`: another name for an image.

use oci::Reference;

use crate::app::App;
use crate::error::{Failure, Outcome};

// What `tierce tag` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The image: a name or an id
    image: String,
    /// The new name
    name: Reference,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    if args.name.digest().is_some() {
        return Err(Failure::new(format!(
            "{} has a digest, and a name cannot",
            args.name.familiar()
        )));
    }
    let store = app.store()?;
    store.tag(&store.resolve(&args.image)?, &args.name)?;
    Ok(0)
}
