//! `tierce kill`: sends containers a signal.

use layerfs::Store;
use runtime::Signal;

use crate::app::App;
use crate::containers::{each, events::note};
use crate::error::{Failure, Outcome};
use crate::keeper::ask::{ask_for_end, demand};
use crate::keeper::wire::Request;

// What `tierce kill` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which signal
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    signal: String,
    /// Names or ids of containers
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let signal: Signal = args.signal.parse()?;
    let store = app.store()?;
    each(&args.containers, |name| kill(store, name, signal))
}

fn kill(store: &Store, name: &str, signal: Signal) -> Result<(), Failure> {
    let container = store.container(name)?;
    if container.state.is_running() {
        note(store, &container, "kill", &[("signal", signal.number().to_string())]);
    }
    if signal == Signal::KILL && container.state.is_running() {
        let request = Request::Stop { signal: signal.number(), seconds: None };
        return ask_for_end(store, &container, &request).map(drop);
    }
    demand(store, &container, &Request::Signal(signal.number())).map(drop)
}
