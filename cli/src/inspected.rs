//! Images and containers with the fields that `docker inspect` gives them: scripts read those.

mod container;
mod host_config;

use layerfs::{ImageRecord, Store};
use oci::{Reference, RuntimeConfig};
use serde_json::{Value, json};

use crate::error::Failure;

pub(crate) use container::container;

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
