//! `tierce stats`: what containers use.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use layerfs::{Container, Store};
use serde_json::{Value, json};

use crate::app::App;
use crate::containers::ContainerConfig;
use crate::error::{Failure, Outcome};
use crate::keeper::ask::ask;
use crate::keeper::wire::{Reply, Request, Usage};
use crate::ui::human;
use crate::ui::list::{List, ListArgs};
use crate::ui::say_bytes;

/// How long two looks are apart.
const INTERVAL: Duration = Duration::from_secs(1);
const COLUMNS: [&str; 8] = [
    "ContainerID",
    "Name",
    "CPUPerc|CPU %",
    "MemUsage|MEM USAGE / LIMIT",
    "MemPerc|MEM %",
    "NetIO|NET I/O",
    "BlockIO|BLOCK I/O",
    "PIDs|PIDS",
];
/// What sends the cursor of a terminal home and clears all below.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

// What `tierce stats` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Show containers that do not run, too
    #[arg(short, long)]
    all: bool,
    /// Show the figures once
    #[arg(long)]
    no_stream: bool,
    /// `table`, `json` (one object a line), or placeholders: '{{.Name}} {{.CPUPerc}}'
    #[arg(long, default_value = "table", value_name = "FORMAT")]
    format: String,
    /// Print ids in full
    #[arg(long)]
    no_trunc: bool,
    /// Names or ids of containers; all that run if there are none
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let list = ListArgs { format: args.format.clone(), quiet: false, no_trunc: args.no_trunc };
    let clears = !args.no_stream && std::io::stdout().is_terminal();
    let mut before = look(store, args)?;
    loop {
        std::thread::sleep(INTERVAL);
        let now = look(store, args)?;
        let mut shown = List::new(&COLUMNS, &list)?;
        now.containers.iter().for_each(|one| shown.row(one.row(&before, &now, args.no_trunc)));
        if clears {
            say_bytes(CLEAR.as_bytes())?;
        }
        shown.print("ID")?;
        if args.no_stream {
            return Ok(0);
        }
        before = now;
    }
}

/// What containers used up to a moment.
struct Look {
    at: Instant,
    containers: Vec<One>,
}

struct One {
    container: Container,
    /// What whoever asks calls it.
    asked: Option<String>,
    /// The most memory that it may use, in bytes.
    limit: u64,
    /// `None` if it does not run.
    usage: Option<Usage>,
}

fn look(store: &Store, args: &Args) -> Result<Look, Failure> {
    let meant: Vec<(Option<String>, Container)> = if args.containers.is_empty() {
        let all = store.containers()?.into_iter();
        let all = all.filter(|container| args.all || container.state.is_running());
        all.map(|container| (None, container)).collect()
    } else {
        let named = args.containers.iter();
        named
            .map(|name| Ok((Some(name.clone()), store.container(name)?)))
            .collect::<Result<_, Failure>>()?
    };
    let machine = memory_of_machine();
    let one = |(asked, container): (Option<String>, Container)| {
        let limit = ContainerConfig::of(&container).ok().and_then(|config| config.limits.memory);
        let usage = match ask(store, &container.id, &Request::Usage)? {
            Some(Reply::Usage(usage)) => Some(usage),
            _ => None,
        };
        Ok(One { container, asked, limit: limit.unwrap_or(machine).min(machine), usage })
    };
    let containers = meant.into_iter().map(one).collect::<Result<_, Failure>>()?;
    Ok(Look { at: Instant::now(), containers })
}

impl One {
    fn row(&self, before: &Look, now: &Look, no_trunc: bool) -> Value {
        let id = &self.container.id;
        let id = if no_trunc { id.as_str() } else { &id[..12] };
        let usage = self.usage.unwrap_or_default();
        let earlier = before.containers.iter().find(|one| one.container.id == self.container.id);
        let earlier = earlier.and_then(|one| one.usage).unwrap_or(usage);
        let busy = Duration::from_nanos(usage.processor.saturating_sub(earlier.processor));
        let elapsed = now.at.duration_since(before.at).as_secs_f64();
        let limit = if self.usage.is_some() { self.limit } else { 0 };
        let pair = |a: &dyn Display, b: &dyn Display| format!("{a} / {b}");
        let fields: BTreeMap<&str, String> = BTreeMap::from([
            ("Container", self.asked.clone().unwrap_or_else(|| id.to_owned())),
            ("ContainerID", id.to_owned()),
            ("ID", id.to_owned()),
            ("Name", self.container.name.clone()),
            ("CPUPerc", percent(busy.as_secs_f64(), elapsed)),
            ("MemUsage", pair(&human::binary_size(usage.memory), &human::binary_size(limit))),
            ("MemPerc", percent(usage.memory as f64, limit as f64)),
            ("NetIO", pair(&human::size(usage.received), &human::size(usage.sent))),
            ("BlockIO", pair(&human::size(usage.read), &human::size(usage.written))),
            ("PIDs", usage.tasks.to_string()),
        ]);
        json!(fields)
    }
}

fn percent(part: f64, whole: f64) -> String {
    format!("{:.2}%", if whole > 0.0 { 100.0 * part / whole } else { 0.0 })
}

/// In bytes; 0 if the kernel does not say.
fn memory_of_machine() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|line| line.split_ascii_whitespace().next());
    kibibytes.and_then(|number| number.parse::<u64>().ok()).unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_nothing_is_nothing() {
        assert_eq!(percent(1.0, 0.0), "0.00%");
        assert_eq!(percent(1.0, 3.0), "33.33%");
    }
}
