//! `tierce wait`: waits for the end of containers and prints their statuses.

use crate::app::App;
use crate::error::Outcome;
use crate::keeper::ask::ask_for_end;
use crate::keeper::wire::Request;
use crate::ui::say;

// What `tierce wait` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names or ids of containers
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Carries it out, one container after the other.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let mut status = 0;
    for name in &args.containers {
        let code = store
            .container(name)
            .map_err(Into::into)
            .and_then(|container| ask_for_end(store, &container, &Request::Wait));
        match code {
            Ok(code) => say!("{code}"),
            Err(failure) => {
                anstream::eprintln!("{}{failure}", crate::ui::ERROR);
                status = 1;
            }
        }
    }
    Ok(status)
}
