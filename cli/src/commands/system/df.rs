//! `tierce system df`: how much room the store takes.

mod verbose;

use std::collections::{BTreeMap, BTreeSet};

use layerfs::Store;
use oci::{DiffId, Digest};
use serde_json::json;

use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::tree_size::tree_size;
use crate::ui::human;
use crate::ui::list::{List, ListArgs};

// What `tierce system df` takes.
#[derive(clap::Args)]
pub(super) struct Args {
    /// `table`, `json` (one object a line), or placeholders: '{{.Type}} {{.Size}}'
    #[arg(long, default_value = "table", value_name = "FORMAT", conflicts_with = "verbose")]
    format: String,
    /// Show every image, container and volume
    #[arg(short, long)]
    verbose: bool,
}

/// Things of one kind.
#[derive(Default)]
struct Kind {
    total: usize,
    active: usize,
    size: u64,
    /// What of it would go if the rest was removed.
    reclaimable: u64,
}

/// Carries it out.
pub(super) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    if args.verbose {
        return verbose::show(store);
    }
    let list = ListArgs { format: args.format.clone(), quiet: false, no_trunc: false };
    let columns = ["Type", "TotalCount|TOTAL", "Active", "Size", "Reclaimable"];
    let mut list = List::new(&columns, &list)?;
    for (name, kind) in [
        ("Images", images(store)?),
        ("Containers", containers(store)?),
        ("Local Volumes", volumes(store)?),
    ] {
        let part = (100 * kind.reclaimable).checked_div(kind.size);
        let part = part.map(|part| format!(" ({part}%)")).unwrap_or_default();
        list.row(json!({
            "Type": name,
            "TotalCount": kind.total.to_string(),
            "Active": kind.active.to_string(),
            "Size": human::size(kind.size),
            "Reclaimable": human::size(kind.reclaimable) + &part,
        }));
    }
    list.print("Type")
}

/// Layers that several images have count once.
fn images(store: &Store) -> Result<Kind, Failure> {
    let used: BTreeSet<Digest> =
        store.containers()?.into_iter().filter_map(|one| one.image).collect();
    let mut kind = Kind::default();
    let mut layers: BTreeMap<DiffId, bool> = BTreeMap::new();
    for image in store.images()? {
        let is_used = used.contains(&image.id);
        kind.total += 1;
        kind.active += usize::from(is_used);
        for (diff_id, _) in store.image_layers(&image.id)? {
            *layers.entry(diff_id).or_default() |= is_used;
        }
    }
    for (diff_id, is_used) in layers {
        let Some(layer) = store.layer(&diff_id)? else { continue };
        kind.size += layer.size;
        kind.reclaimable += if is_used { 0 } else { layer.size };
    }
    Ok(kind)
}

fn containers(store: &Store) -> Result<Kind, Failure> {
    let mut kind = Kind::default();
    for container in store.containers()? {
        let runs = container.state.is_running();
        // One that is just being removed has nothing.
        let size = tree_size(&container.upper()).unwrap_or(0);
        kind.total += 1;
        kind.active += usize::from(runs);
        kind.size += size;
        kind.reclaimable += if runs { 0 } else { size };
    }
    Ok(kind)
}

fn volumes(store: &Store) -> Result<Kind, Failure> {
    let mut kind = Kind::default();
    for volume in store.volumes()? {
        let is_used = !volume.users.is_empty();
        let size = tree_size(&volume.data).unwrap_or(0);
        kind.total += 1;
        kind.active += usize::from(is_used);
        kind.size += size;
        kind.reclaimable += if is_used { 0 } else { size };
    }
    Ok(kind)
}
