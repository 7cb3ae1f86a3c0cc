//! `tierce create`: a new container that does not run yet.

use crate::app::App;
use crate::containers::options::{self, CreateOptions, Stdin};
use crate::error::Outcome;
use crate::ui::say;

/// What `tierce create` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    options: CreateOptions,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let lease = store.lease()?;
    let (container, _) = options::create(&args.options, app, store, &lease, Stdin::Ours)?;
    say!("{}", container.id);
    Ok(0)
}
