//! Lists of a registry: its repositories, and the tags of one.

use oci::Reference;
use serde_json::json;

use super::Asker;
use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::error::Outcome;
use crate::ui::say;

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A line for each
    Text,
    /// One array
    Json,
}

#[derive(clap::Args)]
pub(crate) struct Repositories {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How the list is printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The registry, and what the names of its repositories are to begin with
    #[arg(value_name = "HOST[:PORT][/PREFIX]")]
    registry: String,
}

#[derive(clap::Args)]
pub(crate) struct Tags {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How the list is printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The repository
    repository: Reference,
}

#[derive(clap::Args)]
pub(crate) struct Ping {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The registry
    #[arg(value_name = "HOST[:PORT]")]
    registry: String,
}

/// The repositories of a registry.
pub(super) fn repositories(args: &Repositories, app: &App) -> Outcome {
    let (registry, prefix) = args.registry.split_once('/').unwrap_or((&args.registry, ""));
    let asker = Asker::new(app, &args.connection, registry)?;
    let mut all = asker.ask(asker.client.catalog(registry))?;
    all.retain(|name| name.starts_with(prefix));
    print(&all, args.format)
}

/// The tags of a repository.
pub(super) fn tags(args: &Tags, app: &App) -> Outcome {
    let asker = Asker::of(app, &args.connection, &args.repository)?;
    print(&asker.ask(asker.client.tags(&args.repository))?, args.format)
}

/// Whether there is a registry that lets us in.
pub(super) fn ping(args: &Ping, app: &App) -> Outcome {
    let asker = Asker::new(app, &args.connection, &args.registry)?;
    asker.ask(asker.client.ping(&args.registry))?;
    say!("{} answers", args.registry);
    Ok(0)
}

fn print(all: &[String], format: Format) -> Outcome {
    match format {
        Format::Text => {
            for name in all {
                say!("{name}");
            }
        }
        Format::Json => say!("{}", json!(all)),
    }
    Ok(0)
}
