//! `tierce builder …`: what builds keep, under docker's name.

mod instances;

use clap::Subcommand;

use super::{bake, build, imagetools, prune};
use crate::app::App;
use crate::builders::Builders;
use crate::error::{Failure, Outcome};
use crate::ui::say;

/// The version of buildx whose words and forms these are, in its place in what `buildx version`
/// prints: scripts look there for what they may ask for.
const SPEAKS: &str = "v0.29.1";

// What `tierce builder` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The builder: all that were made are this program, with one cache
    #[arg(long = "builder", id = "by", value_name = "NAME")]
    by: Option<String>,
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
    /// Give the builder one more name
    Create(instances::Create),
    /// Choose a builder
    Use(instances::Use),
    /// List builders
    Ls,
    /// Show a builder
    Inspect(instances::Inspect),
    /// Stop a builder, which runs while it builds
    Stop(instances::Stop),
    /// Remove builders
    Rm(instances::Rm),
    /// Show which version of buildx this speaks as
    Version,
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
    check_builder(args.by.as_deref(), app)?;
    match &args.action {
        Action::Build(args) => build::run(args, app),
        Action::Bake(args) => bake::run(args, app),
        Action::Imagetools(args) => imagetools::run(args, app),
        Action::Prune(args) => prune::of_builds(args, app),
        Action::Create(args) => instances::create(args, app),
        Action::Use(args) => instances::choose(args, app),
        Action::Ls => instances::list(app),
        Action::Inspect(args) => instances::inspect(args, app),
        Action::Stop(args) => instances::stop(args, app),
        Action::Rm(args) => instances::remove(args, app),
        Action::Version => {
            say!("tierce/buildx {SPEAKS} {}", env!("CARGO_PKG_VERSION"));
            Ok(0)
        }
    }
}

/// Whether there is a builder of the name that a build was told.
pub(super) fn check_builder(name: Option<&str>, app: &App) -> Result<(), Failure> {
    match name {
        None => Ok(()),
        Some(name) => Builders::of(app.store()?)?.find(name).map(drop),
    }
}
