//! The options of `run` and `create` about networks.

use std::net::{IpAddr, Ipv4Addr};

use oci::RuntimeConfig;

use crate::error::Failure;
use crate::machine::is_in_first_user_namespace;
use crate::networks::choice::Link;
use crate::networks::publish::{PublishFlag, Published, protocol, range};
use crate::networks::{DEFAULT, NetworkChoice, way_out};

/// What `run` and `create` take about networks.
#[derive(Debug, clap::Args)]
pub(crate) struct NetworkArgs {
    /// The network that the command sees: host, none, bridge, container:NAME, or one of your own;
    /// host if no port is published, else bridge
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    network: Option<NetworkChoice>,
    /// Another name on its network
    #[arg(long, value_name = "NAME")]
    pub(crate) network_alias: Vec<String>,
    /// The container's address on its network
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: Option<Ipv4Addr>,
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
        if !ports.is_empty()
            && matches!(self.network, Some(NetworkChoice::Host | NetworkChoice::Container(_)))
        {
            anstream::eprintln!(
                "note: published ports are discarded: the container shares its network"
            );
            ports.clear();
        }
        Ok(ports)
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

    /// The network, given the ports.
    pub(crate) fn choice(&self, ports: &[Published]) -> Result<NetworkChoice, Failure> {
        let choice = match &self.network {
            Some(choice) => choice.clone(),
            None if ports.is_empty() && self.link.is_empty() => NetworkChoice::Host,
            None => NetworkChoice::Named(DEFAULT.into()),
        };
        match &choice {
            NetworkChoice::Named(_) => Ok(choice),
            _ if self.ip.is_some() || !self.link.is_empty() => {
                Err(Failure::new("`--ip` and `--link` are for containers on a network with others"))
            }
            _ => Ok(choice),
        }
    }
}
