//! `tierce start`: runs containers again.

use layerfs::{ContainerState, Store};

use crate::app::App;
use crate::containers::events::note;
use crate::containers::{ContainerConfig, OWN_FAILURE, each};
use crate::error::{Failure, Outcome};
use crate::keeper::joined::{Joining, Parted, Shown};
use crate::keeper::launch::launch;
use crate::signals::Caught;
use crate::terminal::DetachKeys;

// What `tierce start` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Show its output and pass signals on, until it ends
    #[arg(short, long)]
    attach: bool,
    /// Pass standard input on
    #[arg(short, long)]
    interactive: bool,
    /// The keys that leave the container to itself; ctrl-p,ctrl-q unless docker's
    /// configuration says otherwise
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<DetachKeys>,
    /// Names or ids of containers
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    if !args.attach && !args.interactive {
        return each(&args.containers, |name| start(app, store, name));
    }
    match &args.containers[..] {
        [name] => attached(args, app, store, name),
        _ => Err(Failure::new("one container at a time can be attached to")),
    }
}

/// Starts a container; one that runs is as good as started.
pub(crate) fn start(app: &App, store: &Store, name: &str) -> Result<(), Failure> {
    let container = store.container(name)?;
    if let ContainerState::Running(run) = container.state {
        return match run.paused {
            true => Err(Failure::new(format!("container {} is paused", container.name))
                .hint("`tierce unpause` lets it go on")),
            false => Ok(()),
        };
    }
    let lease = store.lease()?;
    launch(app, store, &lease, &container, None).map(drop)
}

fn attached(args: &Args, app: &App, store: &Store, name: &str) -> Outcome {
    let container = store.container(name)?;
    if container.state.is_running() {
        return Err(Failure::new(format!("container {} is running already", container.name))
            .hint("`tierce attach` takes part in a container that runs"));
    }
    let config = ContainerConfig::of(&container)?;
    let joining = Joining {
        input: args.interactive && config.open_stdin,
        shown: Shown::ALL,
        terminal: config.terminal,
        signals: !config.terminal,
        detach_keys: app.detach_keys(args.detach_keys.as_ref()),
    };
    joining.check()?;
    let caught = Caught::catch()?;
    let attach = joining.attach(config.stdin_once);
    note(store, &container, "attach", &[]);
    let lease = store.lease()?;
    let keeper = launch(app, store, &lease, &container, Some(attach))?;
    drop(lease);
    match joining.until_we_part(&keeper, caught)? {
        Parted::Ended(code) => Ok(u8::try_from(code).unwrap_or(OWN_FAILURE)),
        Parted::Left => {
            note(store, &container, "detach", &[]);
            Ok(0)
        }
        Parted::Lost => Err(Failure::new(format!("the keeper of {} was killed", container.name))),
    }
}
