//! `tierce image …`: the commands for images under one name, as docker has them, too.

mod annotate;
mod append;
mod flatten;
mod mutate;
mod rebase;

use clap::Subcommand;

use super::prune::{self, of_images};
use super::{
    build, diff, history, images, imagetools, import, inspect, load, pull, push, rmi, save, tag,
};
use crate::app::App;
use crate::error::Outcome;

// What `tierce image` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Action {
    /// Set notes on an image or index
    Annotate(annotate::Args),
    /// Put layers on top of an image, without unpacking it
    Append(append::Args),
    /// Build an image from a Dockerfile
    Build(Box<build::Args>),
    /// Show what is different between two images
    Diff(diff::OfImages),
    /// Put all layers of an image together into one
    Flatten(flatten::Args),
    /// Show the steps that made an image
    History(history::Args),
    /// Make an index of images and indexes, without getting their layers
    Index(imagetools::Create),
    /// Make an image of a tar of files
    Import(import::Args),
    /// Show everything about images, as JSON
    Inspect(inspect::OfImages),
    /// Read images from an archive
    Load(load::Args),
    /// List images
    #[command(visible_alias = "list")]
    Ls(images::Args),
    /// Change what an image says of how it runs, without unpacking it
    Mutate(Box<mutate::Args>),
    /// Remove images without a name
    Prune(prune::OfImages),
    /// Get an image from a registry
    Pull(pull::Args),
    /// Put an image into a registry
    Push(push::Args),
    /// Put an image on another base, without building it again
    Rebase(rebase::Args),
    /// Remove images or names of images
    #[command(visible_alias = "remove")]
    Rm(rmi::Args),
    /// Write images to an archive
    Save(save::Args),
    /// Give an image another name
    Tag(tag::Args),
}

impl Args {
    /// Whether it reads or writes the store.
    pub(crate) fn touches_trees(&self) -> bool {
        match &self.action {
            Action::Annotate(args) => args.touches_trees(),
            Action::Append(args) => args.touches_trees(),
            Action::Mutate(args) => args.touches_trees(),
            Action::Rebase(args) => args.touches_trees(),
            _ => true,
        }
    }

    /// Whether files of many owners are made.
    pub(crate) fn makes_trees(&self) -> bool {
        matches!(
            self.action,
            Action::Build(_) | Action::Flatten(_) | Action::Pull(_) | Action::Load(_)
        )
    }
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    match &args.action {
        Action::Annotate(args) => annotate::run(args, app),
        Action::Append(args) => append::run(args, app),
        Action::Build(args) => build::run(args, app),
        Action::Diff(args) => diff::of_images(args, app),
        Action::Flatten(args) => flatten::run(args, app),
        Action::History(args) => history::run(args, app),
        Action::Index(args) => imagetools::create(args, app),
        Action::Import(args) => import::run(args, app),
        Action::Inspect(args) => inspect::of_images(args, app),
        Action::Load(args) => load::run(args, app),
        Action::Ls(args) => images::run(args, app),
        Action::Mutate(args) => mutate::run(args, app),
        Action::Prune(args) => of_images(args, app),
        Action::Pull(args) => pull::run(args, app),
        Action::Push(args) => push::run(args, app),
        Action::Rebase(args) => rebase::run(args, app),
        Action::Rm(args) => rmi::run(args, app),
        Action::Save(args) => save::run(args, app),
        Action::Tag(args) => tag::run(args, app),
    }
}
