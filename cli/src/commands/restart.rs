//! `tierce restart`: ends containers and starts them again.

use crate::app::App;
use crate::commands::{start, stop};
use crate::containers::each;
use crate::containers::events::note;
use crate::error::Outcome;

// What `tierce restart` takes.
#[derive(clap::Args)]
// It is one group of options with those of `stop`.
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    stop: stop::Args,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    each(&args.stop.containers, |name| {
        stop::stop(store, name, &args.stop.how)?;
        start::start(app, store, name)?;
        note(store, &store.container(name)?, "restart", &[]);
        Ok(())
    })
}
