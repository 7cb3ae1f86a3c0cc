//! `tierce rm`: removes containers.

use rustix::process::{Pid, Signal, kill_process};

use layerfs::{ContainerState, Store};

use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::ui::say;

/// What `tierce rm` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names or ids of containers
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
    /// Kill containers that run
    #[arg(short, long)]
    force: bool,
}

/// Carries it out; what can be removed is removed even if something else cannot.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let mut status = 0;
    for name in &args.containers {
        match remove(store, name, args.force) {
            Ok(()) => say!("{name}"),
            Err(failure) => {
                anstream::eprintln!("{}{failure}", crate::ui::ERROR);
                status = 1;
            }
        }
    }
    Ok(status)
}

fn remove(store: &Store, name: &str, force: bool) -> Result<(), Failure> {
    let container = store.container(name)?;
    if let ContainerState::Running { pid, .. } = container.state {
        if !force {
            return Err(Failure::new(format!("container {} is running", container.name))
                .hint("remove it all the same with `--force`"));
        }
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            // Gone already is just as well.
            let _ = kill_process(pid, Signal::KILL);
        }
        store.set_container_state(&container.id, ContainerState::exited(137))?;
    }
    Ok(store.remove_container(&store.lease()?, &container.id)?)
}
