//! A container as a row of the list.

use jiff::Timestamp;
use layerfs::{Container, Store};
use serde_json::{Value, json};

use super::{Args, One};
use crate::containers::ContainerConfig;
use crate::containers::mounts::MountContent;
use crate::containers::status::{status, word};
use crate::error::Failure;
use crate::networks::NetworkChoice;
use crate::networks::join::Addresses;
use crate::networks::publish::{Published, shown};
use crate::tree_size::tree_size;
use crate::ui::filter::joined;
use crate::ui::human;

/// How much of a command a table shows.
const COMMAND_WIDTH: usize = 20;

/// The row, with docker's fields.
pub(super) fn row(one: &One, store: &Store, args: &Args, now: Timestamp) -> Result<Value, Failure> {
    let Container { id, name, image_name, state, .. } = &one.container;
    let id = if args.list.no_trunc { id } else { &id[..12] };
    let made = Timestamp::from_nanosecond(one.created().into()).unwrap_or(now);
    let volumes = volumes(one);
    Ok(json!({
        "ContainerID": id,
        "ID": id,
        "Image": image(&one.container, store, args.list.no_trunc).unwrap_or(image_name.clone()),
        "Command": command(one, args.list.no_trunc),
        "CreatedAt": human::date(made),
        "CreatedSince": human::ago(made, now),
        "RunningFor": human::ago(made, now),
        "Status": status(&one.container, now),
        "State": word(*state),
        "Names": name,
        "Networks": networks(one).join(","),
        "Mounts": mounts(one).join(","),
        "LocalVolumes": volumes.len().to_string(),
        "Ports": ports(one),
        "Size": if args.wants_size() { size(&one.container, store)? } else { "0B".into() },
        "Labels": one.config.as_ref().map(|config| {
            joined(&config.runtime.labels.clone().into_iter().collect())
        }),
    }))
}

/// The id of its image where the name has become another's.
fn image(container: &Container, store: &Store, whole: bool) -> Option<String> {
    let id = container.image.as_ref()?;
    let named = store.resolve(&container.image_name).ok();
    let is_its = named.is_some_and(|named| named.id == *id);
    let shown = if whole { id.to_string() } else { id.hex()[..12].to_owned() };
    (!is_its).then_some(shown)
}

/// As docker words it: an argument with a space stands in quotes.
fn command(one: &One, whole: bool) -> String {
    let command = one.config.as_ref().map(ContainerConfig::command).unwrap_or_default();
    let word = |(at, word): (usize, &String)| match at > 0 && word.contains(' ') {
        true => format!("'{word}'"),
        false => word.clone(),
    };
    let words: Vec<String> = command.iter().enumerate().map(word).collect();
    let mut text = words.join(" ");
    if !whole && text.chars().count() > COMMAND_WIDTH {
        text = text.chars().take(COMMAND_WIDTH - 1).chain(['…']).collect();
    }
    format!("\"{text}\"")
}

/// What it wrote, and what it has with its image.
fn size(container: &Container, store: &Store) -> Result<String, Failure> {
    let wrote = tree_size(&container.upper())?;
    let mut whole = wrote;
    for layer in &container.layers {
        whole += store.layer(layer)?.map_or(0, |layer| layer.size);
    }
    Ok(format!("{} (virtual {})", human::size(wrote), human::size(whole)))
}

/// The names of all networks that it is on.
pub(super) fn networks(one: &One) -> Vec<String> {
    let Some(config) = &one.config else { return Vec::new() };
    let mut all = vec![String::from(config.network.clone())];
    all.extend(config.connections.iter().map(|connection| connection.network.clone()));
    all.sort_unstable();
    all
}

/// Its volumes by name, and by path what it has of the machine.
fn mounts(one: &One) -> Vec<String> {
    let mounts = one.config.iter().flat_map(|config| &config.mounts);
    let names = mounts.filter_map(|mount| match &mount.content {
        MountContent::Volume { name, .. } => Some(name.clone()),
        MountContent::Bind { source, .. } => Some(source.display().to_string()),
        MountContent::Tmpfs(_) => None,
    });
    names.collect()
}

fn volumes(one: &One) -> Vec<&str> {
    let mounts = one.config.iter().flat_map(|config| &config.mounts);
    let names = mounts.filter_map(|mount| match &mount.content {
        MountContent::Volume { name, .. } => Some(name.as_str()),
        _ => None,
    });
    names.collect()
}

/// The ports that lead to a container that runs, and those that it says it listens at besides.
fn ports(one: &One) -> String {
    let published = Addresses::of(&one.container).ports;
    let is_published = |port: &str| {
        let key = |port: &Published| format!("{}/{}", port.container, port.protocol.as_str());
        published.iter().any(|known| key(known) == port)
    };
    let config = one.config.iter().filter(|config| {
        one.container.state.is_running() && matches!(config.network, NetworkChoice::Named(_))
    });
    let exposed = config.flat_map(|config| config.runtime.exposed_ports.keys());
    let mut all: Vec<String> = exposed.filter(|port| !is_published(port)).cloned().collect();
    all.extend((!published.is_empty()).then(|| shown(&published)));
    all.join(", ")
}
