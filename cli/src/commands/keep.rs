//! `tierce keep`: what a keeper's process is started as. Not for people.

use crate::app::App;
use crate::error::Outcome;
use crate::keeper::process::keep;

// What `tierce keep` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// One id stands for all owners of files
    #[arg(long)]
    one_id: bool,
    /// The container's id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    if args.one_id {
        app.inherit_one_id();
    }
    app.stay_in_namespace();
    keep(app, &args.container)
}
