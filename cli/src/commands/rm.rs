//! `tierce rm`: removes containers.

use layerfs::Store;
use runtime::Signal;

use crate::app::App;
use crate::containers::{Done, each};
use crate::error::{Failure, Outcome};
use crate::keeper::ask::ask_for_end;
use crate::keeper::wire::Request;
use crate::refused::refused;

refused! { Refused {
    #[arg(short)]
    link: "a link goes with the container that has it: see `tierce network disconnect`";
}}

// What `tierce rm` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names or ids of containers
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
    /// Remove the anonymous volumes that nobody else uses, too
    #[arg(short, long)]
    volumes: bool,
    /// Kill containers that run, and mind none that is not there
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    _refused: Refused,
}

/// Carries it out; what can be removed is removed even if something else cannot.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    each(&args.containers, |name| remove(store, name, args))
}

fn remove(store: &Store, name: &str, args: &Args) -> Result<Done, Failure> {
    let container = match store.container(name) {
        Err(layerfs::Error::ContainerNotFound { .. }) if args.force => {
            anstream::eprintln!("no such container: {name}");
            return Ok(Done::NotThere);
        }
        result => result?,
    };
    if container.state.is_running() {
        if !args.force {
            return Err(Failure::new(format!("container {} is running", container.name))
                .hint("remove it all the same with `--force`"));
        }
        let kill = Request::Stop { signal: Signal::KILL.number(), seconds: None };
        ask_for_end(store, &container, &kill)?;
    }
    let lease = store.lease()?;
    let removed = match args.volumes {
        true => store.remove_container_and_volumes(&lease, &container.id),
        false => store.remove_container(&lease, &container.id),
    };
    match removed {
        // Somebody else did, or it was to be removed with its end.
        Err(layerfs::Error::ContainerNotFound { .. }) => Ok(Done::Done),
        result => Ok(result?.into()),
    }
}
