//! `tierce registry`: a registry of one's own, and what others have.

mod client;
mod keys;
mod mirrors;
mod settings;
mod webhooks;

pub(super) use client::{attach, referrers};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use registry_server::{Collection, Listener, Registry, Storage};

use self::settings::Settings;
use self::webhooks::Webhooks;
use crate::app::App;
use crate::error::{Doing, Failure, Outcome};
use crate::ui::say;

// What `tierce registry` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Action {
    /// Serve a registry until it is told to stop; its first line of output is its address
    Serve(Serve),
    /// Take away what no image needs from a registry that is not running
    Gc(Gc),
    #[command(flatten)]
    Client(client::Action),
}

// Where a registry is, and what is said of it in a file.
#[derive(clap::Args)]
struct Place {
    /// Keep everything in this directory instead of in memory
    #[arg(long, value_name = "DIR")]
    storage: Option<PathBuf>,
    /// Settings (YAML); flags go before them
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(clap::Args)]
struct Serve {
    #[command(flatten)]
    place: Place,
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:5000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Take blobs that are in the store of `tierce` (--root) from there, without a copy, when they
    /// are asked for by digest
    #[arg(long)]
    share_store: bool,
    /// Let nothing be changed
    #[arg(long)]
    read_only: bool,
    /// Let in who has a password in this file (`htpasswd -B`)
    #[arg(long, value_name = "FILE")]
    htpasswd: Option<PathBuf>,
    /// Let everybody pull, whoever may push
    #[arg(long, requires = "htpasswd")]
    anonymous_pull: bool,
    /// Certificate for TLS, with those that lead to its root (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Let in only clients whose certificate leads to one of these (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// Let answers fail by chance, to test clients: `429=0.1,500=0.01,cut=0.05,slow=200ms`
    #[arg(long, value_name = "FAULTS")]
    fault: Option<String>,
}

#[derive(clap::Args)]
struct Gc {
    #[command(flatten)]
    place: Place,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// Take manifests, too, that no tag, index or subject leads to
    #[arg(long)]
    untagged: bool,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    match &args.action {
        Action::Client(action) => client::run(action, app),
        Action::Serve(args) => {
            let mut settings = Settings::read(&args.place)?;
            settings.take(args);
            serve(&settings, app)
        }
        Action::Gc(args) => {
            let mut settings = Settings::read(&args.place)?;
            settings.collect.untagged |= args.untagged;
            let collection = settings.collection(args.dry_run);
            let storage = settings.open(app)?;
            app.network()?.block_on(settings.check_shared(&storage))?;
            app.network()?.block_on(collect(storage, &collection))
        }
    }
}

fn serve(settings: &Settings, app: &App) -> Outcome {
    let storage = settings.open(app)?;
    app.network()?.block_on(settings.check_shared(&storage))?;
    let listen = settings.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 5000)));
    let (webhooks, posting) = Webhooks::open(&settings.webhooks, app)?;
    let mut rules = settings.rules(app)?;
    if !settings.webhooks.is_empty() {
        rules.events = Listener::new(webhooks);
    }
    let registry = Registry::with_config(storage, rules);
    registry.set_access(app.network()?.block_on(settings.access(app))?);
    let tls = settings.tls()?;
    app.network()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen)
            .await
            .doing(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        say!("listening on {scheme}://{address}");
        std::io::stdout().flush()?;
        let stop = asked_to_stop()?;
        let serving = async {
            match tls.clone() {
                Some(tls) => {
                    registry_server::serve_tls(listener, registry.clone(), tls, stop).await
                }
                None => registry_server::serve(listener, registry.clone(), stop).await,
            }
        };
        tokio::select! {
            served = serving => served?,
            ended = reload(settings, app, &registry, tls.as_ref()) => ended?,
            () = collect_now_and_then(settings, &registry) => {}
        }
        // With the registry goes who tells of events.
        drop(registry);
        posting.end().await;
        Ok(0)
    })
}

/// Reads passwords, tokens, keys and certificates again at every SIGHUP, and keys behind a URL now
/// and then. What cannot be read leaves everything as it was.
async fn reload(
    settings: &Settings,
    app: &App,
    registry: &Registry,
    tls: Option<&registry_server::Tls>,
) -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        let keys_are_old = async {
            match settings.has_remote_keys() {
                true => tokio::time::sleep(keys::EVERY).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = hangup.recv() => {}
            () = keys_are_old => {}
        }
        let access = settings.access(app).await;
        match access.and_then(|access| Ok((access, settings.replace_tls(tls)?))) {
            Ok((access, ())) => registry.set_access(access),
            Err(failure) => tracing::error!("nothing is changed: {}", failure.message),
        }
    }
}

async fn collect_now_and_then(settings: &Settings, registry: &Registry) {
    let Some(every) = settings.collect.every.map(Duration::from) else {
        return std::future::pending().await;
    };
    let collection = settings.collection(false);
    // The first time after a grace period: what clients were told before the start still holds.
    tokio::time::sleep(collection.grace).await;
    loop {
        match registry.collect(&collection).await {
            Ok(gone) => tracing::info!(
                tags = gone.tags.len(),
                manifests = gone.manifests.len(),
                blobs = gone.blobs.len(),
                bytes = gone.bytes,
                "collected"
            ),
            Err(error) => tracing::error!(%error, "collection failed"),
        }
        tokio::time::sleep(every).await;
    }
}

async fn collect(storage: Storage, collection: &Collection) -> Outcome {
    let gone = Registry::new(storage).collect(collection).await?;
    for (kind, names) in [("tag", &gone.tags), ("manifest", &gone.manifests), ("blob", &gone.blobs)]
    {
        for name in names {
            say!("{kind} {name}");
        }
    }
    say!("{} bytes of blobs", gone.bytes);
    Ok(0)
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
