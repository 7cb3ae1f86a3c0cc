//! `tierce manifest …`: lists of images for several platforms, which are made here step by step
//! and then put into a registry, in docker's and podman's words.

mod change;
mod list;
mod push;

use clap::Subcommand;

use crate::app::App;
use crate::error::Outcome;

// What `tierce manifest` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Action {
    /// Begin a list, with images that registries have
    Create(change::Create),
    /// Add an image to a list
    Add(change::Add),
    /// Say where an image of a list runs
    Annotate(change::Annotate),
    /// Show a list, or what a name means in its registry, as JSON
    Inspect(push::Inspect),
    /// Put a list into a registry, with all its images
    Push(push::Push),
    /// Remove lists that were begun here
    Rm(change::Rm),
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    match &args.action {
        Action::Create(args) => change::create(args, app),
        Action::Add(args) => change::add(args, app),
        Action::Annotate(args) => change::annotate(args, app),
        Action::Inspect(args) => push::inspect(args, app),
        Action::Push(args) => push::push(args, app),
        Action::Rm(args) => change::rm(args, app),
    }
}
