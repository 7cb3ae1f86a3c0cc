//! The `tierce` command line: the only crate that prints, reads the environment, or picks
//! defaults from the machine. One file a command, under `commands/`.

mod app;
mod artifacts;
mod blobs;
mod builders;
mod clients;
mod commands;
mod completion;
mod containers;
mod copying;
mod error;
mod inspected;
mod keeper;
mod layouts;
mod machine;
mod members;
mod networks;
mod pulling;
mod refused;
mod remotes;
mod signals;
mod staged_file;
mod switches;
mod syncing;
mod terminal;
mod tree_size;
mod ui;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use app::App;
use commands::Command;
use error::{Failure, Outcome};
use machine::Machine;

/// Which version this is.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Under what a command's help has the options that every command takes.
const EVERYWHERE: &str = "Options of every command";

/// Builds, runs, diffs, commits, pushes, pulls and serves OCI images; no daemon, no root.
#[derive(Parser)]
#[command(
    name = "tierce",
    version,
    disable_version_flag = true,
    arg_required_else_help = true,
    max_term_width = 100,
    args_override_self = true
)]
struct Cli {
    /// The store: its images, layers and containers
    #[arg(long, global = true, value_name = "DIR", env = "TIERCE_ROOT", help_heading = EVERYWHERE)]
    root: Option<PathBuf>,

    /// Where docker's configuration is, with the credentials for registries
    #[arg(long, value_name = "DIR", env = "DOCKER_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,

    /// How containers are kept apart: by namespaces, by chroot alone, or as well as can be had
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "HOW",
        env = "TIERCE_ISOLATION",
        help_heading = EVERYWHERE,
        hide_env_values = true
    )]
    isolation: Isolation,

    /// Print the version
    #[arg(short, long, action = clap::ArgAction::Version)]
    version: Option<bool>,

    #[command(subcommand)]
    command: Command,
}

/// `--isolation`.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Isolation {
    #[default]
    #[value(alias = "default")]
    Auto,
    Namespaces,
    Chroot,
}

impl From<Isolation> for runtime::userns::Isolation {
    fn from(isolation: Isolation) -> Self {
        match isolation {
            Isolation::Auto => Self::Auto,
            Isolation::Namespaces => Self::Namespaces,
            Isolation::Chroot => Self::Chroot,
        }
    }
}

fn main() -> ExitCode {
    match completion::answer() {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => {
            let _ = error.print();
            return ExitCode::FAILURE;
        }
    }
    let misread = |cli: &Cli| cli.command.image_like_a_switch();
    let cli: Cli = match switches::parse(std::env::args_os(), misread) {
        Ok(cli) => cli,
        Err(error) => {
            usage::tell(&error);
            return ExitCode::from(usage::status(&error));
        }
    };
    let status = match run(cli) {
        Ok(status) => status,
        Err(failure) => {
            if !failure.message.is_empty() {
                anstream::eprintln!("{}{}", ui::ERROR, ui::shortened(&failure.to_string()));
            }
            failure.code
        }
    };
    ExitCode::from(status)
}

fn run(cli: Cli) -> Outcome {
    let machine = Machine::look(cli.config);
    if let Some(filter) = machine.variable("TIERCE_LOG") {
        log(&filter);
    }
    let root = cli.root.unwrap_or_else(|| machine.default_root());
    let root = std::path::absolute(&root).map_err(|e| {
        Failure::new(format!("the store's path {} is unusable: {e}", root.display()))
    })?;
    let app = App::new(machine, root, cli.isolation.into());
    if cli.command.touches_trees() {
        // Before any thread is started: a namespace is entered by a single-threaded process only.
        app.become_root_of_a_namespace()?;
        if cli.command.makes_trees() {
            app.tell_of_limits();
        }
    }
    cli.command.run(&app)
}

/// What the crates note down while they work, on standard error: `TIERCE_LOG=debug`, or
/// `TIERCE_LOG=registry_client=trace`.
fn log(filter: &str) {
    let filter = tracing_subscriber::EnvFilter::new(filter);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    /// Commands are described when they are typed: a fault in a description waits for that.
    #[test]
    fn every_command_can_be_described() {
        let mut cli = Cli::command();
        cli.build();
        cli.debug_assert();
    }
}
