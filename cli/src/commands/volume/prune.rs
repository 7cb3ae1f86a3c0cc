//! Removal of volumes that no container uses.

use crate::app::App;
use crate::error::Outcome;
use crate::tree_size::tree_size;
use crate::ui::ask::confirmed;
use crate::ui::filter::{Filters, matches_label};
use crate::ui::{human, say};

/// What `tierce volume prune` takes.
#[derive(clap::Args)]
pub(super) struct Prune {
    /// Remove those with names of somebody's choice, too
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only those that are so: label=NAME[=VALUE], label!=NAME[=VALUE], all=BOOL
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

/// Removes them.
pub(super) fn prune(args: &Prune, app: &App) -> Outcome {
    let filters = Filters::read(&args.filter, &["label", "label!", "all"])?;
    let all = args.all || filters.truth("all")? == Some(true);
    let which = if all { "all" } else { "anonymous" };
    let question =
        format!("This will remove {which} local volumes not used by at least one container.");
    if !args.force && !confirmed(&question)? {
        return Ok(0);
    }
    let store = app.store()?;
    let lease = store.lease()?;
    let mut freed = 0;
    let mut removed = Vec::new();
    for volume in store.volumes()? {
        let unwanted = volume.users.is_empty()
            && (all || volume.anonymous)
            && filters.every("label", |label| matches_label(label, &volume.labels))
            && filters.every("label!", |label| !matches_label(label, &volume.labels));
        if !unwanted {
            continue;
        }
        let size = tree_size(&volume.data).unwrap_or(0);
        match store.remove_volume(&lease, &volume.name) {
            Ok(()) => {
                freed += size;
                removed.push(volume.name);
            }
            // Somebody was quicker, this way or that.
            Err(layerfs::Error::VolumeInUse { .. } | layerfs::Error::VolumeNotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if !removed.is_empty() {
        say!("Deleted Volumes:\n{}\n", removed.join("\n"));
    }
    say!("Total reclaimed space: {}", human::size(freed));
    Ok(0)
}
