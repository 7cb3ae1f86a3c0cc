//! `tierce volume`: directories that outlive containers.

mod prune;
pub(super) mod show;

pub(super) use prune::{Which, remove_unused};

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Subcommand;
use layerfs::VolumeSpec;

use crate::app::App;
use crate::error::{Failure, Outcome};
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
    /// Let it be a directory of the machine: type=none, o=bind, device=DIR
    #[arg(short, long, value_name = "NAME=VALUE")]
    opt: Vec<String>,
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
        place: place(&args.opt)?,
    };
    say!("{}", store.create_volume(&store.lease()?, &spec)?.name);
    Ok(0)
}

/// The directory that a volume is to be, in docker's words for it.
fn place(options: &[String]) -> Result<Option<PathBuf>, Failure> {
    let (mut device, mut is_bound) = (None, false);
    for option in options {
        match option.split_once('=') {
            Some(("type", "none" | "bind" | "")) => {}
            Some(("o", words))
                if words.split(',').all(|w| matches!(w, "bind" | "rbind" | "rw")) =>
            {
                is_bound = words.contains("bind");
            }
            Some(("device", path)) => device = Some(PathBuf::from(path)),
            _ => {
                return Err(Failure::new(format!("`{option}` is no option of a volume here"))
                    .hint("these are: type=none, o=bind and device=DIR; --tmpfs is for memory"));
            }
        }
    }
    match device {
        None if options.is_empty() => Ok(None),
        Some(device) if is_bound && device.is_absolute() && device.is_dir() => Ok(Some(device)),
        Some(device) if is_bound => {
            Err(Failure::new(format!("the device {} is no directory", device.display())))
        }
        _ => Err(Failure::new("a volume of a directory takes o=bind and device=DIR")),
    }
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
