//! `RUN --device`: what a process gets to use a device of the machine.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use runtime::{BindFlags, Mount, MountSource};

use rustix::fs::{major, minor};

use super::handed::Handed;
use crate::cache::KeyHasher;
use crate::cdi::{DeviceError, DeviceNode, Edits, HostMount, Registered, Registry};
use crate::error::StepCause;
use crate::grants::Grants;
use crate::syntax::Span;

/// The owner that the kernel shows where the real one is outside of the user namespace.
const NOBODY: u32 = 65534;

/// A device that a RUN asks for.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    /// `vendor/class=name`, or what else [`Registry::find`] takes.
    pub(crate) name: String,
    /// Whether the step fails without it.
    pub(crate) required: bool,
    /// Where it is asked for.
    pub(crate) span: Span,
}

impl Device {
    pub(super) fn hash(&self, hasher: &mut KeyHasher) {
        hasher.text(&self.name);
        hasher.flag(self.required);
    }
}

/// Hands the devices over.
///
/// # Errors
/// When the descriptions cannot be used; when a device is required and not there, or not allowed.
pub(super) fn hand_over(
    wanted: &[Device],
    grants: &Grants,
    handed: &mut Handed,
) -> Result<(), StepCause> {
    if wanted.is_empty() {
        return Ok(());
    }
    let failed = |span| move |source| StepCause::Device { source, span };
    let registry = Registry::read(&grants.devices.directories).map_err(failed(wanted[0].span))?;
    let mut given: Vec<&str> = Vec::new();
    for device in wanted {
        let found = registry.find(&device.name).map_err(failed(device.span))?;
        if found.is_empty() && device.required {
            let (name, span) = (device.name.clone(), device.span);
            return Err(StepCause::NoDevice { name, span });
        }
        for one in found {
            check_allowed(device, one, grants)?;
            if !given.contains(&one.name.as_str()) {
                given.push(&one.name);
                for edits in one.edits().map_err(failed(device.span))? {
                    apply(edits, &one.name, handed).map_err(failed(device.span))?;
                }
            }
        }
    }
    Ok(())
}

fn check_allowed(device: &Device, found: &Registered, grants: &Grants) -> Result<(), StepCause> {
    let names = &grants.devices.names;
    let is_named = [&device.name, &found.name].into_iter().any(|name| names.contains(name));
    if found.is_free || grants.devices.all || is_named {
        return Ok(());
    }
    Err(StepCause::DeviceNotAllowed { name: found.name.clone(), span: device.span })
}

fn apply(edits: &Edits, device: &str, handed: &mut Handed) -> Result<(), DeviceError> {
    for variable in &edits.env {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        handed.variables.insert(name.to_owned(), value.into());
    }
    for node in &edits.device_nodes {
        let host = node.host_path.as_ref().unwrap_or(&node.path);
        check_node(node, host, device)?;
        let source = MountSource::Bind(host.clone());
        mount(handed, Mount { target: node.path.clone(), source, read_only: false });
    }
    for host in &edits.mounts {
        let (read_only, flags) = options(host, device)?;
        let source = MountSource::BindWith(host.host_path.clone(), flags);
        mount(handed, Mount { target: host.container_path.clone(), source, read_only });
    }
    Ok(())
}

/// Whether a node is on the machine what its description says.
fn check_node(node: &DeviceNode, host: &Path, device: &str) -> Result<(), DeviceError> {
    let path = || host.to_owned();
    let stat = std::fs::metadata(host).map_err(|source| DeviceError::Node {
        device: device.to_owned(),
        path: path(),
        source,
    })?;
    let kind = match stat.file_type() {
        kind if kind.is_block_device() => "b",
        kind if kind.is_char_device() => "c",
        kind if kind.is_fifo() => "p",
        _ => "no device",
    };
    let number = |wanted: Option<i64>| wanted.filter(|number| *number != 0);
    let text = |number: i64| number.to_string();
    // Who is not in this user namespace has no name here to be compared.
    let known =
        |wanted: Option<u32>, found| wanted.filter(|_| found != NOBODY).map(|id| id.to_string());
    let mode = |mode: u32| format!("{:o}", mode & 0o7777);
    let rows = [
        ("the type", node.kind.as_deref().map(|k| k.replace('u', "c")), kind.to_owned()),
        ("the major number", number(node.major).map(text), text(major(stat.rdev()).into())),
        ("the minor number", number(node.minor).map(text), text(minor(stat.rdev()).into())),
        ("the mode", node.file_mode.map(mode), mode(stat.mode())),
        ("the owner", known(node.uid, stat.uid()), stat.uid().to_string()),
        ("the group", known(node.gid, stat.gid()), stat.gid().to_string()),
    ];
    for (what, wanted, found) in rows {
        if let Some(wanted) = wanted
            && wanted != found
        {
            let what = format!("{what} {wanted}, and on the machine it has {found}");
            return Err(DeviceError::OtherNode { device: device.to_owned(), path: path(), what });
        }
    }
    match &node.permissions {
        Some(permissions) if !(permissions.contains('r') && permissions.contains('w')) => {
            let (device, permissions) = (device.to_owned(), permissions.clone());
            Err(DeviceError::Permissions { device, path: path(), permissions })
        }
        _ => Ok(()),
    }
}

/// What a file says of all its devices comes with each of them: once is enough.
fn mount(handed: &mut Handed, mount: Mount) {
    if handed.mounts.iter().all(|known| known.target != mount.target) {
        handed.mounts.push(mount);
    }
}

fn options(mount: &HostMount, device: &str) -> Result<(bool, BindFlags), DeviceError> {
    let mut read_only = false;
    let mut flags = BindFlags::default();
    for option in &mount.options {
        match option.as_str() {
            "ro" => read_only = true,
            "rw" => read_only = false,
            "nosuid" => flags.nosuid = true,
            "nodev" => flags.nodev = true,
            "noexec" => flags.noexec = true,
            // So it is always.
            "bind" | "rbind" | "private" | "rprivate" => {}
            _ => {
                let (device, option) = (device.to_owned(), option.clone());
                return Err(DeviceError::MountOption { device, option });
            }
        }
    }
    Ok((read_only, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(description: &str) -> Result<(), DeviceError> {
        let node: DeviceNode = serde_json::from_str(description).unwrap();
        check_node(&node, Path::new("/dev/null"), "v/c=d")
    }

    #[test]
    fn a_node_is_what_its_description_says_or_is_refused() {
        for same in [
            r#"{"path": "/dev/x"}"#,
            r#"{"path": "/dev/x", "type": "u", "major": 1, "minor": 3, "fileMode": 438}"#,
            r#"{"path": "/dev/x", "major": 0, "minor": 0, "permissions": "rwm"}"#,
        ] {
            node(same).unwrap();
        }
        for (other, expected) in [
            (r#"{"path": "/dev/x", "type": "b"}"#, "the type b"),
            (r#"{"path": "/dev/x", "minor": 4}"#, "the minor number 4"),
            (r#"{"path": "/dev/x", "fileMode": 384}"#, "the mode 600"),
            (r#"{"path": "/dev/x", "uid": 77}"#, "the owner 77"),
            (r#"{"path": "/dev/x", "permissions": "r"}"#, "the permissions \"r\""),
        ] {
            let error = node(other).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
