//! Joins a container that is about to start to its network.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use layerfs::{Container, ContainerState, Store};
use runtime::network::{Interface, connect, ensure_bridge, namespace_of, new_namespace, way_out};
use serde::{Deserialize, Serialize};

use super::proxy::{self, Ports, Target};
use super::publish::{Protocol, Published};
use super::{DEFAULT, Endpoint, Network, NetworkChoice, Networks, Subnet, hosts};
use crate::app::App;
use crate::containers::{ContainerConfig, hostname};
use crate::error::{Doing, Failure};

/// A container's place on its network, which it has as long as this is held.
pub(crate) struct Joined {
    network: Option<runtime::Network>,
    /// What the container gets as `/etc/hosts`, if that is a file of ours.
    pub(crate) hosts: Option<PathBuf>,
    ports: Option<Ports>,
    place: Option<(Store, Network, Endpoint)>,
}

/// What is known of the network of a container that runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) network: Option<String>,
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) ports: Vec<Published>,
}

impl Addresses {
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
        Joined { network: Some(network), hosts: None, ports: None, place: None }
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        drop(self.ports.take());
        let Some((store, network, endpoint)) = self.place.take() else { return };
        let left = Networks::lock(&store).and_then(|networks| {
            networks.leave(&network, &endpoint)?;
            match networks.endpoints(&network)?.is_empty() {
                true => Ok(runtime::network::remove_bridge(&network.bridge())?),
                false => Ok(()),
            }
        });
        if let Err(failure) = left {
            // The next one who uses the networks sweeps.
            tracing::warn!(%failure, "the network is left as it is");
        }
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
            let ContainerState::Running(run) = other.state else {
                return Err(Failure::new(format!("container {name}, whose network is wanted, does not run")));
            };
            Ok(Joined::plain(runtime::Network::Namespace(namespace_of(run.process.pid)?)))
        }
        NetworkChoice::Named(name) if app.machine.is_in_first_user_namespace() => {
            on_bridge(store, container, config, name)
        }
        NetworkChoice::Named(name) if name == DEFAULT => alone(container, config),
        NetworkChoice::Named(name) => {
            Err(Failure::new(format!("network {name} needs root, which makes its interfaces"))
                .hint("an ordinary user has `--network host`, `none` and `bridge`, the last with published ports alone"))
        }
    }
}

/// A namespace without interfaces, into which ports are published all the same.
fn alone(container: &Container, config: &ContainerConfig) -> Result<Joined, Failure> {
    let namespace = new_namespace()?;
    let (opened, ports) = publish(config, &namespace, Ipv4Addr::LOCALHOST)?;
    let addresses = Addresses { network: Some(DEFAULT.into()), ports, ..Addresses::default() };
    fs::write(file(&container.dir), serde_json::to_vec(&addresses)?)?;
    let mut joined = Joined::plain(runtime::Network::Namespace(namespace));
    joined.ports = Some(opened);
    Ok(joined)
}

fn on_bridge(
    store: &Store,
    container: &Container,
    config: &ContainerConfig,
    name: &str,
) -> Result<Joined, Failure> {
    let networks = Networks::lock(store)?;
    if name == DEFAULT && networks.find(name).is_err() {
        networks.create(&new_network(&networks, name, None, None)?)?;
    }
    let network = networks.find(name)?;
    let others = networks.endpoints(&network)?;
    let address = free_address(&network, &others)?;
    let mut names = vec![container.name.clone(), container.id[..12].to_owned()];
    names.extend(config.network_aliases.iter().cloned());
    let endpoint = Endpoint { container: container.id.clone(), address, names };
    let prefix = network.subnet.prefix();
    ensure_bridge(&network.bridge(), Interface { address: network.gateway, prefix })?;
    if !network.internal {
        open_way_out(&network);
    }
    let namespace = new_namespace()?;
    let place = networks.endpoint_dir(&network).join(address.to_string());
    fs::write(place, serde_json::to_vec(&endpoint)?)?;
    // From here on the place is given back whatever happens.
    let mut joined = Joined::plain(runtime::Network::None);
    joined.place = Some((store.clone(), network.clone(), endpoint.clone()));
    let mut join_up = || -> Result<(), Failure> {
        let gateway = (!network.internal).then_some(network.gateway);
        let outside = format!("tv-{}", &random_name(&container.id)[..12]);
        let interface = Interface { address, prefix };
        connect(namespace.as_fd(), &network.bridge(), &outside, interface, gateway)?;
        let (opened, ports) = publish(config, &namespace, address)?;
        joined.ports = Some(opened);
        let hosts = hosts::path(&container.dir);
        let (hostname, given) = (hostname(container, config), config.names.hosts());
        fs::write(&hosts, hosts::content(&endpoint, hostname, &given, &others))?;
        joined.hosts = Some(hosts);
        let addresses = Addresses {
            network: Some(network.name.clone()),
            address: Some(address),
            gateway: Some(network.gateway),
            ports,
        };
        fs::write(file(&container.dir), serde_json::to_vec(&addresses)?)?;
        Ok(())
    };
    let result = join_up();
    others.iter().for_each(|other| hosts::learn(store, &other.container, &endpoint));
    // Leaving takes the lock again.
    drop(networks);
    result?;
    joined.network = Some(runtime::Network::Namespace(namespace));
    Ok(joined)
}

/// Without a way out the containers of a network still have each other and the machine.
fn open_way_out(network: &Network) {
    let range = Interface { address: network.gateway, prefix: network.subnet.prefix() };
    match way_out::open(&network.bridge(), range) {
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
        *address != network.gateway && !others.iter().any(|other| other.address == *address)
    };
    let message = || Failure::new(format!("network {} has no free address", network.name));
    network.subnet.addresses().find(is_free).ok_or_else(message)
}

/// A network that does not exist yet, on addresses that nobody has.
pub(crate) fn new_network(
    networks: &Networks<'_>,
    name: &str,
    subnet: Option<Subnet>,
    gateway: Option<Ipv4Addr>,
) -> Result<Network, Failure> {
    let mut taken = Subnet::routed();
    taken.extend(networks.all()?.iter().map(|network| network.subnet));
    let subnet = match subnet {
        Some(subnet) => subnet,
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
    })
}

/// 64 hexadecimal digits that nobody else has.
fn random_name(seed: &str) -> String {
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
        let host = match port.protocol {
            Protocol::Tcp => {
                let listener = TcpListener::bind(place).doing(failed)?;
                let host = listener.local_addr()?.port();
                proxy::serve_tcp(&mut ports, listener, target)?;
                host
            }
            Protocol::Udp => {
                let socket = UdpSocket::bind(place).doing(failed)?;
                let host = socket.local_addr()?.port();
                proxy::serve_udp(&mut ports, socket, target)?;
                host
            }
        };
        opened.push(Published { host, ..*port });
    }
    Ok((ports, opened))
}
