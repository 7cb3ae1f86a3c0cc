//! Connects a container to one network, when it starts or while it runs.

use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

use layerfs::{Container, ContainerState, Store};
use runtime::network::{
    Interface, Uplink, disconnect, ensure_bridge, lead_out, namespace_of, way_out,
};
use serde::{Deserialize, Serialize};

use super::join::{Addresses, PlaceOn, random_name};
use super::mac::MacAddress;
use super::switchboard::Switchboard;
use super::{Driver, Endpoint, Network, NetworkChoice, Networks, hosts};
use crate::containers::ContainerConfig;
use crate::error::Failure;
use crate::machine::is_in_first_user_namespace;

/// A network that a container is to be on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Connection {
    /// Its name.
    pub(crate) network: String,
    /// Other names that the container has there.
    pub(crate) aliases: Vec<String>,
    /// The address that it is to have there; a free one if none was chosen.
    pub(crate) address: Option<Ipv4Addr>,
    /// The address that its interface is to have on the link there.
    #[serde(default)]
    pub(crate) mac: Option<MacAddress>,
}

/// What came of it.
pub(super) struct Connected {
    pub(super) network: Network,
    pub(super) endpoint: Endpoint,
    pub(super) address: Ipv4Addr,
    /// Who was there before.
    pub(super) others: Vec<Endpoint>,
    aliases: Vec<String>,
}

impl Connected {
    /// The place, as it is shown.
    pub(super) fn place(&self) -> PlaceOn {
        let (network, gateway) = (self.network.name.clone(), self.network.gateway);
        PlaceOn {
            network,
            address: self.address,
            gateway,
            mac: self.endpoint.mac,
            aliases: self.aliases.clone(),
            network_id: self.network.id.clone(),
            prefix: self.network.subnet.prefix(),
        }
    }

    /// Tells the container, which has a file of names already, of itself and the others there.
    pub(super) fn tell_container(&self, store: &Store) {
        for known in self.others.iter().chain([&self.endpoint]) {
            hosts::learn(store, &self.endpoint.container, known);
        }
    }
}

impl Networks<'_> {
    /// Gives a container another name on all networks that it is on; the others there learn of it.
    pub(crate) fn rename(&self, container: &Container, name: &str) -> Result<(), Failure> {
        for network in self.all()? {
            let (own, others): (Vec<Endpoint>, Vec<Endpoint>) = self
                .endpoints(&network)?
                .into_iter()
                .partition(|endpoint| endpoint.container == container.id);
            for mut endpoint in own {
                if let Some(first) = endpoint.names.first_mut() {
                    name.clone_into(first);
                }
                self.note(&network, &endpoint)?;
                for other in &others {
                    hosts::forget(self.store, &other.container, endpoint.address);
                    hosts::learn(self.store, &other.container, &endpoint);
                }
            }
        }
        Ok(())
    }
}

/// Connects a container by its namespace; the others there learn of it.
pub(super) fn connect(
    networks: &mut Networks<'_>,
    container: &Container,
    connection: &Connection,
    namespace: BorrowedFd<'_>,
) -> Result<Connected, Failure> {
    let network = networks.find(&connection.network)?;
    let others = networks.endpoints(&network)?;
    let address = match connection.address {
        Some(address) => wanted_address(&network, &others, address)?,
        None => free_address(&network, &others)?,
    };
    let mut names = vec![container.name.clone(), container.id[..12].to_owned()];
    names.extend(connection.aliases.iter().cloned());
    let interface = String::new();
    let mac = connection.mac;
    let mut endpoint = Endpoint { container: container.id.clone(), address, names, interface, mac };
    let prefix = network.subnet.prefix();
    if matches!(network.driver, Driver::Macvlan { .. }) && !is_in_first_user_namespace() {
        let message = format!("network {} is on an interface of the machine", network.name);
        return Err(Failure::new(message).hint("only root makes more of those"));
    }
    networks.switchboard.ensure()?;
    let networks = &*networks;
    if network.driver == Driver::Bridge {
        let gateway = Interface { address: network.gateway, prefix };
        let is_machines = matches!(networks.switchboard, Switchboard::Machines);
        networks.switchboard.act(|| {
            ensure_bridge(&network.bridge(), gateway)?;
            if !network.internal {
                open_way_out(&network, is_machines);
            }
            Ok(())
        })?;
    }
    networks.note(&network, &endpoint)?;
    let gateway = (!network.internal).then_some(network.gateway);
    let outside = format!("tv-{}", &random_name(&container.id)[..12]);
    let interface = Interface { address, prefix };
    let mac = mac.unwrap_or_else(|| MacAddress::by_default(address)).bytes();
    let bridge = network.bridge();
    let uplink = match &network.driver {
        Driver::Bridge => Uplink::Bridge { name: &bridge, outside: &outside },
        Driver::Macvlan { parent } => Uplink::Macvlan { name: parent },
    };
    let connected = networks
        .switchboard
        .act(|| runtime::network::connect(namespace, uplink, interface, mac, gateway))?;
    endpoint.interface = connected.unwrap_or_default();
    networks.note(&network, &endpoint)?;
    networks.note_event(&network, "connect", Some(&container.id));
    others.iter().for_each(|other| hosts::learn(networks.store, &other.container, &endpoint));
    Ok(Connected { network, endpoint, address, others, aliases: connection.aliases.clone() })
}

/// Without a way out the containers of a network still have each other and the machine.
fn open_way_out(network: &Network, is_machines: bool) {
    let range = Interface { address: network.gateway, prefix: network.subnet.prefix() };
    let open = if is_machines { way_out::open } else { way_out::open_in_own_namespace };
    match open(&network.bridge(), range) {
        Ok(true) => {}
        Ok(false) => {
            tracing::debug!(network = %network.name, "the machine has no route that leads out");
        }
        Err(error) => {
            tracing::warn!(network = %network.name, %error, "its containers have no way out");
        }
    }
}

fn free_address(network: &Network, others: &[Endpoint]) -> Result<Ipv4Addr, Failure> {
    let is_free = |address: &Ipv4Addr| {
        !network.is_reserved(*address) && !others.iter().any(|other| other.address == *address)
    };
    let message = || Failure::new(format!("network {} has no free address", network.name));
    let ends = |address: &Ipv4Addr| network.subnet.is_end(*address);
    let range = network.range.unwrap_or(network.subnet);
    range.all().filter(|address| !ends(address)).find(is_free).ok_or_else(message)
}

fn wanted_address(
    network: &Network,
    others: &[Endpoint],
    address: Ipv4Addr,
) -> Result<Ipv4Addr, Failure> {
    let taken = network.is_reserved(address) || others.iter().any(|other| other.address == address);
    match network.subnet.contains(address) {
        false => Err(Failure::new(format!("{address} is not an address of {}", network.name))),
        true if taken => Err(Failure::new(format!("address {address} is in use"))),
        true => Ok(address),
    }
}

impl Networks<'_> {
    /// Connects a container to one more network, at once if it runs.
    pub(crate) fn connect(
        &mut self,
        container: &Container,
        connection: Connection,
    ) -> Result<(), Failure> {
        let connection = Connection { network: self.find(&connection.network)?.name, ..connection };
        let mut config = ContainerConfig::of(container)?;
        let NetworkChoice::Named(first) = &config.network else {
            let network = String::from(config.network.clone());
            return Err(Failure::new(format!(
                "container {} has the network `{network}`, which is the only one it can have",
                container.name
            )));
        };
        let is_there = |name: &String| *name == connection.network;
        if is_there(first) || config.connections.iter().map(|known| &known.network).any(is_there) {
            return Err(Failure::new(format!(
                "container {} is on network {} already",
                container.name, connection.network
            )));
        }
        if let ContainerState::Running(run) = &container.state {
            let namespace = namespace_of(run.process.pid)?;
            let connected = connect(self, container, &connection, namespace.as_fd())?;
            connected.tell_container(self.store);
            let mut addresses = Addresses::of(container);
            addresses.more.push(connected.place());
            addresses.write(container)?;
        }
        config.connections.push(connection);
        self.keep(container, &config)
    }

    /// Takes a container off a network, at once if it runs.
    pub(crate) fn disconnect(&self, container: &Container, network: &str) -> Result<(), Failure> {
        let network = self.find(network)?;
        let mut config = ContainerConfig::of(container)?;
        let before = config.connections.len();
        config.connections.retain(|known| known.network != network.name);
        let was_first = config.network == NetworkChoice::Named(network.name.clone());
        if !was_first && config.connections.len() == before {
            return Err(Failure::new(format!(
                "container {} is not on network {}",
                container.name, network.name
            )));
        }
        if was_first && !config.ports.is_empty() {
            return Err(Failure::new(format!(
                "the published ports of container {} lead through network {}",
                container.name, network.name
            )));
        }
        if was_first {
            // The next one takes its place.
            let next = (!config.connections.is_empty()).then(|| config.connections.remove(0));
            config.network = match next {
                Some(next) => {
                    config.network_aliases = next.aliases;
                    config.network_address = next.address;
                    config.network_mac = next.mac;
                    NetworkChoice::Named(next.network)
                }
                None => NetworkChoice::None,
            };
        }
        if let ContainerState::Running(run) = &container.state {
            self.take_off(container, &network, run.process.pid)?;
        }
        self.keep(container, &config)
    }

    fn take_off(&self, container: &Container, network: &Network, pid: u32) -> Result<(), Failure> {
        let namespace = namespace_of(pid)?;
        let endpoints = self.endpoints(network)?;
        for endpoint in endpoints.iter().filter(|known| known.container == container.id) {
            disconnect(namespace.as_fd(), &endpoint.interface)?;
            self.leave(network, endpoint)?;
        }
        endpoints.iter().for_each(|known| hosts::forget(self.store, &container.id, known.address));
        self.remove_if_empty(network)?;
        let mut addresses = Addresses::of(container);
        addresses.more.retain(|place| place.network != network.name);
        if addresses.network.as_ref() == Some(&network.name) {
            let next = (!addresses.more.is_empty()).then(|| addresses.more.remove(0));
            addresses.network = next.as_ref().map(|place| place.network.clone());
            addresses.address = next.as_ref().map(|place| place.address);
            addresses.gateway = next.as_ref().map(|place| place.gateway);
            addresses.mac = next.as_ref().and_then(|place| place.mac);
            addresses.prefix = next.as_ref().map_or(0, |place| place.prefix);
            addresses.network_id = next.map(|place| place.network_id).unwrap_or_default();
        }
        addresses.write(container)?;
        // The way out may have gone with the interface; another network may have one.
        for other in self.all()?.iter().filter(|other| !other.internal) {
            for endpoint in self.endpoints(other)?.iter().filter(|e| e.container == container.id) {
                lead_out(namespace.as_fd(), &endpoint.interface, other.gateway)?;
            }
        }
        Ok(())
    }

    fn keep(&self, container: &Container, config: &ContainerConfig) -> Result<(), Failure> {
        Ok(self.store.set_container_config(&container.id, &serde_json::to_value(config)?)?)
    }

    /// Writes an endpoint down.
    fn note(&self, network: &Network, endpoint: &Endpoint) -> Result<(), Failure> {
        let place = self.endpoint_dir(network).join(endpoint.address.to_string());
        Ok(fs::write(place, serde_json::to_vec(endpoint)?)?)
    }
}
