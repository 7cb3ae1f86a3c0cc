//! What is mounted into a container: what is kept of it, and how it becomes a mount.

mod bind_flag;
mod choose;
mod confined;
mod mount_flag;
mod options;
mod tmpfs_flag;

use std::path::{Path, PathBuf};

use layerfs::{Container, Lease, Store};
use runtime::{BindFlags, Mount, MountSource, Propagation, Rootfs, Spec, Tmpfs};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ContainerConfig;
use crate::error::Failure;

pub(crate) use choose::attach_mounts;
pub(crate) use options::MountArgs;

/// One mount of a container, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MountConfig {
    /// Where, in the container.
    pub(crate) target: PathBuf,
    /// Whether nothing can be written through it.
    pub(crate) read_only: bool,
    /// What.
    #[serde(flatten)]
    pub(crate) content: MountContent,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "type")]
pub(crate) enum MountContent {
    /// A file or directory of the machine.
    Bind {
        /// Which.
        source: PathBuf,
        /// `private`, `slave` or `shared`.
        propagation: PropagationChoice,
        /// Whether what is mounted below it on the machine stays out of sight.
        no_submounts: bool,
    },
    /// A volume of the store.
    Volume {
        /// Its name.
        name: String,
        /// What of it; everything if empty.
        subpath: PathBuf,
    },
    /// A file system in memory.
    Tmpfs(TmpfsConfig),
}

/// How mounts spread, without the `r` that docker puts before each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PropagationChoice {
    /// Not at all.
    #[default]
    Private,
    /// From the machine to the container.
    Slave,
    /// Both ways.
    Shared,
}

impl PropagationChoice {
    /// The choice by docker's name for it, with or without an `r`.
    fn named(word: &str) -> Option<PropagationChoice> {
        match word {
            "private" | "rprivate" => Some(PropagationChoice::Private),
            "slave" | "rslave" => Some(PropagationChoice::Slave),
            "shared" | "rshared" => Some(PropagationChoice::Shared),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            PropagationChoice::Private => "rprivate",
            PropagationChoice::Slave => "rslave",
            PropagationChoice::Shared => "rshared",
        }
    }
}

/// What is kept of a file system in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TmpfsConfig {
    size: Option<u64>,
    inodes: Option<u64>,
    mode: u32,
    owner: (u32, u32),
    exec: bool,
    suid: bool,
    dev: bool,
}

impl MountConfig {
    /// The size of a file system in memory, in bytes, if this is one that has a limit.
    pub(super) fn tmpfs_size(&self) -> Option<u64> {
        match self.content {
            MountContent::Tmpfs(options) => options.size,
            _ => None,
        }
    }
}

/// Mounts as `-v` and `--tmpfs` take them, with docker's names for both.
pub(super) fn as_given(mounts: &[MountConfig]) -> Value {
    let (mut binds, mut in_memory) = (Vec::new(), serde_json::Map::new());
    for mount in mounts.iter().filter(|mount| !mount.is_shared_memory()) {
        let target = mount.target.display();
        let mode = if mount.read_only { ":ro" } else { "" };
        match &mount.content {
            MountContent::Bind { source, .. } => {
                binds.push(format!("{}:{target}{mode}", source.display()));
            }
            MountContent::Volume { name, .. } => binds.push(format!("{name}:{target}{mode}")),
            MountContent::Tmpfs(options) => {
                let size = options.size.map(|size| format!("size={size}")).unwrap_or_default();
                in_memory.insert(target.to_string(), size.into());
            }
        }
    }
    let mut value = json!({ "Binds": if binds.is_empty() { Value::Null } else { json!(binds) } });
    if !in_memory.is_empty() {
        value["Tmpfs"] = Value::Object(in_memory);
    }
    value
}

impl MountConfig {
    /// Whether this is the size of /dev/shm, which docker says elsewhere: `ShmSize`.
    fn is_shared_memory(&self) -> bool {
        self.target == Path::new("/dev/shm") && matches!(self.content, MountContent::Tmpfs(_))
    }
}

impl Default for TmpfsConfig {
    fn default() -> TmpfsConfig {
        let Tmpfs { size, inodes, mode, owner, executable, set_user_id, devices } =
            Tmpfs::default();
        TmpfsConfig { size, inodes, mode, owner, exec: executable, suid: set_user_id, dev: devices }
    }
}

/// Adds the mounts of a container that is about to start.
pub(crate) fn add(
    store: &Store,
    lease: &Lease,
    config: &ContainerConfig,
    spec: &mut Spec,
) -> Result<(), Failure> {
    let is_confined = matches!(spec.rootfs, Rootfs::Chroot(_));
    for mount in &config.mounts {
        spec.mounts.push(if is_confined {
            confined::to_mount(store, lease, mount)?
        } else {
            to_mount(store, mount)?
        });
    }
    // What is mounted over a file of ours hides it, and where nothing can be written there is no
    // place for one.
    let hides = |mount: &Mount, file: &Path| match mount.read_only {
        true => file.starts_with(&mount.target),
        false => file == mount.target,
    };
    let mounts = &spec.mounts;
    spec.files.retain(|file| !mounts.iter().any(|mount| hides(mount, &file.path)));
    Ok(())
}

fn to_mount(store: &Store, mount: &MountConfig) -> Result<Mount, Failure> {
    let source = match &mount.content {
        MountContent::Bind { source, propagation, no_submounts } => {
            let propagation = match propagation {
                PropagationChoice::Private => Propagation::Private,
                PropagationChoice::Slave => Propagation::Slave,
                PropagationChoice::Shared => Propagation::Shared,
            };
            let no_submounts = *no_submounts;
            let flags = BindFlags { propagation, no_submounts, ..BindFlags::default() };
            MountSource::BindWith(source.clone(), flags)
        }
        MountContent::Volume { name, subpath } => {
            let directory = store.volume(name)?.data;
            if subpath.as_os_str().is_empty() {
                MountSource::Bind(directory)
            } else {
                MountSource::Below { directory, path: subpath.clone() }
            }
        }
        MountContent::Tmpfs(options) => MountSource::Tmpfs(Tmpfs {
            size: options.size,
            inodes: options.inodes,
            mode: options.mode,
            owner: options.owner,
            executable: options.exec,
            set_user_id: options.suid,
            devices: options.dev,
        }),
    };
    Ok(Mount { target: mount.target.clone(), source, read_only: mount.read_only })
}

/// The mounts as `docker inspect` has them.
pub(crate) fn inspected(container: &Container, config: &ContainerConfig) -> Value {
    let volumes = container.dir.parent().and_then(Path::parent).map(|root| root.join("volumes"));
    let one = |mount: &MountConfig| {
        let mut value = json!({
            "Type": "bind",
            "Source": "",
            "Destination": mount.target,
            "Mode": if mount.read_only { "ro" } else { "" },
            "RW": !mount.read_only,
            "Propagation": "",
        });
        match &mount.content {
            MountContent::Bind { source, propagation, .. } => {
                value["Source"] = json!(source);
                value["Propagation"] = propagation.as_str().into();
            }
            MountContent::Volume { name, .. } => {
                value["Type"] = "volume".into();
                value["Name"] = name.clone().into();
                value["Source"] = json!(volumes.as_ref().map(|dir| dir.join(name).join("_data")));
                value["Driver"] = "local".into();
            }
            MountContent::Tmpfs(_) => value["Type"] = "tmpfs".into(),
        }
        value
    };
    config.mounts.iter().filter(|mount| !mount.is_shared_memory()).map(one).collect()
}
