//! What of a container is about the machine, with docker's fields: `HostConfig`.

use runtime::system_paths;
use serde_json::{Map, Value, json};

use crate::containers::ContainerConfig;
use crate::containers::limits::{LimitsConfig, Rate};
use crate::containers::options::isolation::SecurityOption;
use crate::containers::options::sharing::{Shared, Sharing};
use crate::networks::publish::Published;

/// The size that a container's /dev/shm has, in bytes, unless another was chosen.
const SHM_SIZE: u64 = 64 << 20;

/// All of it. What cannot be chosen here has the value that docker gives to what was not chosen.
pub(super) fn host_config(name: &str, config: &ContainerConfig) -> Value {
    let mut all = Map::new();
    for part in [
        life(config),
        network(name, config),
        isolation(config),
        sharing(&config.sharing),
        limits(config),
        config.mounts_as_given(),
        not_to_be_chosen(),
    ] {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    Value::Object(all)
}

/// Nothing, rather than a list of nothing.
fn list<T: serde::Serialize>(list: &[T]) -> Value {
    if list.is_empty() { Value::Null } else { json!(list) }
}

fn life(config: &ContainerConfig) -> Value {
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
    let mut value = json!({
        "LogConfig": log,
        "RestartPolicy": {
            "Name": config.restart.name(),
            "MaximumRetryCount": config.restart.times(),
        },
        "AutoRemove": config.auto_remove,
    });
    // docker leaves out what nobody chose.
    if !config.annotations.is_empty() {
        value["Annotations"] = json!(config.annotations);
    }
    if config.isolation.init {
        value["Init"] = true.into();
    }
    value
}

fn network(name: &str, config: &ContainerConfig) -> Value {
    let names = &config.names;
    let hosts: Vec<String> =
        names.add_host.iter().map(|(name, address)| format!("{name}:{address}")).collect();
    let links: Vec<String> = config
        .links
        .iter()
        .map(|link| format!("/{}:/{name}/{}", link.container, link.name))
        .collect();
    json!({
        "NetworkMode": config.network,
        "PortBindings": bindings(&config.ports),
        "PublishAllPorts": config.publish_all,
        "Dns": names.dns,
        "DnsOptions": names.dns_option,
        "DnsSearch": names.dns_search,
        "ExtraHosts": list(&hosts),
        "Links": list(&links),
    })
}

/// Published ports as they were asked for, by the container's port.
fn bindings(ports: &[Published]) -> Value {
    let mut all = Map::new();
    for port in ports {
        let ip = if port.ip.is_unspecified() { String::new() } else { port.ip.to_string() };
        let host = if port.host == 0 { String::new() } else { port.host.to_string() };
        let key = format!("{}/{}", port.container, port.protocol.as_str());
        let places = all.entry(key).or_insert_with(|| json!([]));
        if let Value::Array(places) = places {
            places.push(json!({ "HostIp": ip, "HostPort": host }));
        }
    }
    Value::Object(all)
}

fn isolation(config: &ContainerConfig) -> Value {
    let isolation = &config.isolation;
    let options: Vec<String> = isolation.security_opt.iter().map(SecurityOption::shown).collect();
    let limit = |value: Option<u64>| value.map_or(-1, |value| value as i64);
    let limits: Vec<Value> = isolation
        .ulimit
        .iter()
        .map(|one| json!({ "Name": one.name, "Soft": limit(one.soft), "Hard": limit(one.hard) }))
        .collect();
    let (masked, read_only) = system_paths(isolation.system_paths());
    json!({
        "CapAdd": list(&capabilities(&isolation.cap_add)),
        "CapDrop": list(&capabilities(&isolation.cap_drop)),
        "Privileged": isolation.privileged,
        "ReadonlyRootfs": isolation.read_only,
        "SecurityOpt": list(&options),
        "Ulimits": limits,
        "MaskedPaths": list(&masked),
        "ReadonlyPaths": list(&read_only),
    })
}

/// By their whole names, as docker has them.
fn capabilities(names: &[String]) -> Vec<String> {
    let whole = |name: &String| match name.to_uppercase() {
        name if name == "ALL" || name.starts_with("CAP_") => name,
        name => format!("CAP_{name}"),
    };
    names.iter().map(whole).collect()
}

fn sharing(sharing: &Sharing) -> Value {
    // docker says nothing of a namespace that is the container's own, except of these two.
    let mode = |shared: &Shared| match shared {
        Shared::Private => String::new(),
        shared => shared.to_string(),
    };
    let devices: Vec<Value> = sharing
        .device
        .iter()
        .map(|device| {
            json!({
                "PathOnHost": device.source,
                "PathInContainer": device.target,
                "CgroupPermissions": "rwm",
            })
        })
        .collect();
    let mut value = json!({
        "PidMode": mode(&sharing.pid),
        "IpcMode": sharing.ipc.to_string(),
        "UTSMode": mode(&sharing.uts),
        "UsernsMode": sharing.userns.clone().unwrap_or_default(),
        "CgroupnsMode": sharing.cgroupns.to_string(),
        "OomScoreAdj": sharing.oom_score_adj.unwrap_or(0),
        "GroupAdd": list(&sharing.group_add),
        "Devices": devices,
    });
    if !sharing.sysctl.is_empty() {
        let settings: Map<String, Value> =
            sharing.sysctl.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        value["Sysctls"] = Value::Object(settings);
    }
    value
}

fn limits(config: &ContainerConfig) -> Value {
    let limits = &config.limits;
    let number = |value: Option<u64>| value.unwrap_or(0);
    // Without a word about swap, docker lets there be as much again.
    let swap = limits.memory_swap.unwrap_or(2 * number(limits.memory) as i64);
    let nanos = match (limits.cpu_quota, limits.cpu_period) {
        (Some(quota), Some(period)) if period > 0 => quota.saturating_mul(1_000_000_000) / period,
        _ => 0,
    };
    json!({
        "Memory": number(limits.memory),
        "MemorySwap": swap,
        "MemoryReservation": number(limits.memory_reservation),
        "NanoCpus": nanos,
        "CpuQuota": number(limits.cpu_quota),
        "CpuPeriod": number(limits.cpu_period),
        "CpuShares": number(limits.cpu_shares),
        "CpusetCpus": limits.cpuset_cpus.clone().unwrap_or_default(),
        "CpusetMems": limits.cpuset_mems.clone().unwrap_or_default(),
        "PidsLimit": limits.pids.map(|pids| i64::try_from(pids).unwrap_or(-1)),
        "BlkioWeight": limits.disk_weight.unwrap_or(0),
        "BlkioWeightDevice": disks(limits, Rate::Weight, "Weight"),
        "BlkioDeviceReadBps": disks(limits, Rate::ReadBytes, "Rate"),
        "BlkioDeviceWriteBps": disks(limits, Rate::WrittenBytes, "Rate"),
        "BlkioDeviceReadIOps": disks(limits, Rate::Reads, "Rate"),
        "BlkioDeviceWriteIOps": disks(limits, Rate::Writes, "Rate"),
        "MemorySwappiness": limits.swappiness,
        "OomKillDisable": limits.oom_kill_disabled,
        "ShmSize": config.shm_size().unwrap_or(SHM_SIZE),
    })
}

fn disks(limits: &LimitsConfig, rate: Rate, field: &str) -> Vec<Value> {
    let meant = limits.disks.iter().filter(|disk| disk.rate == rate);
    meant.map(|disk| json!({ "Path": disk.device, field: disk.most })).collect()
}

fn not_to_be_chosen() -> Value {
    json!({
        "CpuCount": 0,
        "CpuPercent": 0,
        "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0,
        "IOMaximumBandwidth": 0,
        "IOMaximumIOps": 0,
        "Cgroup": "",
        "CgroupParent": "",
        "ConsoleSize": [0, 0],
        "ContainerIDFile": "",
        "DeviceCgroupRules": null,
        "DeviceRequests": null,
        "Isolation": "",
        "Runtime": "tierce",
        "VolumeDriver": "",
        "VolumesFrom": null,
    })
}
