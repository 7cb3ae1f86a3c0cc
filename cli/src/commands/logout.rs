//! `tierce logout`: forgets credentials.

use std::path::PathBuf;

use registry_client::auth::erase_login;

use crate::app::App;
use crate::error::Outcome;
use crate::ui::say;

// What `tierce logout` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The registry: host and port
    #[arg(default_value = oci::DEFAULT_REGISTRY)]
    registry: String,
    /// The file with credentials, in place of docker's
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let file = args.authfile.clone().unwrap_or_else(|| app.machine.docker_config());
    let had = app.network()?.block_on(erase_login(&file, &args.registry))?;
    if had {
        say!("Removing login credentials for {}", args.registry);
    } else {
        say!("Not logged in to {}", args.registry);
    }
    Ok(0)
}
