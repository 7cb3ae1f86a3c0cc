//! `tierce volume`: directories that outlive containers.

mod prune;
pub(super) mod show;

pub(super) use prune::{Which, remove_unused};

use std::collections::BTreeMap;

use clap::Subcommand;
use layerfs::VolumeSpec;

use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::refused::refused;
use crate::ui::say;

// What `tierce volume` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Action {
    /// Make a volume and print its name
    Create(Create),
    /// List volumes
    #[command(visible_alias = "list")]
    Ls(show::Ls),
    /// Show everything about volumes
    Inspect(show::Inspect),
    /// Remove volumes
    #[command(visible_alias = "remove")]
    Rm(Rm),
    /// Remove volumes that no container uses
    Prune(prune::Prune),
}

refused! { Refused {
    #[arg(short)]
    opt: "a volume is a directory of the store: mount others with --mount type=bind or type=tmpfs";
}}

#[derive(clap::Args)]
struct Create {
    /// Its name; drawn at random if there is none
    #[arg(value_name = "VOLUME")]
    name: Option<String>,
    /// The same, as it was written once
    #[arg(long = "name", hide = true, value_name = "VOLUME", conflicts_with = "name")]
    old_name: Option<String>,
    /// Set a label: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// Who keeps it; only `local` is there
    #[arg(short, long, default_value = "local")]
    driver: String,
    #[command(flatten)]
    _refused: Refused,
}

#[derive(clap::Args)]
struct Rm {
    /// Names of volumes
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<String>,
    /// Mind none that is not there
    #[arg(short, long)]
    force: bool,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    match &args.action {
        Action::Create(args) => create(args, app),
        Action::Ls(args) => show::list(args, app),
        Action::Inspect(args) => show::inspect(args, app),
        Action::Rm(args) => remove(args, app),
        Action::Prune(args) => prune::prune(args, app),
    }
}

fn create(args: &Create, app: &App) -> Outcome {
    if args.driver != "local" {
        return Err(Failure::new(format!("there is no volume driver `{}`", args.driver))
            .hint("only `local` is there"));
    }
    let store = app.store()?;
    let spec = VolumeSpec {
        name: args.name.clone().or(args.old_name.clone()),
        labels: labels(&args.label),
    };
    say!("{}", store.create_volume(&store.lease()?, &spec)?.name);
    Ok(0)
}

fn labels(given: &[String]) -> BTreeMap<String, String> {
    let pair = |label: &String| {
        let (name, value) = label.split_once('=').unwrap_or((label, ""));
        (name.to_owned(), value.to_owned())
    };
    given.iter().map(pair).collect()
}

fn remove(args: &Rm, app: &App) -> Outcome {
    let store = app.store()?;
    let lease = store.lease()?;
    let mut status = 0;
    for name in &args.volumes {
        match store.remove_volume(&lease, name) {
            Ok(()) => say!("{name}"),
            Err(layerfs::Error::VolumeNotFound { .. }) if args.force => say!("{name}"),
            Err(error) => {
                anstream::eprintln!("{}{}", crate::ui::ERROR, Failure::from(error));
                status = 1;
            }
        }
    }
    Ok(status)
}
