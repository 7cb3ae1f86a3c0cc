//! The options of `run` and `create` about networks.

use std::net::{IpAddr, Ipv4Addr};

use layerfs::Store;
use oci::RuntimeConfig;

use super::options::names::Names;
use super::options::sharing::Sharing;
use crate::error::Failure;
use crate::machine::is_in_first_user_namespace;
use crate::networks::choice::Link;
use crate::networks::connect::Connection;
use crate::networks::flag::NetworkFlag;
use crate::networks::mac::MacAddress;
use crate::networks::publish::{PublishFlag, Published, protocol, range};
use crate::networks::{DEFAULT, NetworkChoice, way_out};

// What `run` and `create` take about networks.
#[derive(Debug, clap::Args)]
pub(crate) struct NetworkArgs {
    /// The network that the command sees: host, none, bridge, container:NAME, or one of your own;
    /// host if no port is published, nothing of the network's is set, and root does not let the
    /// container change it (--privileged, --cap-add NET_ADMIN); else bridge. Of your own
    /// also several, each with what the container has there:
    /// name=NAME,alias=NAME,ip=ADDRESS,mac-address=ADDRESS
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    network: Vec<NetworkFlag>,
    /// Another name on its network
    #[arg(long, visible_alias = "net-alias", value_name = "NAME")]
    network_alias: Vec<String>,
    /// The container's address on its network
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Ipv4Addr>,
    /// The address of the container's interface on the link, as 02:42:ac:11:00:02
    #[arg(long, value_name = "ADDRESS")]
    mac_address: Option<MacAddress>,
    /// Know a container of the network by one more name
    #[arg(long, value_name = "CONTAINER[:NAME]")]
    pub(crate) link: Vec<Link>,
    /// Note that the container listens at a port, or a range of them: PORT[/udp]
    #[arg(long, value_name = "PORTS")]
    expose: Vec<String>,
    /// Publish a port: [[IP:]HOST_PORT:]PORT[/udp], or ranges of ports
    #[arg(short, long, value_name = "PORTS")]
    publish: Vec<PublishFlag>,
    /// Publish all ports that the image exposes, on any that are free
    #[arg(short = 'P', long)]
    publish_all: bool,
}

impl NetworkArgs {
    /// Notes the ports that the container listens at, as `EXPOSE` does.
    pub(crate) fn expose(&self, runtime: &mut RuntimeConfig) -> Result<(), Failure> {
        for text in &self.expose {
            let (ports, protocol) = protocol(text).map_err(Failure::new)?;
            for port in range(ports).map_err(Failure::new)? {
                let port = format!("{port}/{}", protocol.as_str());
                runtime.exposed_ports.insert(port, serde_json::json!({}));
            }
        }
        Ok(())
    }

    /// The ports to publish.
    pub(crate) fn ports(&self, image: &RuntimeConfig) -> Result<Vec<Published>, Failure> {
        let mut ports: Vec<Published> =
            self.publish.iter().flat_map(|flag| flag.0.iter().copied()).collect();
        if self.publish_all {
            for exposed in image.exposed_ports.keys() {
                let (text, protocol) = protocol(exposed).map_err(Failure::new)?;
                for container in range(text).map_err(Failure::new)? {
                    let known = |p: &Published| (p.container, p.protocol) == (container, protocol);
                    if !ports.iter().any(known) {
                        let ip = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
                        ports.push(Published { ip, host: 0, container, protocol });
                    }
                }
            }
        }
        if !ports.is_empty() && matches!(self.first(), Some(NetworkChoice::Host)) {
            anstream::eprintln!(
                "note: published ports are discarded: the container shares its network"
            );
            ports.clear();
        }
        Ok(ports)
    }

    /// Refuses what a container that has the network of another would have of its own.
    pub(crate) fn refuse_beside_another(
        &self,
        names: &Names,
        hostname: Option<&str>,
    ) -> Result<(), Failure> {
        if !matches!(self.first(), Some(NetworkChoice::Container(_))) {
            return Ok(());
        }
        let publishes = !self.publish.is_empty() || self.publish_all;
        let given = [
            (hostname.is_some(), "hostname and the network mode"),
            (!names.dns.is_empty(), "dns and the network mode"),
            (!names.add_host.is_empty(), "custom host-to-IP mapping and the network mode"),
            (publishes, "port publishing and the container type network mode"),
            (!self.expose.is_empty(), "port exposing and the container type network mode"),
        ];
        match given.into_iter().find(|(is_given, _)| *is_given) {
            Some((_, both)) => Err(Failure::new(format!("conflicting options: {both}"))
                .hint("give it to the container whose network this one has")),
            None => Ok(()),
        }
    }

    /// On the network that containers have unless they choose another, what is linked to must be
    /// there; on others it may come later.
    pub(crate) fn check_links(
        &self,
        store: &Store,
        network: &NetworkChoice,
    ) -> Result<(), Failure> {
        if *network == NetworkChoice::Named(DEFAULT.into()) {
            for link in &self.link {
                store.container(&link.container)?;
            }
        }
        Ok(())
    }

    /// Says what is missing for the way out of a network of an ordinary user's.
    pub(crate) fn tell_of_limits(choice: &NetworkChoice) {
        if matches!(choice, NetworkChoice::Named(_))
            && !is_in_first_user_namespace()
            && let Some(missing) = way_out::missing()
        {
            anstream::eprintln!(
                "note: the networks of an ordinary user have no way out here: {missing}"
            );
        }
    }

    /// The name of the container where it is the machine's, whose network was asked for.
    pub(crate) fn hostname(&self) -> Option<String> {
        let name = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        matches!(self.first(), Some(NetworkChoice::Host)).then(name)
    }

    /// Whether all ports are published that the image exposes.
    pub(crate) fn publishes_all(&self) -> bool {
        self.publish_all
    }

    fn first(&self) -> Option<&NetworkChoice> {
        self.network.first().map(|flag| &flag.network)
    }

    /// Whether options ask for a network with others.
    fn wants_others(&self) -> bool {
        !self.link.is_empty() || self.mac_address.is_some()
    }

    /// The networks, given the ports and whether the container could change the machine's.
    pub(crate) fn chosen(
        &self,
        ports: &[Published],
        sharing: &Sharing,
        could_change: bool,
    ) -> Result<Chosen, Failure> {
        let wants_own =
            !ports.is_empty() || self.wants_others() || sharing.sets_network() || could_change;
        let network = match self.first() {
            Some(choice) => choice.clone(),
            None if wants_own => NetworkChoice::Named(DEFAULT.into()),
            None => NetworkChoice::Host,
        };
        let mut chosen = Chosen {
            network,
            aliases: self.network_alias.clone(),
            address: self.ip,
            mac: self.mac_address,
            connections: Vec::new(),
        };
        if let Some(flag) = self.network.first() {
            chosen.aliases.extend(flag.aliases.iter().cloned());
            chosen.address = flag.address.or(chosen.address);
            chosen.mac = flag.mac.or(chosen.mac);
        }
        if chosen.network == NetworkChoice::Named(DEFAULT.into()) && !chosen.aliases.is_empty() {
            return Err(Failure::new("names on a network are for networks of your own")
                .hint("`tierce network create` makes one"));
        }
        if !matches!(chosen.network, NetworkChoice::Named(_)) {
            self.refuse_what_is_about_others(&chosen)?;
        }
        for flag in self.network.iter().skip(1) {
            chosen.connections.push(connection(flag)?);
        }
        Ok(chosen)
    }

    /// Options mean nothing on a network where nobody else is.
    fn refuse_what_is_about_others(&self, chosen: &Chosen) -> Result<(), Failure> {
        let given = [
            ("--network-alias", !chosen.aliases.is_empty()),
            ("--ip", chosen.address.is_some()),
            ("--mac-address", chosen.mac.is_some()),
            ("--link", !self.link.is_empty()),
            ("--network", self.network.len() > 1),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some(("--network", _)) => {
                let network = String::from(chosen.network.clone());
                Err(Failure::new(format!(
                    "a container on the network {network} can be on no other"
                )))
            }
            Some((option, _)) => {
                let message = format!("`{option}` is for containers on a network with others");
                Err(Failure::new(message)
                    .hint("choose one with `--network`: `tierce network ls` lists them"))
            }
            None => Ok(()),
        }
    }
}

/// What comes of the options.
pub(crate) struct Chosen {
    pub(crate) network: NetworkChoice,
    pub(crate) aliases: Vec<String>,
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) mac: Option<MacAddress>,
    /// The networks beside that one.
    pub(crate) connections: Vec<Connection>,
}

fn connection(flag: &NetworkFlag) -> Result<Connection, Failure> {
    let NetworkFlag { network, aliases, address, mac } = flag.clone();
    match network {
        NetworkChoice::Named(network) => Ok(Connection { network, aliases, address, mac }),
        other => {
            let network = String::from(other);
            Err(Failure::new(format!("a container on the network {network} can be on no other")))
        }
    }
}
