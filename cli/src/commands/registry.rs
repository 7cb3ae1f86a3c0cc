//! `tierce registry`: a registry of one's own.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;
use registry_server::{Registry, Storage};

use crate::app::App;
use crate::error::{Doing, Failure, Outcome};
use crate::ui::say;

/// What `tierce registry` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Serve a registry until it is told to stop; its first line of output is its address
    Serve {
        /// Address and port to listen on; port 0 takes a free one
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
        listen: SocketAddr,
        /// Keep everything in this directory instead of in memory
        #[arg(long, value_name = "DIR")]
        storage: Option<PathBuf>,
    },
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let Action::Serve { listen, storage } = &args.action;
    let storage = match storage {
        None => Storage::memory(),
        Some(dir) => Storage::dir(dir).doing(|| format!("cannot open {}", dir.display()))?,
    };
    app.network()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen)
            .await
            .doing(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        say!("listening on http://{address}");
        std::io::stdout().flush()?;
        registry_server::serve(listener, Registry::new(storage), asked_to_stop()?).await?;
        Ok(0)
    })
}

/// Ends with the first SIGTERM or SIGINT.
fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
