//! What volumes there are.

use jiff::Timestamp;
use layerfs::Volume;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::Outcome;
use crate::ui::each::show_each;
use crate::ui::filter::{Filters, joined, matches_label};
use crate::ui::list::{List, ListArgs};

// What `tierce volume ls` takes.
#[derive(clap::Args)]
pub(super) struct Ls {
    /// Only those that are so: dangling=BOOL, driver=local, label=NAME[=VALUE], name=PART
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    #[command(flatten)]
    list: ListArgs,
}

// What `tierce volume inspect` takes.
#[derive(clap::Args)]
pub(super) struct Inspect {
    /// Names of volumes
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<String>,
    /// `json`, or placeholders: '{{.Mountpoint}}'
    #[arg(short, long, default_value = "json", value_name = "FORMAT")]
    format: String,
}

/// Lists volumes.
pub(super) fn list(args: &Ls, app: &App) -> Outcome {
    let filters = Filters::read(&args.filter, &["dangling", "driver", "label", "name"])?;
    let names = filters.patterns("name");
    let dangling = filters.truth("dangling")?;
    let mut list = List::new(&["Driver", "Name|VOLUME NAME"], &args.list)?;
    for volume in app.store()?.volumes()? {
        let shown = dangling.is_none_or(|wanted| wanted == volume.users.is_empty())
            && filters.any("driver", |driver| driver == "local")
            && names.match_one(&volume.name)
            && filters.every("label", |label| matches_label(label, &volume.labels));
        if shown {
            list.row(json!({
                "Availability": "N/A",
                "Driver": "local",
                "Group": "N/A",
                "Labels": joined(&volume.labels),
                "Links": volume.users.len().to_string(),
                "Mountpoint": volume.data,
                "Name": volume.name,
                "Scope": "local",
                "Size": "N/A",
                "Status": "N/A",
            }));
        }
    }
    list.print("Name")
}

/// Shows all about some.
pub(super) fn inspect(args: &Inspect, app: &App) -> Outcome {
    let store = app.store()?;
    show_each(&args.volumes, &args.format, |name| Ok(inspected(&store.volume(name)?)))
}

/// A volume with docker's fields.
pub(in crate::commands) fn inspected(volume: &Volume) -> Value {
    let created = Timestamp::from_second(volume.created).unwrap_or_default();
    json!({
        "CreatedAt": created.to_string(),
        "Driver": "local",
        "Labels": if volume.labels.is_empty() { Value::Null } else { json!(volume.labels) },
        "Mountpoint": volume.data,
        "Name": volume.name,
        "Options": volume.place.as_ref().map(|place| {
            json!({ "device": place, "o": "bind", "type": "none" })
        }),
        "Scope": "local",
    })
}
