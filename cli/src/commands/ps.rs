//! `tierce ps`: the containers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use layerfs::{Container, ContainerState, Health, Store};
use serde_json::{Value, json};

use crate::app::App;
use crate::containers::ContainerConfig;
use crate::containers::mounts::MountContent;
use crate::containers::status::{status, word};
use crate::error::{Failure, Outcome};
use crate::networks::join::Addresses;
use crate::networks::publish::shown;
use crate::tree_size::tree_size;
use crate::ui::filter::{Filters, matches_label};
use crate::ui::human;
use crate::ui::list::{List, ListArgs};

/// How much of a command a table shows.
const COMMAND_WIDTH: usize = 20;

/// What a list can be narrowed by.
const FILTERS: [&str; 9] =
    ["id", "name", "status", "label", "ancestor", "exited", "health", "before", "since"];

/// What `tierce ps` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Show containers that do not run, too
    #[arg(short, long)]
    all: bool,
    /// Show so many of the latest, whatever they do
    #[arg(short = 'n', long, value_name = "NUMBER", allow_negative_numbers = true)]
    last: Option<i64>,
    /// Show the latest, whatever it does
    #[arg(short, long)]
    latest: bool,
    /// Show how much each wrote
    #[arg(short, long)]
    size: bool,
    /// Show those of which this holds: name=, id=, status=, label=, ancestor=, exited=, health=,
    /// before=, since=
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// Carries it out; the latest container first.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let filters = Filters::read(&args.filter, &FILTERS)?;
    let mut columns =
        vec!["ContainerID", "Image", "Command", "CreatedSince", "Status", "Ports", "Names"];
    if args.size {
        columns.push("Size");
    }
    let mut list = List::new(&columns, &args.list)?;
    let last = if args.latest { Some(1) } else { args.last };
    let last = last.and_then(|last| usize::try_from(last).ok());
    // Who asks for a state means those that do not run, too.
    let asks = ["status", "exited"].iter().any(|key| filters.values(key).next().is_some());
    let wants_all = args.all || last.is_some() || asks;
    let named = Named::find(store, &filters)?;
    let found = latest_first(store)?.into_iter().filter(|one| {
        (wants_all || one.container.state.is_running()) && one.matches(&filters, &named)
    });
    let now = Timestamp::now();
    for one in found.take(last.unwrap_or(usize::MAX)) {
        list.row(one.row(args, now)?);
    }
    list.print("ID")
}

/// A container with what is known of it.
struct One {
    container: Container,
    config: Option<ContainerConfig>,
    labels: BTreeMap<String, String>,
}

/// When a container was made, in nanoseconds.
fn created(one: &One) -> i64 {
    let nanos = one.config.as_ref().map_or(0, |config| config.created_nanos);
    if nanos > 0 { nanos } else { one.container.created.saturating_mul(1_000_000_000) }
}

fn latest_first(store: &Store) -> Result<Vec<One>, Failure> {
    let mut all: Vec<One> = store
        .containers()?
        .into_iter()
        .map(|container| {
            let config = ContainerConfig::of(&container).ok();
            let labels = config.iter().flat_map(|config| config.runtime.labels.clone()).collect();
            One { container, config, labels }
        })
        .collect();
    all.sort_by_key(|one| std::cmp::Reverse(created(one)));
    Ok(all)
}

/// What filters name: images, and the times of containers.
struct Named {
    ancestors: Vec<(String, String)>,
    times: Vec<(String, i64)>,
}

impl Named {
    fn find(store: &Store, filters: &Filters) -> Result<Named, Failure> {
        let ancestors = filters
            .values("ancestor")
            .filter_map(|name| Some((name.to_owned(), store.resolve(name).ok()?.id.to_string())))
            .collect();
        let times = ["before", "since"]
            .into_iter()
            .flat_map(|key| filters.values(key))
            .map(|name| {
                let container = store.container(name)?;
                let config = ContainerConfig::of(&container).ok();
                let one = One { container, config, labels: BTreeMap::new() };
                Ok((name.to_owned(), created(&one)))
            })
            .collect::<Result<_, Failure>>()?;
        Ok(Named { ancestors, times })
    }

    fn time(&self, name: &str) -> i64 {
        self.times.iter().find(|(known, _)| known == name).map_or(0, |(_, time)| *time)
    }
}

impl One {
    fn matches(&self, filters: &Filters, named: &Named) -> bool {
        let Container { id, name, image_name, image, state, .. } = &self.container;
        let image = image.as_ref().map(ToString::to_string);
        let health = match state {
            ContainerState::Running(run) => run.health,
            _ => None,
        };
        let health = match health {
            None => "none",
            Some(Health::Starting) => "starting",
            Some(Health::Healthy) => "healthy",
            Some(Health::Unhealthy) => "unhealthy",
        };
        filters.any("id", |wanted| id.starts_with(wanted))
            && filters.any("name", |wanted| is_named(name, wanted))
            && filters.any("status", |wanted| word(*state) == wanted)
            && filters.every("label", |wanted| matches_label(wanted, &self.labels))
            && filters.any("health", |wanted| health == wanted)
            && filters.any("exited", |wanted| {
                matches!(state, ContainerState::Exited { code, .. } if code.to_string() == wanted)
            })
            && filters.any("ancestor", |wanted| {
                image_name == wanted
                    || named.ancestors.iter().any(|(name, id)| name == wanted && Some(id) == image.as_ref())
            })
            && filters.every("before", |wanted| created(self) < named.time(wanted))
            && filters.every("since", |wanted| created(self) > named.time(wanted))
    }

    fn row(&self, args: &Args, now: Timestamp) -> Result<Value, Failure> {
        let Container { id, name, image_name, state, .. } = &self.container;
        let command = self.config.as_ref().map(ContainerConfig::command).unwrap_or_default();
        let mut command = command.join(" ");
        if !args.list.no_trunc && command.chars().count() > COMMAND_WIDTH {
            command = command.chars().take(COMMAND_WIDTH - 1).chain(['…']).collect();
        }
        let id = if args.list.no_trunc { id } else { &id[..12] };
        let made = Timestamp::from_nanosecond(created(self).into()).unwrap_or(now);
        let labels: Vec<String> =
            self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(json!({
            "ContainerID": id,
            "ID": id,
            "Image": image_name,
            "Command": format!("\"{command}\""),
            "CreatedAt": made.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
            "CreatedSince": human::ago(made, now),
            "RunningFor": human::ago(made, now),
            "Status": status(&self.container, now),
            "State": word(*state),
            "Names": name,
            "Networks": self.config.as_ref().map(|config| config.network.clone()),
            "Mounts": self.mounts(),
            "LocalVolumes": self.volumes().count().to_string(),
            "Ports": shown(&Addresses::of(&self.container).ports),
            "Size": if args.size { human::size(tree_size(&self.container.upper())?) } else { "0B".into() },
            "Labels": labels.join(","),
        }))
    }

    fn volumes(&self) -> impl Iterator<Item = &str> {
        let mounts = self.config.iter().flat_map(|config| &config.mounts);
        mounts.filter_map(|mount| match &mount.content {
            MountContent::Volume { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }

    fn mounts(&self) -> String {
        self.volumes().collect::<Vec<_>>().join(",")
    }
}

/// docker looks for a pattern; most are plain words, with anchors at most.
fn is_named(name: &str, wanted: &str) -> bool {
    let wanted = wanted.strip_prefix('/').unwrap_or(wanted);
    let (wanted, from_start) = match wanted.strip_prefix('^') {
        Some(rest) => (rest.strip_prefix('/').unwrap_or(rest), true),
        None => (wanted, false),
    };
    let (wanted, to_end) = match wanted.strip_suffix('$') {
        Some(rest) => (rest, true),
        None => (wanted, false),
    };
    match (from_start, to_end) {
        (true, true) => name == wanted,
        (true, false) => name.starts_with(wanted),
        (false, true) => name.ends_with(wanted),
        (false, false) => name.contains(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_their_parts() {
        for (wanted, found) in [
            ("we", true),
            ("^/web$", true),
            ("/web", true),
            ("^eb", false),
            ("eb$", true),
            ("x", false),
        ] {
            assert_eq!(is_named("web", wanted), found, "{wanted}");
        }
    }
}
