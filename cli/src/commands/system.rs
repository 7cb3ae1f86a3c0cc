//! `tierce system …`: the store as a whole, under docker's name.

use clap::Subcommand;

use super::prune;
use crate::app::App;
use crate::error::Outcome;

/// What `tierce system` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Action {
    /// Remove what nothing refers to
    Prune(prune::Args),
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let Action::Prune(args) = &args.action;
    prune::run(args, app)
}
