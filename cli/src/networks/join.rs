//! Joins a container that is about to start to its network.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use layerfs::{Container, ContainerState, Store};
use runtime::network::{namespace_of, new_namespace};
use serde::{Deserialize, Serialize};

use super::choice::Link;
use super::connect::{self, Connected, Connection};
use super::mac::MacAddress;
use super::proxy::{self, Ports, Target};
use super::publish::{Protocol, Published};
use super::switchboard::Holder;
use super::{DEFAULT, Driver, Network, NetworkChoice, Networks, Subnet, hosts, names, servers_of};
use crate::app::App;
use crate::containers::{ContainerConfig, hostname};
use crate::error::Failure;

/// A container's place on its network, which it has as long as this is held.
pub(crate) struct Joined {
    network: Option<runtime::Network>,
    /// What the container gets as `/etc/hosts`, if that is a file of ours.
    pub(crate) hosts: Option<PathBuf>,
    /// What is kept of the container whose network it has, if it has another's.
    pub(crate) host: Option<Box<ContainerConfig>>,
    ports: Option<Ports>,
    /// Whose places are given back in the end.
    place: Option<(Store, String)>,
    /// Keeps the bridges where they are, if they are not the machine's.
    holder: Option<Holder>,
}

/// What is known of the network of a container that runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) network: Option<String>,
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) gateway: Option<Ipv4Addr>,
    #[serde(default)]
    pub(crate) mac: Option<MacAddress>,
    /// The id of the network, and how many bits of the address are the network's.
    #[serde(default)]
    pub(crate) network_id: String,
    #[serde(default)]
    pub(crate) prefix: u8,
    pub(crate) ports: Vec<Published>,
    /// The networks beside that one.
    #[serde(default)]
    pub(crate) more: Vec<PlaceOn>,
}

/// A container's place on one more network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlaceOn {
    pub(crate) network: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) gateway: Ipv4Addr,
    #[serde(default)]
    pub(crate) mac: Option<MacAddress>,
    pub(crate) aliases: Vec<String>,
    #[serde(default)]
    pub(crate) network_id: String,
    #[serde(default)]
    pub(crate) prefix: u8,
}

impl Addresses {
    /// Notes them for a container.
    pub(crate) fn write(&self, container: &Container) -> Result<(), Failure> {
        Ok(fs::write(file(&container.dir), serde_json::to_vec(self)?)?)
    }

    /// Those of a container, if it runs.
    pub(crate) fn of(container: &Container) -> Addresses {
        let read = || serde_json::from_slice(&fs::read(file(&container.dir)).ok()?).ok();
        container.state.is_running().then(read).flatten().unwrap_or_default()
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("network.json")
}

impl Joined {
    /// The network for the container's process. Taken once.
    pub(crate) fn take_network(&mut self) -> runtime::Network {
        self.network.take().unwrap_or(runtime::Network::None)
    }

    fn plain(network: runtime::Network) -> Joined {
        Joined {
            network: Some(network),
            hosts: None,
            host: None,
            ports: None,
            place: None,
            holder: None,
        }
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        drop(self.ports.take());
        let Some((store, container)) = self.place.take() else { return };
        let left = Networks::lock(&store).and_then(|networks| networks.leave_all(&container));
        if let Err(failure) = left {
            // The next one who uses the networks sweeps.
            tracing::warn!(%failure, "the network is left as it is");
        }
        // Not before: the bridges are where it was held.
        drop(self.holder.take());
    }
}

/// Joins a container, whose state says already that it runs.
pub(crate) fn join(
    app: &App,
    store: &Store,
    container: &Container,
    config: &ContainerConfig,
) -> Result<Joined, Failure> {
    let _ = fs::remove_file(file(&container.dir));
    match &config.network {
        NetworkChoice::Host => Ok(Joined::plain(runtime::Network::Host)),
        NetworkChoice::None => Ok(Joined::plain(runtime::Network::None)),
        NetworkChoice::Container(name) => {
            let other = store.container(name)?;
            if other.id == container.id {
                return Err(Failure::new("a container cannot join its own network"));
            }
            let ContainerState::Running(run) = other.state else {
                return Err(Failure::new(format!(
                    "container {name}, whose network is wanted, does not run"
                )));
            };
            let namespace = namespace_of(run.process.pid)?;
            let mut joined = Joined::plain(runtime::Network::Namespace(namespace));
            joined.host = Some(Box::new(ContainerConfig::of(&other)?));
            joined.hosts = Some(hosts::path(&other.dir)).filter(|path| path.is_file());
            Ok(joined)
        }
        NetworkChoice::Named(name) => {
            let servers = match config.names.dns.as_slice() {
                [] => servers_of(&String::from_utf8_lossy(&app.machine.resolv_conf())),
                chosen => chosen.to_vec(),
            };
            on_bridge(store, container, config, name, servers)
        }
    }
}

fn on_bridge(
    store: &Store,
    container: &Container,
    config: &ContainerConfig,
    name: &str,
    servers: Vec<IpAddr>,
) -> Result<Joined, Failure> {
    let mut networks = Networks::lock(store)?;
    // What it had when its keeper was killed is nobody's: only now it runs again.
    networks.leave_all(&container.id)?;
    if name == DEFAULT {
        networks.ensure_default()?;
    }
    let own = Connection {
        network: name.to_owned(),
        aliases: config.network_aliases.clone(),
        address: config.network_address,
        mac: config.network_mac,
    };
    let namespace = new_namespace()?;
    // From here on the places are given back whatever happens.
    let mut joined = Joined::plain(runtime::Network::None);
    joined.place = Some((store.clone(), container.id.clone()));
    let join_up = || -> Result<(), Failure> {
        let first = connect::connect(&mut networks, container, &own, namespace.as_fd())?;
        joined.holder = networks.switchboard.hold(&networks.dir)?;
        let (mut opened, ports) = publish(config, &namespace, first.address)?;
        if name != DEFAULT {
            let (networks, container) = (networks.dir.clone(), container.id.clone());
            let links = config.links.clone();
            let known = names::Known { networks, container, links, servers };
            names::serve(&mut opened, namespace.as_fd(), known)?;
        }
        joined.ports = Some(opened);
        let hosts = hosts::path(&container.dir);
        let hostname = config.host_names(hostname(container, config));
        let given = config.names.hosts();
        // On a network of one's own the name server knows them, whenever they come and go.
        let links = if name == DEFAULT { linked(store, config, &first)? } else { String::new() };
        let given = given + &links;
        fs::write(&hosts, hosts::content(&first.endpoint, &hostname, &given, &first.others))?;
        joined.hosts = Some(hosts);
        let mut addresses = Addresses {
            network: Some(first.network.name.clone()),
            address: Some(first.address),
            gateway: Some(first.network.gateway),
            mac: first.endpoint.mac,
            network_id: first.network.id.clone(),
            prefix: first.network.subnet.prefix(),
            ports,
            more: Vec::new(),
        };
        for connection in &config.connections {
            let next = connect::connect(&mut networks, container, connection, namespace.as_fd())?;
            next.tell_container(store);
            addresses.more.push(next.place());
        }
        addresses.write(container)
    };
    let result = join_up();
    // Leaving takes the lock again.
    drop(networks);
    result?;
    joined.network = Some(runtime::Network::Namespace(namespace));
    Ok(joined)
}

/// Lines for the containers that one knows by further names. What has the machine's network is
/// found where the machine is.
fn linked(store: &Store, config: &ContainerConfig, own: &Connected) -> Result<String, Failure> {
    let mut lines = String::new();
    for Link { container, name } in &config.links {
        let linked = store.container(container)?;
        let theirs = ContainerConfig::of(&linked)?;
        let other = own.others.iter().find(|other| other.container == linked.id);
        let (address, names) = match other {
            Some(other) => (other.address, other.names.join(" ")),
            _ if !linked.state.is_running() => {
                return Err(Failure::new(format!(
                    "cannot link to {container}, which is not running"
                )));
            }
            None if theirs.network == NetworkChoice::Host => {
                (own.network.gateway, format!("{} {}", linked.name, &linked.id[..12]))
            }
            None => {
                return Err(Failure::new(format!(
                    "cannot link to {container}, which is not on the same network"
                )));
            }
        };
        let hostname = hostname(&linked, &theirs).to_owned();
        lines += &format!("{address}\t{name} {hostname} {names}\n");
    }
    Ok(lines)
}

impl Networks<'_> {
    /// Makes the network that containers are on unless they choose another, if it is not there yet.
    pub(crate) fn ensure_default(&self) -> Result<(), Failure> {
        match self.look_up(DEFAULT)? {
            Some(_) => Ok(()),
            None => self.create(&new_network(self, DEFAULT, None, None)?),
        }
    }
}

/// A network that does not exist yet, on addresses that nobody has.
pub(crate) fn new_network(
    networks: &Networks<'_>,
    name: &str,
    subnet: Option<Subnet>,
    gateway: Option<Ipv4Addr>,
) -> Result<Network, Failure> {
    let all = networks.all()?;
    let mut taken = Subnet::routed();
    taken.extend(all.iter().map(|network| network.subnet));
    let subnet = match subnet {
        Some(subnet) => match all.iter().find(|other| other.subnet.overlaps(subnet)) {
            Some(other) => {
                let (subnet, taken) = (String::from(subnet), String::from(other.subnet));
                let message = format!("{subnet} overlaps {taken} of network {}", other.name);
                return Err(Failure::new(message).hint("without `--subnet`, a free range is taken"));
            }
            None => subnet,
        },
        None => Subnet::free(&taken)
            .ok_or_else(|| Failure::new("all ranges of addresses are in use"))?,
    };
    let first = subnet.addresses().next();
    let gateway = gateway.or(first).filter(|gateway| subnet.contains(*gateway));
    let gateway = gateway.ok_or_else(|| Failure::new("the gateway is not in the subnet"))?;
    Ok(Network {
        id: random_name(name),
        name: name.to_owned(),
        created: jiff::Timestamp::now().to_string(),
        subnet,
        gateway,
        internal: false,
        labels: std::collections::BTreeMap::new(),
        range: None,
        reserved: std::collections::BTreeMap::new(),
        driver: Driver::Bridge,
    })
}

/// 64 hexadecimal digits that nobody else has.
pub(super) fn random_name(seed: &str) -> String {
    let moment = jiff::Timestamp::now().as_nanosecond();
    let text = format!("{seed} {moment} {}", std::process::id());
    oci::Algorithm::Sha256.digest(text.as_bytes()).hex().to_owned()
}

/// Opens the published ports; each with the one that it got.
fn publish(
    config: &ContainerConfig,
    namespace: &OwnedFd,
    address: Ipv4Addr,
) -> Result<(Ports, Vec<Published>), Failure> {
    let mut ports = Ports::new()?;
    let namespace = Arc::new(namespace.try_clone()?);
    let mut opened = Vec::new();
    for port in &config.ports {
        let target = Target {
            namespace: namespace.clone(),
            address: SocketAddr::from((address, port.container)),
        };
        let place = SocketAddr::from((port.ip, port.host));
        let failed = || format!("cannot publish port {} at {place}", port.container);
        let taken = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => {
                Failure::new(format!("{}: port is already allocated", failed()))
            }
            _ => Failure::new(format!("{}: {error}", failed())),
        };
        let host = match port.protocol {
            Protocol::Tcp => {
                let listener = TcpListener::bind(place).map_err(taken)?;
                let host = listener.local_addr()?.port();
                proxy::serve_tcp(&mut ports, listener, target)?;
                host
            }
            Protocol::Udp => {
                let socket = UdpSocket::bind(place).map_err(taken)?;
                let host = socket.local_addr()?.port();
                proxy::serve_udp(&mut ports, socket, target)?;
                host
            }
        };
        opened.push(Published { host, ..*port });
    }
    Ok((ports, opened))
}
