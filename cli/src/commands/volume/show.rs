//! What volumes there are.

use jiff::Timestamp;
use layerfs::Volume;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::ui::filter::{Filters, joined, matches_label};
use crate::ui::list::{List, ListArgs};
use crate::ui::say;
use crate::ui::template::Template;

/// What `tierce volume ls` takes.
#[derive(clap::Args)]
pub(super) struct Ls {
    /// Only those that are so: dangling=BOOL, driver=local, label=NAME[=VALUE], name=PART
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// What `tierce volume inspect` takes.
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
    let dangling = filters.truth("dangling")?;
    let mut list = List::new(&["Driver", "Name|VOLUME NAME"], &args.list)?;
    for volume in app.store()?.volumes()? {
        let shown = dangling.is_none_or(|wanted| wanted == volume.users.is_empty())
            && filters.any("driver", |driver| driver == "local")
            && filters.any("name", |part| volume.name.contains(part))
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

/// Shows all about some. What was found is printed also when something else was not.
pub(super) fn inspect(args: &Inspect, app: &App) -> Outcome {
    let template = match args.format.as_str() {
        "json" => None,
        text => Some(Template::parse(text).map_err(Failure::new)?),
    };
    let store = app.store()?;
    let mut found = Vec::new();
    let mut status = 0;
    for name in &args.volumes {
        match store.volume(name) {
            Ok(volume) => found.push(inspected(&volume)),
            Err(error) => {
                anstream::eprintln!("{}{}", crate::ui::ERROR, Failure::from(error));
                status = 1;
            }
        }
    }
    match template {
        None => say!("{:#}", Value::Array(found)),
        Some(template) => {
            for volume in &found {
                say!("{}", template.render(volume).map_err(Failure::new)?);
            }
        }
    }
    Ok(status)
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
        "Options": null,
        "Scope": "local",
    })
}
