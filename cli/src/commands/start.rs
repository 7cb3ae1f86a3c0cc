//! `tierce start`: runs a container again, to its end.

use layerfs::Durability;

use crate::app::App;
use crate::containers::{Attached, ContainerConfig, OWN_FAILURE, run_to_end};
use crate::error::{Failure, Outcome};

/// What `tierce start` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Show its output and pass signals on, which is what `start` does; docker wants to be told
    #[arg(short, long)]
    attach: bool,
    /// Pass standard input on
    #[arg(short, long)]
    interactive: bool,
    /// Names or ids of containers
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Carries it out, one container after the other.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let mut status = 0;
    for name in &args.containers {
        let container = store.container(name)?;
        if container.state.is_running() {
            return Err(Failure::new(format!("container {} is running already", container.name))
                .code(OWN_FAILURE));
        }
        let terminal = ContainerConfig::of(&container)?.terminal;
        let attached = Attached { input: args.interactive, terminal };
        let lease = store.lease()?;
        status = run_to_end(app, store, &lease, &container, Durability::Durable, attached)?;
    }
    Ok(status)
}
