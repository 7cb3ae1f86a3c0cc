//! Networks of containers: what is kept of them, and how containers are joined to them.
//!
//! A network is a directory below `networks/` in the store: what it is, and a file for each address
//! in use. The bridge that it stands for is there while a container is on it. Whoever changes any
//! of this holds a lock on the directory, and begins by removing what dead containers left.

pub(crate) mod choice;
pub(crate) mod connect;
pub(crate) mod flag;
mod hosts;
pub(crate) mod join;
pub(crate) mod mac;
mod names;
mod proxy;
pub(crate) mod publish;
mod servers;
mod subnet;
mod switchboard;
pub(crate) mod way_out;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use layerfs::Store;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Failure};
use crate::machine::is_in_first_user_namespace;

pub(crate) use choice::NetworkChoice;
use mac::MacAddress;
pub(crate) use names::SERVER as NAMES;
pub(crate) use servers::{BEHIND, all as servers_of, reachable};
pub(crate) use subnet::Subnet;
use switchboard::Switchboard;

/// The network of containers that publish ports and choose none; made when it is first used.
pub(crate) const DEFAULT: &str = "bridge";

/// What a network is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Network {
    /// 64 hexadecimal digits.
    pub(crate) id: String,
    pub(crate) name: String,
    /// When it was made, as people write times.
    pub(crate) created: String,
    pub(crate) subnet: Subnet,
    /// The machine's own address in it.
    pub(crate) gateway: Ipv4Addr,
    /// Whether containers on it have no way out.
    pub(crate) internal: bool,
    pub(crate) labels: BTreeMap<String, String>,
    /// The part of the subnet whose addresses containers get that choose none.
    #[serde(default)]
    pub(crate) range: Option<Subnet>,
    /// Addresses that are somebody else's.
    #[serde(default)]
    pub(crate) reserved: BTreeMap<String, Ipv4Addr>,
    /// What it is made of.
    #[serde(default)]
    pub(crate) driver: Driver,
}

/// What a network is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Driver {
    /// A bridge of the machine's own.
    #[default]
    Bridge,
    /// The network of an interface of the machine, with addresses of their own on the link.
    Macvlan {
        /// The interface.
        parent: String,
    },
}

impl Driver {
    /// As docker calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Driver::Bridge => "bridge",
            Driver::Macvlan { .. } => "macvlan",
        }
    }
}

impl Network {
    /// Refuses parts of the subnet that are not.
    pub(crate) fn check_parts(&self) -> Result<(), Failure> {
        let subnet = String::from(self.subnet);
        if let Some(range) = self.range.filter(|range| !self.subnet.holds(*range)) {
            let range = String::from(range);
            return Err(Failure::new(format!("{range} is no part of the subnet {subnet}")));
        }
        match self.reserved.values().find(|address| !self.subnet.contains(**address)) {
            Some(address) => {
                Err(Failure::new(format!("{address} is no address of the subnet {subnet}")))
            }
            None => Ok(()),
        }
    }

    /// Whether nobody can have an address, since it is the machine's or somebody else's.
    fn is_reserved(&self, address: Ipv4Addr) -> bool {
        address == self.gateway || self.reserved.values().any(|reserved| *reserved == address)
    }

    /// The name of its bridge: as long as the kernel takes.
    pub(crate) fn bridge(&self) -> String {
        format!("tc-{}", &self.id[..12])
    }
}

/// A container's place on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) container: String,
    pub(crate) address: Ipv4Addr,
    /// What it is called there, its own name first.
    pub(crate) names: Vec<String>,
    /// The name of its interface.
    #[serde(default)]
    pub(crate) interface: String,
    /// The address of that on its link, if it is not the one that goes with `address`.
    #[serde(default)]
    pub(crate) mac: Option<MacAddress>,
}

/// The networks of a store, locked.
pub(crate) struct Networks<'a> {
    store: &'a Store,
    dir: PathBuf,
    switchboard: Switchboard,
    _lock: File,
}

impl<'a> Networks<'a> {
    /// Locks the networks of a store, and removes what dead containers left on them.
    pub(crate) fn lock(store: &'a Store) -> Result<Networks<'a>, Failure> {
        let dir = store.root().join("networks");
        let failed = || format!("cannot lock {}", dir.display());
        fs::create_dir_all(&dir).doing(failed)?;
        let lock = File::open(&dir).doing(failed)?;
        flock(&lock, FlockOperation::LockExclusive).doing(failed)?;
        let switchboard = Switchboard::find(&dir, is_in_first_user_namespace())?;
        let networks = Networks { store, dir, switchboard, _lock: lock };
        networks.sweep()?;
        Ok(networks)
    }

    /// All networks, by name.
    pub(crate) fn all(&self) -> Result<Vec<Network>, Failure> {
        names_in(&self.dir)?.iter().map(|name| self.read(name)).collect()
    }

    /// The network of this name, or whose id begins so.
    pub(crate) fn find(&self, text: &str) -> Result<Network, Failure> {
        self.look_up(text)?.ok_or_else(|| {
            Failure::new(format!("no network `{text}`")).hint("`tierce network create` makes one")
        })
    }

    /// The same; nothing if there is none.
    pub(crate) fn look_up(&self, text: &str) -> Result<Option<Network>, Failure> {
        let all = self.all()?;
        let named = all.iter().find(|network| network.name == text);
        let by_id = || {
            let mut found = all.iter().filter(|n| text.len() >= 4 && n.id.starts_with(text));
            found.next().filter(|_| found.next().is_none())
        };
        Ok(named.or_else(by_id).cloned())
    }

    /// Makes a network; it appears whole or not at all.
    pub(crate) fn create(&self, network: &Network) -> Result<(), Failure> {
        let name = &network.name;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(is_name) {
            return Err(Failure::new(format!("`{name}` is no name for a network")));
        }
        if matches!(name.as_str(), "host" | "none" | "container" | "default") {
            return Err(Failure::new(format!("`{name}` is no network that can be made")));
        }
        if self.all()?.iter().any(|other| other.name == *name) {
            return Err(Failure::new(format!("network with name {name} already exists")));
        }
        let staged = self.dir.join(".new");
        let failed = || format!("cannot make network {name}");
        remove_all(&staged)?;
        fs::create_dir_all(staged.join("endpoints")).doing(failed)?;
        fs::write(staged.join("network.json"), serde_json::to_vec(network)?).doing(failed)?;
        fs::rename(&staged, self.dir.join(name)).doing(failed)?;
        self.note_event(network, "create", None);
        Ok(())
    }

    /// Notes what happens to a network, or to a container on it.
    fn note_event(&self, network: &Network, action: &str, container: Option<&str>) {
        let mut attributes = BTreeMap::from([
            ("name".to_owned(), network.name.clone()),
            ("type".to_owned(), network.driver.name().to_owned()),
        ]);
        attributes.extend(container.map(|id| ("container".to_owned(), id.to_owned())));
        if let Err(error) = self.store.note_event("network", action, &network.id, &attributes) {
            tracing::warn!(%error, action, "an event is not noted");
        }
    }

    /// Removes a network that no container is on.
    pub(crate) fn remove(&self, network: &Network) -> Result<(), Failure> {
        if !self.endpoints(network)?.is_empty() {
            return Err(Failure::new(format!("network {} has active endpoints", network.name)));
        }
        self.remove_bridge(network)?;
        remove_all(&self.dir.join(&network.name))?;
        self.note_event(network, "destroy", None);
        Ok(())
    }

    fn remove_bridge(&self, network: &Network) -> Result<(), Failure> {
        let name = network.bridge();
        self.switchboard.act(|| runtime::network::remove_bridge(&name)).map(drop)
    }

    /// Who is on a network, by address.
    pub(crate) fn endpoints(&self, network: &Network) -> Result<Vec<Endpoint>, Failure> {
        let dir = self.endpoint_dir(network);
        let mut found = Vec::new();
        for name in names_in(&dir)? {
            found.push(serde_json::from_slice::<Endpoint>(&fs::read(dir.join(name))?)?);
        }
        found.sort_by_key(|endpoint| endpoint.address);
        Ok(found)
    }

    fn endpoint_dir(&self, network: &Network) -> PathBuf {
        self.dir.join(&network.name).join("endpoints")
    }

    fn read(&self, name: &str) -> Result<Network, Failure> {
        let path = self.dir.join(name).join("network.json");
        let bytes = fs::read(&path).doing(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&bytes).doing(|| format!("{} is damaged", path.display()))
    }

    /// Frees the addresses of containers that run no more, and removes bridges without any.
    fn sweep(&self) -> Result<(), Failure> {
        for network in self.all()? {
            let endpoints = self.endpoints(&network)?;
            let mut left = endpoints.len();
            for endpoint in endpoints {
                let container = self.store.container(&endpoint.container);
                if !container.is_ok_and(|container| container.state.is_running()) {
                    self.leave(&network, &endpoint)?;
                    left -= 1;
                }
            }
            let bridge = network.bridge();
            let is_there = self.switchboard.act(|| Ok(runtime::network::is_there(&bridge)))?;
            if left == 0 && is_there == Some(true) {
                self.remove_bridge(&network)?;
            }
        }
        Ok(())
    }

    /// Frees all addresses of a container, and removes the bridges that nobody else is on.
    fn leave_all(&self, container: &str) -> Result<(), Failure> {
        for network in self.all()? {
            for endpoint in self.endpoints(&network)? {
                if endpoint.container == container {
                    self.leave(&network, &endpoint)?;
                    self.remove_if_empty(&network)?;
                }
            }
        }
        Ok(())
    }

    fn remove_if_empty(&self, network: &Network) -> Result<(), Failure> {
        match self.endpoints(network)?.is_empty() {
            true => self.remove_bridge(network),
            false => Ok(()),
        }
    }

    /// Frees an address; the others forget the names that it had.
    fn leave(&self, network: &Network, endpoint: &Endpoint) -> Result<(), Failure> {
        match fs::remove_file(self.endpoint_dir(network).join(endpoint.address.to_string())) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        self.note_event(network, "disconnect", Some(&endpoint.container));
        for other in self.endpoints(network)? {
            hosts::forget(self.store, &other.container, endpoint.address);
        }
        Ok(())
    }
}

fn remove_all(dir: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).doing(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// The names in a directory that are not hidden, sorted.
fn names_in(dir: &Path) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).doing(|| format!("cannot list {}", dir.display()))? {
        names.extend(entry?.file_name().into_string().ok().filter(|name| !name.starts_with('.')));
    }
    names.sort_unstable();
    Ok(names)
}
