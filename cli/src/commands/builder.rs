//! `tierce builder …`: what builds keep, under docker's name.

use clap::Subcommand;

use super::{bake, build, imagetools, prune};
use crate::app::App;
use crate::error::Outcome;

// What `tierce builder` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Action {
    /// Build an image from a Dockerfile
    Build(Box<build::Args>),
    /// Build several images, as a file describes them
    #[command(alias = "f")]
    Bake(Box<bake::Args>),
    /// Make indexes of images in registries, and look at them
    Imagetools(Box<imagetools::Args>),
    /// Remove the build cache
    Prune(prune::OfBuilds),
}

impl Args {
    /// Whether files of many owners are handled in this process.
    pub(crate) fn touches_trees(&self) -> bool {
        !matches!(self.action, Action::Bake(_))
    }

    /// Whether files of many owners are made.
    pub(crate) fn makes_trees(&self) -> bool {
        matches!(self.action, Action::Build(_))
    }
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    match &args.action {
        Action::Build(args) => build::run(args, app),
        Action::Bake(args) => bake::run(args, app),
        Action::Imagetools(args) => imagetools::run(args, app),
        Action::Prune(args) => prune::of_builds(args, app),
    }
}
