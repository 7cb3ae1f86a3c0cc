//! `tierce unpause`: lets the processes of paused containers go on.

use crate::app::App;
use crate::error::Outcome;
use crate::keeper::ask::demand_of_each;
use crate::keeper::wire::Request;

// What `tierce unpause` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names or ids of containers
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    demand_of_each(app, &args.containers, &Request::Unpause)
}
