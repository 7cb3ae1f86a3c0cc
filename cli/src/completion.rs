//! What a shell offers where something is being typed: commands, options, and the names of what
//! the store has.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use clap::{Arg, CommandFactory};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::CompleteEnv;

use crate::Cli;
use crate::app::App;
use crate::error::Failure;
use crate::machine::Machine;
use crate::networks::Networks;

/// What a shell sets to its own name when it asks.
pub(crate) const VARIABLE: &str = "TIERCE_COMPLETE";

/// Answers a shell that asks what may follow. Says whether one did.
///
/// # Errors
/// If the shell is unknown, or the answer cannot be printed.
pub(crate) fn answer() -> clap::error::Result<bool> {
    let here = std::env::current_dir().ok();
    CompleteEnv::with_factory(described)
        .var(VARIABLE)
        .try_complete(std::env::args_os(), here.as_deref())
}

/// The command line, with all that the store can say about it.
fn described() -> clap::Command {
    let mut cli = Cli::command();
    // What is described when it is typed must be there before something is added to it.
    cli.build();
    with_names(cli)
}

fn with_names(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| match named_in_store(&arg) {
            Some(kinds) => {
                let names = move |begun: &OsStr| candidates(kinds, begun);
                arg.add(ArgValueCompleter::new(names))
            }
            None => arg,
        })
        .mut_subcommands(with_names)
}

/// Something of a store that has names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Container,
    Image,
    Network,
    Volume,
}

/// What the values of an argument are names of.
fn named_in_store(arg: &Arg) -> Option<&'static [Kind]> {
    let [name] = arg.get_value_names()? else { return None };
    match (name.as_str(), arg.get_id().as_str()) {
        ("CONTAINER", _) => Some(&[Kind::Container]),
        ("IMAGE", _) => Some(&[Kind::Image]),
        ("CONTAINER|IMAGE", _) => Some(&[Kind::Container, Kind::Image]),
        ("NETWORK", _) => Some(&[Kind::Network]),
        ("VOLUME", _) => Some(&[Kind::Volume]),
        // What `inspect` and `tag` take.
        ("NAME", "names") => Some(&[Kind::Container, Kind::Image, Kind::Network, Kind::Volume]),
        _ => None,
    }
}

/// The names that begin as what was typed. A store that cannot be read has none: a shell that
/// waits for an answer is no place for errors.
fn candidates(kinds: &[Kind], begun: &OsStr) -> Vec<CompletionCandidate> {
    let Some(begun) = begun.to_str() else { return Vec::new() };
    let names = names(kinds).unwrap_or_default();
    let fitting = names.into_iter().filter(|name| name.starts_with(begun));
    fitting.map(CompletionCandidate::new).collect()
}

fn names(kinds: &[Kind]) -> Result<BTreeSet<String>, Failure> {
    let machine = Machine::look(None);
    let root = machine.variable("TIERCE_ROOT").map_or_else(|| machine.default_root(), Into::into);
    let mut names = BTreeSet::new();
    // To ask makes no store.
    if !root.is_absolute() || !root.join("state.db").exists() {
        return Ok(names);
    }
    let app = App::new(machine, root, runtime::userns::Isolation::default());
    let store = app.store()?;
    for kind in kinds {
        match kind {
            Kind::Container => {
                names.extend(store.containers()?.into_iter().map(|container| container.name));
            }
            Kind::Image => {
                let images = store.images()?;
                let tags = images.iter().flat_map(|image| &image.names);
                names.extend(tags.map(oci::Reference::familiar));
            }
            Kind::Network => {
                let networks = Networks::lock(store)?.all()?;
                names.extend(networks.into_iter().map(|network| network.name));
            }
            Kind::Volume => names.extend(store.volumes()?.into_iter().map(|volume| volume.name)),
        }
    }
    Ok(names)
}
