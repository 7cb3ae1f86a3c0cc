//! `tierce rm`: removes containers.

use layerfs::Store;
use runtime::Signal;

use crate::app::App;
use crate::containers::each;
use crate::error::{Failure, Outcome};
use crate::keeper::ask::ask_for_end;
use crate::keeper::wire::Request;

/// What `tierce rm` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names or ids of containers
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
    /// Kill containers that run, and mind none that is not there
    #[arg(short, long)]
    force: bool,
}

/// Carries it out; what can be removed is removed even if something else cannot.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    each(&args.containers, |name| remove(store, name, args.force))
}

fn remove(store: &Store, name: &str, force: bool) -> Result<(), Failure> {
    let container = match store.container(name) {
        Err(layerfs::Error::ContainerNotFound { .. }) if force => {
            anstream::eprintln!("no such container: {name}");
            return Ok(());
        }
        result => result?,
    };
    if container.state.is_running() {
        if !force {
            return Err(Failure::new(format!("container {} is running", container.name))
                .hint("remove it all the same with `--force`"));
        }
        let kill = Request::Stop { signal: Signal::KILL.number(), seconds: None };
        ask_for_end(store, &container, &kill)?;
    }
    match store.remove_container(&store.lease()?, &container.id) {
        // Somebody else did, or it was to be removed with its end.
        Err(layerfs::Error::ContainerNotFound { .. }) => Ok(()),
        result => Ok(result?),
    }
}
