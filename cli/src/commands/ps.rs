//! `tierce ps`: the containers.

use jiff::Timestamp;
use serde_json::json;

use crate::app::App;
use crate::containers::ContainerConfig;
use crate::containers::status::{status, word};
use crate::error::Outcome;
use crate::ui::human;
use crate::ui::list::{List, ListArgs};

/// How much of a command a table shows.
const COMMAND_WIDTH: usize = 20;

/// What `tierce ps` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Show containers that do not run, too
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    list: ListArgs,
}

/// Carries it out; the latest container first.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let columns = ["ContainerID", "Image", "Command", "CreatedSince", "Status", "Names"];
    let mut list = List::new(&columns, &args.list)?;
    let now = Timestamp::now();
    for container in app.store()?.containers()? {
        if !args.all && !container.state.is_running() {
            continue;
        }
        let config = ContainerConfig::of(&container).ok();
        let command = config.as_ref().map(ContainerConfig::command).unwrap_or_default();
        let mut command = command.join(" ");
        if !args.list.no_trunc && command.chars().count() > COMMAND_WIDTH {
            command = command.chars().take(COMMAND_WIDTH - 1).chain(['…']).collect();
        }
        let id = if args.list.no_trunc { &container.id } else { &container.id[..12] };
        let created = Timestamp::from_second(container.created).unwrap_or(now);
        list.row(json!({
            "ContainerID": id,
            "ID": id,
            "Image": container.image_name,
            "Command": format!("\"{command}\""),
            "CreatedAt": created.to_string(),
            "CreatedSince": human::ago(created, now),
            "RunningFor": human::ago(created, now),
            "Status": status(&container, now),
            "State": word(container.state),
            "Names": container.name,
            "Networks": config.as_ref().map(|config| config.network),
            "Ports": "",
            "Labels": config.as_ref().map(labels).unwrap_or_default(),
        }));
    }
    list.print("ID")
}

/// `a=b,c=d`, as docker prints labels.
fn labels(config: &ContainerConfig) -> String {
    let pairs: Vec<String> =
        config.runtime.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(",")
}
