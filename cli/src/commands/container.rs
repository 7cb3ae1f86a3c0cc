//! `tierce container …`: the commands for containers under one name, as docker has them, too.

mod prune;

use clap::Subcommand;

use super::{
    attach, commit, cp, create, diff, exec, export, inspect, kill, logs, pause, port, ps, rename,
    restart, rm, run, start, stats, stop, top, unpause, update, wait,
};
use crate::app::App;
use crate::error::Outcome;

// What `tierce container` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Action {
    /// Take part in the input and output of a container that runs
    Attach(attach::Args),
    /// Make an image from a container's changes
    Commit(commit::Args),
    /// Copy files into a container, or out of it
    Cp(cp::Args),
    /// Make a container without starting it
    Create(Box<create::Args>),
    /// Show what a container changed
    Diff(diff::Args),
    /// Run one more command in a container that runs
    Exec(exec::Args),
    /// Write the files of a container as a tar
    Export(export::Args),
    /// Show everything about containers, as JSON
    Inspect(inspect::OfContainers),
    /// Send containers a signal
    Kill(kill::Args),
    /// Show what a container said
    Logs(logs::Args),
    /// List containers
    #[command(visible_aliases = ["list", "ps"])]
    Ls(ps::Args),
    /// Hold all processes of containers still
    Pause(pause::Args),
    /// Remove the containers that do not run
    Prune(prune::Args),
    /// Show to which ports of the machine a container's are published
    Port(port::Args),
    /// Give a container another name
    Rename(rename::Args),
    /// Stop containers and start them again
    Restart(restart::Args),
    /// Remove containers
    #[command(visible_alias = "remove")]
    Rm(rm::Args),
    /// Run a command in a new container
    Run(Box<run::Args>),
    /// Start containers that do not run
    Start(start::Args),
    /// Show what containers use, again and again
    Stats(stats::Args),
    /// Ask containers to end, and kill those that do not
    Stop(stop::Args),
    /// List the processes of a container
    Top(top::Args),
    /// Let the processes of paused containers go on
    Unpause(unpause::Args),
    /// Change what containers may use, and when they are started again
    Update(Box<update::Args>),
    /// Wait for the end of containers and print their exit statuses
    Wait(wait::Args),
}

impl Args {
    /// What stands in the place of the image, if it looks like a switch.
    pub(crate) fn image_like_a_switch(&self) -> Option<String> {
        match &self.action {
            Action::Create(args) => args.image_like_a_switch(),
            Action::Run(args) => args.image_like_a_switch(),
            _ => None,
        }
    }

    /// Whether files of many owners are made.
    pub(crate) fn makes_trees(&self) -> bool {
        matches!(self.action, Action::Create(_) | Action::Run(_))
    }
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    match &args.action {
        Action::Attach(args) => attach::run(args, app),
        Action::Commit(args) => commit::run(args, app),
        Action::Cp(args) => cp::run(args, app),
        Action::Create(args) => create::run(args, app),
        Action::Diff(args) => diff::run(args, app),
        Action::Exec(args) => exec::run(args, app),
        Action::Export(args) => export::run(args, app),
        Action::Inspect(args) => inspect::of_containers(args, app),
        Action::Kill(args) => kill::run(args, app),
        Action::Logs(args) => logs::run(args, app),
        Action::Ls(args) => ps::run(args, app),
        Action::Pause(args) => pause::run(args, app),
        Action::Port(args) => port::run(args, app),
        Action::Prune(args) => prune::run(args, app),
        Action::Rename(args) => rename::run(args, app),
        Action::Restart(args) => restart::run(args, app),
        Action::Rm(args) => rm::run(args, app),
        Action::Run(args) => run::run(args, app),
        Action::Start(args) => start::run(args, app),
        Action::Stats(args) => stats::run(args, app),
        Action::Stop(args) => stop::run(args, app),
        Action::Top(args) => top::run(args, app),
        Action::Unpause(args) => unpause::run(args, app),
        Action::Update(args) => update::run(args, app),
        Action::Wait(args) => wait::run(args, app),
    }
}
