//! `tierce events`, which is not there: nobody runs all the time to note them.

use crate::app::App;
use crate::error::{Failure, Outcome};

/// What `tierce events` takes: whatever docker takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _words: Vec<String>,
}

/// Says why.
pub(crate) fn run(_: &Args, _: &App) -> Outcome {
    let message = "there are no events: no daemon runs that would note what happens";
    Err(Failure::new(message).hint(
        "`tierce wait` waits for the end of a container, `tierce logs --follow` for what it says, \
         `tierce ps --filter` finds those in a state",
    ))
}
