//! `buildx create`, `use`, `ls`, `inspect`, `stop`, `rm`: what scripts for docker do with
//! builders before they build.

use oci::Platform;

use crate::app::App;
use crate::builders::{Builders, DEFAULT, Named};
use crate::error::{Failure, Outcome};
use crate::ui::say;
use crate::ui::table::Table;

/// What a builder is, where docker says by what it is driven.
const DRIVER: &str = "tierce";

#[derive(clap::Args)]
pub(super) struct Create {
    /// What it is called
    #[arg(long)]
    name: Option<String>,
    /// Build with it from now on
    #[arg(long = "use")]
    choose: bool,
    /// Start it: there is nothing to be started
    #[arg(long)]
    bootstrap: bool,
    /// How it is driven: docker-container, as elsewhere
    #[arg(long, value_parser = ["docker-container"])]
    driver: Option<String>,
    /// About the driver: network=host alone, which is so
    #[arg(long, value_name = "NAME=VALUE", value_parser = ["network=host"])]
    driver_opt: Vec<String>,
    /// What builds may be allowed: --allow-insecure-entitlement NAME
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true, value_parser = daemon_flags)]
    buildkitd_flags: Option<String>,
    /// A platform to show with it
    #[arg(long, value_delimiter = ',')]
    platform: Vec<Platform>,
}

#[derive(clap::Args)]
pub(super) struct Use {
    /// Also for other contexts, of which there are none
    #[arg(long)]
    global: bool,
    /// Also as the default of this context, which is the only one
    #[arg(long)]
    default: bool,
    /// Its name
    name: String,
}

#[derive(clap::Args)]
pub(super) struct Inspect {
    /// Start it before: there is nothing to be started
    #[arg(long)]
    bootstrap: bool,
    /// Its name, too
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    builder: Option<String>,
    /// Its name; the one that was chosen if none is given
    name: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct Stop {
    /// Its name, too
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    builder: Option<String>,
    /// Its name; the one that was chosen if none is given
    name: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct Rm {
    /// Ask nothing: nothing is asked
    #[arg(short, long)]
    force: bool,
    /// Keep what it built: it is kept
    #[arg(long)]
    keep_state: bool,
    /// All but the default
    #[arg(long, conflicts_with = "names")]
    all_inactive: bool,
    /// A name, too
    #[arg(long, value_name = "NAME", conflicts_with_all = ["names", "all_inactive"])]
    builder: Option<String>,
    /// Their names; the one that was chosen if none is given
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// The flags of a daemon that is not there: those that say what builds may ask for. They ask with
/// `build --allow`, and get it.
fn daemon_flags(text: &str) -> Result<String, String> {
    let mut words = text.split_ascii_whitespace().flat_map(|word| word.split('='));
    while let Some(word) = words.next() {
        let value = match word {
            "--debug" => continue,
            "--allow-insecure-entitlement" => words.next().unwrap_or_default(),
            _ => return Err(format!("there is no daemon that could be told {word}")),
        };
        if !["network.host", "security.insecure", "device"].contains(&value) {
            return Err(format!("builds cannot be allowed `{value}`"));
        }
    }
    Ok(text.to_owned())
}

pub(super) fn create(args: &Create, app: &App) -> Outcome {
    let store = app.store()?;
    let builders = Builders::of(store)?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => format!("builder-{}", &store.lease()?.id()[..8]),
    };
    builders.create(&Named { name: name.clone(), platforms: args.platform.clone() })?;
    if args.choose {
        builders.choose(&name)?;
    }
    say!("{name}");
    Ok(0)
}

pub(super) fn choose(args: &Use, app: &App) -> Outcome {
    Builders::of(app.store()?)?.choose(&args.name)?;
    Ok(0)
}

pub(super) fn list(app: &App) -> Outcome {
    let builders = Builders::of(app.store()?)?;
    let chosen = builders.chosen()?;
    let mut table =
        Table::new(&["NAME/NODE", "DRIVER/ENDPOINT", "STATUS", "BUILDKIT", "PLATFORMS"]);
    for Named { name, platforms } in builders.all()? {
        let mark = if name == chosen { "*" } else { "" };
        let cells = [format!("{name}{mark}"), DRIVER.to_owned()];
        table.row(cells.into_iter().chain(["", "", ""].map(str::to_owned)).collect());
        table.row(vec![
            format!(" \\_ {}", node(&name)),
            " \\_ here".to_owned(),
            "running".to_owned(),
            String::new(),
            shown(&platforms),
        ]);
    }
    say!("{}", table.render().trim_end());
    Ok(0)
}

pub(super) fn inspect(args: &Inspect, app: &App) -> Outcome {
    let Named { name, platforms } = one(args.name.as_ref().or(args.builder.as_ref()), app)?;
    say!("Name:          {name}");
    say!("Driver:        {DRIVER}");
    say!("");
    say!("Nodes:");
    say!("Name:      {}", node(&name));
    say!("Endpoint:  here");
    say!("Status:    running");
    say!("Platforms: {}", shown(&platforms));
    Ok(0)
}

/// Nothing runs between builds: that there is such a builder is all that can be said.
pub(super) fn stop(args: &Stop, app: &App) -> Outcome {
    one(args.name.as_ref().or(args.builder.as_ref()), app).map(|_| 0)
}

pub(super) fn remove(args: &Rm, app: &App) -> Outcome {
    let builders = Builders::of(app.store()?)?;
    let named: Vec<String> = args.names.iter().chain(&args.builder).cloned().collect();
    let names = match (args.all_inactive, named.is_empty()) {
        (true, _) => builders.all()?.into_iter().skip(1).map(|builder| builder.name).collect(),
        (false, true) => vec![builders.chosen()?],
        (false, false) => named,
    };
    for name in names {
        builders.remove(&name)?;
        say!("{name} removed");
    }
    Ok(0)
}

fn one(name: Option<&String>, app: &App) -> Result<Named, Failure> {
    let builders = Builders::of(app.store()?)?;
    match name {
        Some(name) => builders.find(name),
        None => builders.find(&builders.chosen()?),
    }
}

/// docker numbers the nodes of those that were made.
fn node(name: &str) -> String {
    if name == DEFAULT { name.to_owned() } else { format!("{name}0") }
}

fn shown(platforms: &[Platform]) -> String {
    let host = [Platform::host()];
    let platforms = if platforms.is_empty() { &host } else { platforms };
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
