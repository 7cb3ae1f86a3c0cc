//! `--filter` of `ps`: which containers are meant.

use std::collections::BTreeMap;
use std::path::Path;

use layerfs::{Container, ContainerState, Health, Store};

use super::One;
use super::row::networks;
use crate::containers::mounts::MountContent;
use crate::containers::status::word;
use crate::error::Failure;
use crate::networks::Networks;
use crate::networks::join::Addresses;
use crate::networks::publish::{protocol, range};
use crate::ui::filter::{Filters, Patterns, matches_label};

/// What a list can be narrowed by.
const FILTERS: [&str; 15] = [
    "id",
    "name",
    "status",
    "label",
    "ancestor",
    "exited",
    "health",
    "network",
    "volume",
    "publish",
    "expose",
    "before",
    "since",
    "is-task",
    "isolation",
];
/// docker has more states; no container here is ever in those.
const STATES: [&str; 7] =
    ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
const HEALTHS: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];

/// What is meant, with what its names stand for.
pub(super) struct Narrowed {
    filters: Filters,
    names: Patterns,
    ancestors: Vec<(String, String)>,
    /// When the containers were made that are named.
    times: Vec<(String, i64)>,
    /// The names of the networks that are asked for, also by id.
    networks: Vec<String>,
    published: Vec<String>,
    exposed: Vec<String>,
}

impl Narrowed {
    /// Reads filters, and looks up what they name.
    pub(super) fn read(store: &Store, given: &[String]) -> Result<Narrowed, Failure> {
        let filters = Filters::read(given, &FILTERS)?;
        filters.only("status", &STATES)?;
        filters.only("health", &HEALTHS)?;
        // There is no other isolation, as on every Linux.
        filters.only("isolation", &["", "default"])?;
        filters.truth("is-task")?;
        for code in filters.values("exited") {
            let number: Result<i32, _> = code.parse();
            number
                .map_err(|_| Failure::new(format!("invalid filter `exited={code}`: a number")))?;
        }
        let ancestors = filters
            .values("ancestor")
            .filter_map(|name| Some((name.to_owned(), store.resolve(name).ok()?.id.to_string())))
            .collect();
        let times = ["before", "since"]
            .into_iter()
            .flat_map(|key| filters.values(key))
            .map(|name| Ok((name.to_owned(), One::of(store.container(name)?).created())))
            .collect::<Result<_, Failure>>()?;
        Ok(Narrowed {
            names: filters.patterns("name"),
            ancestors,
            times,
            networks: named_networks(store, &filters)?,
            published: ports(&filters, "publish")?,
            exposed: ports(&filters, "expose")?,
            filters,
        })
    }

    /// Who asks for a state means those that do not run, too.
    pub(super) fn asks_for_a_state(&self) -> bool {
        ["status", "exited"].iter().any(|key| self.filters.values(key).next().is_some())
    }

    /// Whether a container is meant.
    pub(super) fn takes(&self, one: &One) -> bool {
        let filters = &self.filters;
        let Container { id, state, .. } = &one.container;
        filters.any("id", |wanted| id.starts_with(wanted))
            && self.takes_name(&one.container.name)
            && filters.any("status", |wanted| word(*state) == wanted)
            && filters.any("health", |wanted| health(*state) == wanted)
            && filters.any("exited", |wanted| {
                matches!(state, ContainerState::Exited { code, .. } if code.to_string() == wanted)
            })
            && filters.any("is-task", |wanted| matches!(wanted, "0" | "false" | "False" | "FALSE"))
            && self.takes_labels(one)
            && self.takes_image(&one.container)
            && self.takes_mounts(one)
            && self.takes_network(one)
            && filters.every("before", |wanted| one.created() < self.time(wanted))
            && filters.every("since", |wanted| one.created() > self.time(wanted))
    }

    /// docker's names begin with a slash, and are found with it and without.
    fn takes_name(&self, name: &str) -> bool {
        self.names.match_one(name) || self.names.match_one(&format!("/{name}"))
    }

    fn takes_labels(&self, one: &One) -> bool {
        let labels: BTreeMap<String, String> =
            one.config.iter().flat_map(|config| config.runtime.labels.clone()).collect();
        self.filters.every("label", |wanted| matches_label(wanted, &labels))
    }

    fn takes_image(&self, container: &Container) -> bool {
        let image = container.image.as_ref().map(ToString::to_string);
        self.filters.any("ancestor", |wanted| {
            let is_it =
                |(name, id): &(String, String)| name == wanted && Some(id) == image.as_ref();
            container.image_name == wanted || self.ancestors.iter().any(is_it)
        })
    }

    /// By the name of a volume, or by where something is mounted or comes from.
    fn takes_mounts(&self, one: &One) -> bool {
        self.filters.any("volume", |wanted| {
            let mounts = one.config.iter().flat_map(|config| &config.mounts);
            mounts.into_iter().any(|mount| {
                let is_source = match &mount.content {
                    MountContent::Volume { name, .. } => name == wanted,
                    MountContent::Bind { source, .. } => source == Path::new(wanted),
                    _ => false,
                };
                is_source || mount.target == Path::new(wanted)
            })
        })
    }

    fn takes_network(&self, one: &One) -> bool {
        let is_on = |name: &String| self.networks.contains(name);
        let on_network = self.filters.any("network", |_| networks(one).iter().any(is_on));
        let asked = one.config.iter().flat_map(|config| config.ports.clone());
        let mut published = Addresses::of(&one.container).ports.into_iter().chain(asked);
        let exposed = || {
            let config = one.config.iter();
            let said = config.clone().flat_map(|config| config.runtime.exposed_ports.keys());
            let opened = config.flat_map(|config| &config.ports);
            let opened =
                opened.map(|port| format!("{}/{}", port.container, port.protocol.as_str()));
            said.cloned().chain(opened).any(|port| self.exposed.contains(&port))
        };
        on_network
            && (self.published.is_empty()
                || published.any(|port| {
                    self.published.contains(&format!("{}/{}", port.host, port.protocol.as_str()))
                }))
            && (self.exposed.is_empty() || exposed())
    }

    fn time(&self, name: &str) -> i64 {
        self.times.iter().find(|(known, _)| known == name).map_or(0, |(_, time)| *time)
    }
}

fn health(state: ContainerState) -> &'static str {
    let health = match state {
        ContainerState::Running(run) => run.health,
        _ => None,
    };
    match health {
        None => "none",
        Some(Health::Starting) => "starting",
        Some(Health::Healthy) => "healthy",
        Some(Health::Unhealthy) => "unhealthy",
    }
}

/// One may also be asked for by its id.
fn named_networks(store: &Store, filters: &Filters) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = filters.values("network").map(str::to_owned).collect();
    if names.is_empty() {
        return Ok(names);
    }
    let networks = Networks::lock(store)?;
    for name in &mut names {
        if let Some(network) = networks.look_up(name)? {
            *name = network.name;
        }
    }
    Ok(names)
}

/// Ports with their protocol; a range is each of them.
fn ports(filters: &Filters, key: &str) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for text in filters.values(key) {
        let bad = |why: String| Failure::new(format!("invalid filter `{key}={text}`: {why}"));
        let (ports, protocol) = protocol(text).map_err(bad)?;
        for port in range(ports).map_err(bad)? {
            all.push(format!("{port}/{}", protocol.as_str()));
        }
    }
    Ok(all)
}
