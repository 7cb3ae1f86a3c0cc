//! A container with the fields that `docker inspect` gives it.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use layerfs::{Container, ContainerState, Health};
use serde_json::{Value, json};

use super::host_config::host_config;
use super::runtime_config;
use crate::containers::{ContainerConfig, failed_start, hostname, mounts, status};
use crate::keeper::health::Results;
use crate::keeper::log;
use crate::networks::join::Addresses;
use crate::networks::mac::MacAddress;

/// What docker says of a time that was never.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A container.
pub(crate) fn container(container: &Container) -> Value {
    let config = ContainerConfig::of(container).ok();
    let command = config.as_ref().map(ContainerConfig::command).unwrap_or_default();
    let restarts = match container.state {
        ContainerState::Created | ContainerState::Failed { .. } => 0,
        ContainerState::Running(run) => run.restarts,
        ContainerState::Restarting { restarts, .. } | ContainerState::Exited { restarts, .. } => {
            restarts
        }
    };
    let mut value = json!({
        "Id": container.id,
        "Created": created(container, config.as_ref()),
        "Path": command.first().cloned().unwrap_or_default(),
        "Args": command.get(1..).unwrap_or_default(),
        "State": state(container),
        "Image": container.image,
        "LogPath": config.as_ref().and_then(|config| config.log).map(|_| log::path(&container.dir)),
        "Name": format!("/{}", container.name),
        "RestartCount": restarts,
        "Driver": "overlay",
        "Platform": "linux",
        "GraphDriver": { "Name": "overlay", "Data": { "UpperDir": container.upper() } },
        "Layers": container.layers,
        "ExecIDs": null,
        "AppArmorProfile": "",
        "MountLabel": "",
        "ProcessLabel": "",
    });
    if let Some(config) = &config {
        value["HostConfig"] = host_config(&container.name, config);
        value["Mounts"] = json!(mounts::inspected(container, config));
        value["Config"] = runtime(container, config);
        value["NetworkSettings"] = network(container, config);
    }
    value
}

fn time(second: Option<i64>) -> String {
    let time = second.and_then(|second| Timestamp::from_second(second).ok());
    time.map_or_else(|| NEVER.to_owned(), |time| time.to_string())
}

/// With nanoseconds, where those are known.
fn created(container: &Container, config: Option<&ContainerConfig>) -> String {
    let nanos = config.map_or(0, |config| config.created_nanos);
    match Timestamp::from_nanosecond(nanos.into()) {
        Ok(created) if nanos > 0 => created.to_string(),
        _ => time(Some(container.created)),
    }
}

fn state(container: &Container) -> Value {
    let (pid, code, started, finished) = match container.state {
        ContainerState::Created => (0, 0, None, None),
        ContainerState::Failed { code } => (0, code, None, None),
        ContainerState::Running(run) => (run.process.pid, 0, Some(run.since), None),
        ContainerState::Restarting { code, at, .. } => (0, code, None, Some(at)),
        ContainerState::Exited { code, at, since, .. } => (0, code, since, at),
    };
    let word = status::word(container.state);
    let mut value = json!({
        "Status": word,
        "Running": container.state.is_running(),
        "Paused": word == "paused",
        "Restarting": word == "restarting",
        "OOMKilled": false,
        "Dead": false,
        "Pid": pid,
        "ExitCode": code,
        "Error": failed_start::noted(&container.dir),
        "StartedAt": time(started),
        "FinishedAt": time(finished),
    });
    if let ContainerState::Running(run) = container.state
        && let Some(health) = run.health
    {
        let results = Results::read(&container.dir);
        value["Health"] = json!({
            "Status": match health {
                Health::Starting => "starting",
                Health::Healthy => "healthy",
                Health::Unhealthy => "unhealthy",
            },
            "FailingStreak": results.failing_streak,
            "Log": results.log,
        });
    }
    value
}

fn runtime(container: &Container, config: &ContainerConfig) -> Value {
    let mut value = runtime_config(&config.runtime);
    for (name, content) in [
        ("Hostname", json!(hostname(container, config))),
        ("Domainname", json!(config.domain.as_deref().unwrap_or_default())),
        ("Image", json!(container.image_name)),
        ("Tty", json!(config.terminal)),
        ("OpenStdin", json!(config.open_stdin)),
        ("StdinOnce", json!(config.stdin_once)),
    ] {
        value[name] = content;
    }
    if let Some(seconds) = config.stop_timeout {
        value["StopTimeout"] = seconds.into();
    }
    if value["Labels"].is_null() {
        value["Labels"] = json!({});
    }
    value
}

/// Where a container is reached, while it runs.
fn network(container: &Container, config: &ContainerConfig) -> Value {
    let addresses = Addresses::of(container);
    let name = String::from(config.network.clone());
    let mut ports = serde_json::Map::new();
    for port in &addresses.ports {
        let key = format!("{}/{}", port.container, port.protocol.as_str());
        let place = json!({ "HostIp": port.ip, "HostPort": port.host.to_string() });
        let places = ports.entry(key).or_insert_with(|| json!([]));
        places.as_array_mut().into_iter().for_each(|places| places.push(place.clone()));
    }
    let mut networks = serde_json::Map::new();
    let first = Place {
        id: &addresses.network_id,
        address: addresses.address,
        gateway: addresses.gateway,
        prefix: addresses.prefix,
        mac: addresses.mac,
    };
    networks.insert(name, place(container, first, &config.network_aliases, config.network_address));
    for connection in &config.connections {
        let found = addresses.more.iter().find(|place| place.network == connection.network);
        let found = Place {
            id: found.map_or("", |place| &place.network_id),
            address: found.map(|place| place.address),
            gateway: found.map(|place| place.gateway),
            prefix: found.map_or(0, |place| place.prefix),
            mac: found.and_then(|place| place.mac),
        };
        let shown = place(container, found, &connection.aliases, connection.address);
        networks.insert(connection.network.clone(), shown);
    }
    let pid = match container.state {
        ContainerState::Running(run) => format!("/proc/{}/ns/net", run.process.pid),
        _ => String::new(),
    };
    json!({
        "Bridge": "",
        "EndpointID": if addresses.address.is_some() { container.id.as_str() } else { "" },
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "HairpinMode": false,
        "IPv6Gateway": "",
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SandboxID": if pid.is_empty() { "" } else { container.id.as_str() },
        "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null,
        "IPAddress": text(addresses.address),
        "IPPrefixLen": addresses.prefix,
        "Gateway": text(addresses.gateway),
        "MacAddress": link_address(addresses.address, addresses.mac),
        "Ports": ports,
        "SandboxKey": pid,
        "Networks": networks,
    })
}

/// Where a container is on a network.
#[derive(Clone, Copy)]
struct Place<'a> {
    id: &'a str,
    address: Option<Ipv4Addr>,
    gateway: Option<Ipv4Addr>,
    prefix: u8,
    mac: Option<MacAddress>,
}

fn place(
    container: &Container,
    place: Place<'_>,
    aliases: &[String],
    wanted: Option<Ipv4Addr>,
) -> Value {
    let mut names = vec![container.name.clone()];
    names.extend(aliases.iter().cloned());
    names.push(container.id.chars().take(12).collect());
    json!({
        "IPAMConfig": wanted.map(|address| json!({ "IPv4Address": address })),
        "Links": null,
        "Aliases": aliases,
        "DriverOpts": null,
        "NetworkID": place.id,
        "EndpointID": if place.address.is_some() { container.id.as_str() } else { "" },
        "IPAddress": text(place.address),
        "IPPrefixLen": place.prefix,
        "Gateway": text(place.gateway),
        "MacAddress": link_address(place.address, place.mac),
        "DNSNames": names,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "GwPriority": 0,
    })
}

fn text(address: Option<Ipv4Addr>) -> String {
    address.map_or(String::new(), |address| address.to_string())
}

fn link_address(address: Option<Ipv4Addr>, mac: Option<MacAddress>) -> String {
    let mac = address.map(|address| mac.unwrap_or_else(|| MacAddress::by_default(address)));
    mac.map_or(String::new(), String::from)
}
