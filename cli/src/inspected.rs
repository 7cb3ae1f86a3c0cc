//! Images and containers with the fields that `docker inspect` gives them: scripts read those.

use jiff::Timestamp;
use layerfs::{Container, ContainerState, ImageRecord, Store};
use oci::{Reference, RuntimeConfig};
use serde_json::{Value, json};

use crate::containers::{ContainerConfig, hostname, mounts};
use crate::error::Failure;

/// What docker says of a time that was never.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// An image.
pub(crate) fn image(store: &Store, image: &ImageRecord) -> Result<Value, Failure> {
    let config = store.config(&image.id)?;
    let names = |list: &[Reference]| list.iter().map(Reference::familiar).collect::<Vec<_>>();
    let comment = config.history.last().and_then(|step| step.comment.clone()).unwrap_or_default();
    Ok(json!({
        "Id": image.id,
        "RepoTags": names(&image.names),
        "RepoDigests": names(&image.digests),
        "Digest": image.manifest,
        "Parent": "",
        "Comment": comment,
        "Created": config.created,
        "Author": config.author.clone().unwrap_or_default(),
        "Architecture": config.architecture,
        "Variant": config.variant.clone().unwrap_or_default(),
        "Os": config.os,
        "OsVersion": config.os_version.clone().unwrap_or_default(),
        "Size": image.size,
        "RootFS": { "Type": config.rootfs.kind, "Layers": config.rootfs.diff_ids },
        "Config": runtime_config(&config.config),
        "History": config.history,
    }))
}

/// A container.
pub(crate) fn container(container: &Container) -> Value {
    let config = ContainerConfig::of(container).ok();
    let command = config.as_ref().map(ContainerConfig::command).unwrap_or_default();
    let (status, pid, code, started, finished) = match container.state {
        ContainerState::Created => ("created", 0, 0, None, None),
        ContainerState::Running(run) => ("running", run.process.pid, 0, Some(run.since), None),
        ContainerState::Restarting { code, at, .. } => ("restarting", 0, code, None, Some(at)),
        ContainerState::Exited { code, at, since, .. } => ("exited", 0, code, since, at),
    };
    let time = |second: Option<i64>| {
        let time = second.and_then(|second| Timestamp::from_second(second).ok());
        time.map_or_else(|| NEVER.to_owned(), |time| time.to_string())
    };
    json!({
        "Id": container.id,
        "Created": time(Some(container.created)),
        "Path": command.first(),
        "Args": command.get(1..).unwrap_or_default(),
        "State": {
            "Status": status,
            "Running": status == "running",
            "Paused": false,
            "Pid": pid,
            "ExitCode": code,
            "Error": "",
            "StartedAt": time(started),
            "FinishedAt": time(finished),
        },
        "Image": container.image,
        "Name": format!("/{}", container.name),
        "Driver": "overlay",
        "Platform": "linux",
        "HostConfig": { "NetworkMode": config.as_ref().map(|c| c.network) },
        "GraphDriver": { "Name": "overlay", "Data": { "UpperDir": container.upper() } },
        "Mounts": config.as_ref().map(|config| mounts::inspected(container, config)),
        "Layers": container.layers,
        "Config": config.as_ref().map(|config| {
            let mut value = runtime_config(&config.runtime);
            value["Hostname"] = hostname(container, config).into();
            value["Image"] = container.image_name.clone().into();
            value
        }),
    })
}

/// A config with docker's fields where the document leaves them out.
fn runtime_config(config: &RuntimeConfig) -> Value {
    let mut value = json!({
        "User": "",
        "Env": null,
        "Cmd": null,
        "Entrypoint": null,
        "ExposedPorts": null,
        "Volumes": null,
        "WorkingDir": "",
        "OnBuild": null,
        "Labels": null,
        "StopSignal": "",
    });
    if let (Value::Object(all), Ok(Value::Object(said))) =
        (&mut value, serde_json::to_value(config))
    {
        all.extend(said);
    }
    value
}
