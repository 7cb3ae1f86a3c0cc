//! `tierce system …`: the store as a whole, under docker's name.

mod df;

use clap::Subcommand;

use super::{events, info, prune};
use crate::app::App;
use crate::error::Outcome;

// What `tierce system` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Action {
    /// Show how much room images, containers and volumes take
    Df(df::Args),
    /// Show what happens to containers, images, volumes and networks
    Events(events::Args),
    /// Show what the store has, and what the machine is
    Info(info::Args),
    /// Remove what nothing refers to
    Prune(prune::Args),
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    match &args.action {
        Action::Df(args) => df::run(args, app),
        Action::Events(args) => events::run(args, app),
        Action::Info(args) => info::run(args, app),
        Action::Prune(args) => prune::run(args, app),
    }
}
