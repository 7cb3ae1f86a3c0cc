//! `tierce buildx imagetools …`: indexes of images that are in registries, made and looked at.

mod create;
mod inspect;
mod statements;

use clap::Subcommand;

use crate::app::App;
use crate::error::Outcome;

pub(super) use create::{Create, create, index_notes, shown};

// What `tierce buildx imagetools` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Action {
    /// Make an index of images and indexes, without getting their layers
    Create(Create),
    /// Show what a name means in its registry
    Inspect(inspect::Args),
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    match &args.action {
        Action::Create(args) => create(args, app),
        Action::Inspect(args) => inspect::run(args, app),
    }
}
