//! `tierce ps`: the containers.

mod narrow;
mod row;

use jiff::Timestamp;
use layerfs::{Container, Store};

use crate::app::App;
use crate::containers::ContainerConfig;
use crate::error::{Failure, Outcome};
use crate::ui::list::{List, ListArgs};

// What `tierce ps` takes.
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
    /// network=, volume=, publish=, expose=, before=, since=
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    #[command(flatten)]
    list: ListArgs,
}

impl Args {
    /// Whether it is shown how much each wrote: only then their trees are looked at.
    fn wants_size(&self) -> bool {
        self.size || self.list.format.contains(".Size")
    }
}

/// Carries it out; the latest container first.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let narrowed = narrow::Narrowed::read(store, &args.filter)?;
    let mut columns =
        vec!["ContainerID", "Image", "Command", "CreatedSince", "Status", "Ports", "Names"];
    if args.size {
        columns.push("Size");
    }
    let mut list = List::new(&columns, &args.list)?;
    let last = if args.latest { Some(1) } else { args.last };
    // No number above zero is no limit.
    let last = last.and_then(|last| usize::try_from(last).ok()).filter(|last| *last > 0);
    let wants_all = args.all || last.is_some() || narrowed.asks_for_a_state();
    let found = latest_first(store)?
        .into_iter()
        .filter(|one| (wants_all || one.container.state.is_running()) && narrowed.takes(one));
    let now = Timestamp::now();
    for one in found.take(last.unwrap_or(usize::MAX)) {
        list.row(row::row(&one, store, args, now)?);
    }
    list.print("ID")
}

/// A container with what is known of it.
struct One {
    container: Container,
    config: Option<ContainerConfig>,
}

impl One {
    fn of(container: Container) -> One {
        let config = ContainerConfig::of(&container).ok();
        One { container, config }
    }

    /// When it was made, in nanoseconds.
    fn created(&self) -> i64 {
        let nanos = self.config.as_ref().map_or(0, |config| config.created_nanos);
        if nanos > 0 { nanos } else { self.container.created.saturating_mul(1_000_000_000) }
    }
}

fn latest_first(store: &Store) -> Result<Vec<One>, Failure> {
    let mut all: Vec<One> = store.containers()?.into_iter().map(One::of).collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.created()));
    Ok(all)
}
