//! `tierce image …`: the commands for images under one name, as docker has them, too.

use clap::Subcommand;

use super::prune::{self, of_images};
use super::{build, history, images, import, inspect, load, pull, push, rmi, save, tag};
use crate::app::App;
use crate::error::Outcome;

/// What `tierce image` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Build an image from a Dockerfile
    Build(Box<build::Args>),
    /// Show the steps that made an image
    History(history::Args),
    /// Make an image of a tar of files
    Import(import::Args),
    /// Show everything about images, as JSON
    Inspect(inspect::OfImages),
    /// Read images from an archive
    Load(load::Args),
    /// List images
    #[command(visible_alias = "list")]
    Ls(images::Args),
    /// Remove images without a name
    Prune(prune::OfImages),
    /// Get an image from a registry
    Pull(pull::Args),
    /// Put an image into a registry
    Push(push::Args),
    /// Remove images or names of images
    #[command(visible_alias = "remove")]
    Rm(rmi::Args),
    /// Write images to an archive
    Save(save::Args),
    /// Give an image another name
    Tag(tag::Args),
}

impl Args {
    /// Whether files of many owners are made.
    pub(crate) fn makes_trees(&self) -> bool {
        matches!(self.action, Action::Build(_) | Action::Pull(_) | Action::Load(_))
    }
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    match &args.action {
        Action::Build(args) => build::run(args, app),
        Action::History(args) => history::run(args, app),
        Action::Import(args) => import::run(args, app),
        Action::Inspect(args) => inspect::of_images(args, app),
        Action::Load(args) => load::run(args, app),
        Action::Ls(args) => images::run(args, app),
        Action::Prune(args) => of_images(args, app),
        Action::Pull(args) => pull::run(args, app),
        Action::Push(args) => push::run(args, app),
        Action::Rm(args) => rmi::run(args, app),
        Action::Save(args) => save::run(args, app),
        Action::Tag(args) => tag::run(args, app),
    }
}
