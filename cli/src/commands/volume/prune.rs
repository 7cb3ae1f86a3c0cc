//! Removal of volumes that no container uses.

use jiff::Timestamp;
use layerfs::Store;

use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::tree_size::tree_size;
use crate::ui::ask::confirmed;
use crate::ui::filter::{Filters, Prunable};
use crate::ui::{human, say};

// What `tierce volume prune` takes.
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

/// Which of those that no container uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Which {
    /// Those without a name of somebody's choice.
    Anonymous,
    All,
}

/// Removes them.
pub(super) fn prune(args: &Prune, app: &App) -> Outcome {
    let filters = Filters::read(&args.filter, &["label", "label!", "all"])?;
    let which = match args.all || filters.truth("all")? == Some(true) {
        true => Which::All,
        false => Which::Anonymous,
    };
    let word = if which == Which::All { "all" } else { "anonymous" };
    let question =
        format!("This will remove {word} local volumes not used by at least one container.");
    if !args.force && !confirmed(&question)? {
        return Ok(0);
    }
    let (removed, freed) = remove_unused(app.store()?, which, &Prunable::of(filters)?)?;
    if !removed.is_empty() {
        say!("Deleted Volumes:\n{}\n", removed.join("\n"));
    }
    say!("Total reclaimed space: {}", human::size(freed));
    Ok(0)
}

/// Removes volumes that no container uses; answers with their names, and what they took.
pub(in crate::commands) fn remove_unused(
    store: &Store,
    which: Which,
    meant: &Prunable,
) -> Result<(Vec<String>, u64), Failure> {
    let lease = store.lease()?;
    let mut freed = 0;
    let mut removed = Vec::new();
    for volume in store.volumes()? {
        let unwanted = volume.users.is_empty()
            && (which == Which::All || volume.anonymous)
            && meant.takes(Timestamp::from_second(volume.created).ok(), &volume.labels);
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
    Ok((removed, freed))
}
