//! `tierce artifact …`: files in registries, in the words of `oras` and podman.

mod pull;
mod push;

use clap::Subcommand;

use super::registry::{attach, referrers};
use crate::app::App;
use crate::error::Outcome;

// What `tierce artifact` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Action {
    /// Put files and directories into a registry
    Push(push::Args),
    /// Get the files of an artifact
    Pull(pull::Args),
    /// Put files into a registry as an artifact that refers to an image
    Attach(attach::Args),
    /// Show what refers to an image, and what refers to that, as a tree
    Discover(referrers::Discover),
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    match &args.action {
        Action::Push(args) => push::push(args, app),
        Action::Pull(args) => pull::pull(args, app),
        Action::Attach(args) => attach::attach(args, app),
        Action::Discover(args) => referrers::discover(args, app),
    }
}
