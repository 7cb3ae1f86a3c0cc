//! A description of devices, as it stands in a file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// Words about a device that other programs understand.
pub(super) type Annotations = BTreeMap<String, String>;

/// A file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Spec {
    /// Fields that are not known are refused, whatever the version.
    #[serde(rename = "cdiVersion")]
    _version: String,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) annotations: Annotations,
    pub(super) devices: Vec<Device>,
    #[serde(default)]
    pub(super) container_edits: Edits,
}

/// A device.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Device {
    pub(super) name: String,
    #[serde(default)]
    pub(super) annotations: Annotations,
    #[serde(default)]
    pub(super) container_edits: Edits,
}

/// What a process needs to use a device.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Edits {
    /// Variables, as `NAME=VALUE`.
    pub(crate) env: Vec<String>,
    /// Devices of the machine.
    pub(crate) device_nodes: Vec<DeviceNode>,
    /// Files and directories of the machine.
    pub(crate) mounts: Vec<HostMount>,
    /// Programs to run.
    pub(super) hooks: Vec<serde::de::IgnoredAny>,
}

/// A device of the machine. The process gets the machine's own node: what is said of it must be
/// so there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct DeviceNode {
    /// Where it is for the process.
    pub(crate) path: PathBuf,
    /// Where it is on the machine, if that is elsewhere.
    pub(crate) host_path: Option<PathBuf>,
    /// `b`, `c`, `u` (as `c`) or `p`.
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    /// Its numbers, of which nought means that they are not told.
    pub(crate) major: Option<i64>,
    /// The second one.
    pub(crate) minor: Option<i64>,
    /// Its mode.
    pub(crate) file_mode: Option<u32>,
    /// What may be done with it: `r`, `w`, and `m` for making nodes.
    pub(crate) permissions: Option<String>,
    /// Its owner.
    pub(crate) uid: Option<u32>,
    /// Its group.
    pub(crate) gid: Option<u32>,
}

/// A file or directory of the machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct HostMount {
    /// Where it is on the machine.
    pub(crate) host_path: PathBuf,
    /// Where it is for the process.
    pub(crate) container_path: PathBuf,
    /// Options of mount(8).
    #[serde(default)]
    pub(crate) options: Vec<String>,
    #[serde(rename = "type")]
    _kind: Option<String>,
}
