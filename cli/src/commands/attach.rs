//! `tierce attach`: takes part in the input and output of a container that runs.

use layerfs::ContainerState;

use crate::app::App;
use crate::containers::events::note;
use crate::containers::{ContainerConfig, OWN_FAILURE};
use crate::error::{Failure, Outcome};
use crate::keeper::ask;
use crate::keeper::joined::{Joining, Parted, Shown};
use crate::keeper::wire::{self, Request};
use crate::signals::Caught;
use crate::terminal::DetachKeys;

// What `tierce attach` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The keys that leave the container to itself; ctrl-p,ctrl-q unless docker's
    /// configuration says otherwise
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<DetachKeys>,
    /// Pass no standard input on
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on to the container
    #[arg(
        long,
        value_name = "BOOL",
        default_value = "true",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = clap::ArgAction::Set
    )]
    sig_proxy: bool,
    /// Name or id of the container
    container: String,
}

/// Carries it out: its status is the container's.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let container = store.container(&args.container)?;
    if matches!(container.state, ContainerState::Running(run) if run.paused) {
        return Err(Failure::new(format!("container {} is paused", container.name))
            .hint("`tierce unpause` lets it go on"));
    }
    let config = ContainerConfig::of(&container)?;
    let joining = Joining {
        input: config.open_stdin && !args.no_stdin,
        shown: Shown::ALL,
        terminal: config.terminal,
        signals: args.sig_proxy && !config.terminal,
        detach_keys: app.detach_keys(args.detach_keys.as_ref()),
    };
    joining.check()?;
    let caught = Caught::catch()?;
    let not_running = || {
        Failure::new(format!("container {} is not running", container.name))
            .hint("`tierce start -a` starts it")
    };
    let keeper = ask::connect(store, &container.id)?.ok_or_else(not_running)?;
    note(store, &container, "attach", &[]);
    wire::say(&keeper, &Request::Attach(joining.attach(config.stdin_once)))?;
    match joining.until_we_part(&keeper, caught)? {
        Parted::Ended(code) => Ok(u8::try_from(code).unwrap_or(OWN_FAILURE)),
        Parted::Left => {
            note(store, &container, "detach", &[]);
            Ok(0)
        }
        Parted::Lost => Err(Failure::new(format!("the keeper of {} was killed", container.name))),
    }
}
