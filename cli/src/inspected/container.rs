//! A container with the fields that `docker inspect` gives it.

use jiff::Timestamp;
use layerfs::{Container, ContainerState, Health};
use serde_json::{Value, json};

use super::runtime_config;
use crate::containers::{ContainerConfig, hostname, mounts, status};
use crate::keeper::health::Results;
use crate::keeper::log;
use crate::networks::join::Addresses;

/// What docker says of a time that was never.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A container.
pub(crate) fn container(container: &Container) -> Value {
    let config = ContainerConfig::of(container).ok();
    let command = config.as_ref().map(ContainerConfig::command).unwrap_or_default();
    let restarts = match container.state {
        ContainerState::Created => 0,
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
    });
    if let Some(config) = &config {
        value["HostConfig"] = host_config(config);
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
        "Error": "",
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

fn host_config(config: &ContainerConfig) -> Value {
    let isolation = &config.isolation;
    let list = |list: &[String]| if list.is_empty() { Value::Null } else { json!(list) };
    let names = &config.names;
    let hosts: Vec<String> =
        names.add_host.iter().map(|(name, address)| format!("{name}:{address}")).collect();
    let options: Vec<String> =
        isolation.security_opt.iter().map(|option| option.as_str().to_owned()).collect();
    let limit = |value: Option<u64>| value.map_or(-1, |value| value as i64);
    let limits: Vec<Value> = isolation
        .ulimit
        .iter()
        .map(|one| json!({ "Name": one.name, "Soft": limit(one.soft), "Hard": limit(one.hard) }))
        .collect();
    let log = match config.log {
        Some(limits) => json!({
            "Type": "json-file",
            "Config": {
                "max-file": limits.files.to_string(),
                "max-size": limits.size.to_string(),
            },
        }),
        None => json!({ "Type": "none", "Config": {} }),
    };
    json!({
        "LogConfig": log,
        "NetworkMode": config.network,
        "RestartPolicy": {
            "Name": config.restart.name(),
            "MaximumRetryCount": config.restart.times(),
        },
        "AutoRemove": config.auto_remove,
        "CapAdd": list(&isolation.cap_add),
        "CapDrop": list(&isolation.cap_drop),
        "Dns": names.dns,
        "DnsOptions": names.dns_option,
        "DnsSearch": names.dns_search,
        "ExtraHosts": list(&hosts),
        "Privileged": isolation.privileged,
        "ReadonlyRootfs": isolation.read_only,
        "SecurityOpt": list(&options),
        "Init": isolation.init,
        "Ulimits": limits,
    })
}

fn runtime(container: &Container, config: &ContainerConfig) -> Value {
    let mut value = runtime_config(&config.runtime);
    for (name, content) in [
        ("Hostname", json!(hostname(container, config))),
        ("Domainname", json!("")),
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
    let text =
        |address: Option<std::net::Ipv4Addr>| address.map_or(String::new(), |a| a.to_string());
    let name = String::from(config.network.clone());
    let mut ports = serde_json::Map::new();
    for port in &addresses.ports {
        let key = format!("{}/{}", port.container, port.protocol.as_str());
        let place = json!({ "HostIp": port.ip, "HostPort": port.host.to_string() });
        let places = ports.entry(key).or_insert_with(|| json!([]));
        places.as_array_mut().into_iter().for_each(|places| places.push(place.clone()));
    }
    let mut networks = serde_json::Map::new();
    let mut on = |name: &str, address: String, gateway: String, aliases: &[String]| {
        let place = json!({ "IPAddress": address, "Gateway": gateway, "Aliases": aliases });
        networks.insert(name.to_owned(), place);
    };
    on(&name, text(addresses.address), text(addresses.gateway), &config.network_aliases);
    for connection in &config.connections {
        let place = addresses.more.iter().find(|place| place.network == connection.network);
        let address = text(place.map(|place| place.address));
        let gateway = text(place.map(|place| place.gateway));
        on(&connection.network, address, gateway, &connection.aliases);
    }
    json!({
        "IPAddress": text(addresses.address),
        "Gateway": text(addresses.gateway),
        "Ports": ports,
        "Networks": networks,
    })
}
