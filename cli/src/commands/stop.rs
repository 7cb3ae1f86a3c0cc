//! `tierce stop`: asks containers to end, and kills those that do not.

use layerfs::Store;
use runtime::Signal;

use crate::app::App;
use crate::containers::events::note;
use crate::containers::{ContainerConfig, each};
use crate::error::{Failure, Outcome};
use crate::keeper::ask::ask_for_end;
use crate::keeper::wire::Request;

// What `tierce stop` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) how: How,
    /// Names or ids of containers
    #[arg(required = true, value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

// How a container is asked to end.
#[derive(clap::Args)]
pub(crate) struct How {
    /// How many seconds it may take until it is killed; -1 for any number
    #[arg(
        short,
        long = "timeout",
        alias = "time",
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    time: Option<i64>,
    /// The signal that asks it to end
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<Signal>,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    each(&args.containers, |name| stop(store, name, &args.how))
}

/// Ends a container; one that does not run has ended.
pub(crate) fn stop(store: &Store, name: &str, how: &How) -> Result<(), Failure> {
    let container = store.container(name)?;
    if !container.state.is_running() {
        return Ok(());
    }
    let config = ContainerConfig::of(&container)?;
    let signal = how.signal.map_or_else(|| config.stop_signal(), Signal::number);
    let request = Request::Stop { signal, seconds: config.stop_seconds(how.time) };
    note(store, &container, "kill", &[("signal", signal.to_string())]);
    ask_for_end(store, &container, &request)?;
    note(store, &container, "stop", &[]);
    Ok(())
}
