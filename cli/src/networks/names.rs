//! The name server of a container on a network of its own: it knows the containers there, and asks
//! the machine's servers for all other names. It ends with the container's keeper.

mod message;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use runtime::network::in_namespace;
use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

use self::message::{Outcome, Query, Wanted};
use super::choice::Link;
use super::proxy::{Ports, has_come};
use super::{Endpoint, Network};
use crate::error::{Doing, Failure};

/// Where containers find it, as docker's do.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const PORT: u16 = 53;

/// The most that is passed on at once.
const MOST: usize = 64;
/// How long a server of the machine may take, with two tries.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many answers to other questions are passed over.
const STRAYS: usize = 8;
/// The largest message by datagram.
const DATAGRAM: usize = 4096;

/// Whom to ask.
pub(super) struct Known {
    /// The directory of all networks.
    pub(super) networks: PathBuf,
    pub(super) container: String,
    /// Containers that it knows by one more name.
    pub(super) links: Vec<Link>,
    /// The servers for names that no container has.
    pub(super) servers: Vec<IpAddr>,
}

/// Serves names inside a namespace.
pub(super) fn serve(
    ports: &mut Ports,
    namespace: BorrowedFd<'_>,
    known: Known,
) -> Result<(), Failure> {
    let listen = || in_namespace(namespace, listen);
    let socket = Arc::new(listen().doing(|| "cannot serve names to the container".into())?);
    let (known, busy) = (Arc::new(known), Arc::new(AtomicUsize::new(0)));
    let turn = AtomicUsize::new(0);
    Ok(ports.serve(move |stopped| {
        let mut datagram = vec![0; DATAGRAM];
        while has_come(socket.as_fd(), &stopped) {
            let Ok((length, client)) = socket.recv_from(&mut datagram) else { continue };
            let message = datagram.get(..length).unwrap_or_default();
            let Some(query) = Query::read(message) else { continue };
            match known.answer(&query, turn.fetch_add(1, Ordering::Relaxed)) {
                // As on any way, a datagram may be lost.
                Some(answer) => drop(socket.send_to(&answer, client)),
                None => pass_on(&socket, client, message.to_vec(), &known, &busy),
            }
        }
    })?)
}

/// A socket that leaves the port to a name server that the container itself may run on all its
/// addresses.
fn listen() -> io::Result<UdpSocket> {
    let kind = SocketType::DGRAM;
    let socket = socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddr::from((SERVER, PORT)))?;
    Ok(socket.into())
}

impl Known {
    /// The answer, if it is about a container of our networks.
    fn answer(&self, query: &Query<'_>, turn: usize) -> Option<Vec<u8>> {
        let mut addresses = Vec::new();
        // It is by one of its own names that a linked container is there.
        let linked = self.links.iter().find(|link| link.name.eq_ignore_ascii_case(&query.name));
        let wanted = linked.map_or(query.name.as_str(), |link| &link.container).to_lowercase();
        for (network, endpoints) in networks_of(&self.networks, &self.container) {
            for endpoint in &endpoints {
                match query.wanted() {
                    Wanted::Name(address) => {
                        if address == endpoint.address {
                            let name = endpoint.names.first()?;
                            return Some(query.named(&format!("{name}.{}", network.name)));
                        }
                    }
                    Wanted::Address | Wanted::Other => {
                        if has_name(endpoint, &network, &wanted) {
                            addresses.push(endpoint.address);
                        }
                    }
                }
            }
        }
        if addresses.is_empty() {
            return None;
        }
        // Several containers with one name take turns.
        let first = turn % addresses.len();
        addresses.rotate_left(first);
        Some(match query.wanted() {
            Wanted::Address => query.addresses(&addresses),
            // It is there, and has nothing of the kind.
            _ => query.nothing(Outcome::Good),
        })
    }

    /// Asks the servers one after the other; nothing if none answers.
    fn ask(&self, message: &[u8]) -> Option<Vec<u8>> {
        let has_way_out = networks_of(&self.networks, &self.container)
            .iter()
            .any(|(network, _)| !network.internal);
        let servers = self.servers.iter().filter(|_| has_way_out);
        servers.cycle().take(2 * self.servers.len()).find_map(|server| ask(*server, message).ok())
    }
}

fn has_name(endpoint: &Endpoint, network: &Network, wanted: &str) -> bool {
    endpoint.names.iter().any(|name| {
        wanted == name.to_lowercase() || wanted == format!("{name}.{}", network.name).to_lowercase()
    })
}

/// The networks of a container with all who are on them. Read without the lock: what is being
/// written meanwhile is found by the next query.
fn networks_of(dir: &Path, container: &str) -> Vec<(Network, Vec<Endpoint>)> {
    let mut found = Vec::new();
    for network in entries(dir) {
        let endpoints: Vec<Endpoint> =
            entries(&network.join("endpoints")).iter().filter_map(|path| read(path)).collect();
        let network = read(&network.join("network.json"));
        if let Some(network) = network
            && endpoints.iter().any(|endpoint| endpoint.container == container)
        {
            found.push((network, endpoints));
        }
    }
    found
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Asks others on a thread of its own, unless too many are on their way.
fn pass_on(
    socket: &Arc<UdpSocket>,
    client: SocketAddr,
    message: Vec<u8>,
    known: &Arc<Known>,
    busy: &Arc<AtomicUsize>,
) {
    if busy.fetch_add(1, Ordering::Relaxed) >= MOST {
        busy.fetch_sub(1, Ordering::Relaxed);
        return;
    }
    let (socket, known, counted) = (socket.clone(), known.clone(), busy.clone());
    let asking = thread::Builder::new().name("query".into()).spawn(move || {
        let failed = || Query::read(&message).map(|query| query.nothing(Outcome::Failed));
        if let Some(answer) = known.ask(&message).or_else(failed) {
            let _ = socket.send_to(&answer, client);
        }
        counted.fetch_sub(1, Ordering::Relaxed);
    });
    if asking.is_err() {
        busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Asks one server, of the machine's network.
fn ask(server: IpAddr, message: &[u8]) -> io::Result<Vec<u8>> {
    let own: SocketAddr = match server {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own)?;
    // From nobody else an answer is taken.
    socket.connect((server, PORT))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(message)?;
    let mut datagram = vec![0; DATAGRAM];
    // What comes for another question is passed over, but not for ever.
    for _ in 0..STRAYS {
        let length = socket.recv(&mut datagram)?;
        if datagram.get(..2) == message.get(..2) {
            datagram.truncate(length);
            return Ok(datagram);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_with_and_without_its_network() {
        let endpoint = Endpoint {
            container: String::new(),
            address: Ipv4Addr::LOCALHOST,
            names: vec!["Web".into(), "alias".into()],
            interface: String::new(),
            mac: None,
        };
        let network = Network {
            id: String::new(),
            name: "Net".into(),
            created: String::new(),
            subnet: "10.0.0.0/24".parse().unwrap(),
            gateway: Ipv4Addr::LOCALHOST,
            internal: false,
            labels: std::collections::BTreeMap::new(),
            range: None,
            reserved: std::collections::BTreeMap::new(),
            driver: super::super::Driver::Bridge,
        };
        for (name, expected) in
            [("web", true), ("web.net", true), ("alias", true), ("web2", false), ("web.x", false)]
        {
            assert_eq!(has_name(&endpoint, &network, name), expected, "{name}");
        }
    }
}
