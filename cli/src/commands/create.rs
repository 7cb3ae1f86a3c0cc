//! `tierce create`: a new container that does not run yet.

use crate::app::App;
use crate::containers::options::{self, CreateOptions, Stdin};
use crate::error::Outcome;
use crate::refused::refused;
use crate::ui::say;

refused! { NotAttached {
    #[arg(short)]
    attach: "`tierce start` says what it takes part in: --attach, --interactive";
}}

// What `tierce create` takes.
#[derive(clap::Args)]
#[command(override_usage = "tierce create [OPTIONS] <IMAGE> [COMMAND]...")]
pub(crate) struct Args {
    #[command(flatten)]
    options: CreateOptions,
    #[command(flatten)]
    _refused: NotAttached,
}

impl Args {
    /// What stands in the place of the image, if it looks like a switch.
    pub(crate) fn image_like_a_switch(&self) -> Option<String> {
        self.options.image_like_a_switch()
    }
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let lease = store.lease()?;
    let (container, _) = options::create(&args.options, app, store, &lease, Stdin::Ours)?;
    say!("{}", container.id);
    Ok(0)
}
