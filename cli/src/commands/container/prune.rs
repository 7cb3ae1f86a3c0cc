//! `tierce container prune`: removes the containers that do not run.

use jiff::Timestamp;
use layerfs::Container;

use crate::app::App;
use crate::containers::ContainerConfig;
use crate::error::Outcome;
use crate::tree_size::tree_size;
use crate::ui::ask::confirmed;
use crate::ui::filter::Prunable;
use crate::ui::{human, say};

// What `tierce container prune` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only those that are so: until=TIME, label=NAME[=VALUE], label!=NAME[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let meant = Prunable::read(&args.filter)?;
    if !args.force && !confirmed("This will remove all stopped containers.")? {
        return Ok(0);
    }
    let store = app.store()?;
    let lease = store.lease()?;
    let (mut removed, mut freed) = (Vec::new(), 0);
    for container in store.containers()? {
        if container.state.is_running() || !is_meant(&container, &meant) {
            continue;
        }
        let size = tree_size(&container.upper()).unwrap_or(0);
        match store.remove_container(&lease, &container.id) {
            Ok(()) => {
                freed += size;
                removed.push(container.id);
            }
            // Somebody removed it first, or has begun to use it.
            Err(
                layerfs::Error::ContainerNotFound { .. } | layerfs::Error::ContainerRunning { .. },
            ) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if !removed.is_empty() {
        say!("Deleted Containers:\n{}\n", removed.join("\n"));
    }
    say!("Total reclaimed space: {}", human::size(freed));
    Ok(0)
}

fn is_meant(container: &Container, meant: &Prunable) -> bool {
    let config = ContainerConfig::of(container).ok();
    let nanos = config.as_ref().map_or(0, |config| config.created_nanos);
    let made = match nanos {
        0 => Timestamp::from_second(container.created).ok(),
        nanos => Timestamp::from_nanosecond(nanos.into()).ok(),
    };
    let labels = config.map(|config| config.runtime.labels.into_iter().collect());
    meant.takes(made, &labels.unwrap_or_default())
}
