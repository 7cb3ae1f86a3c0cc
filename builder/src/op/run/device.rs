//! `RUN --device`: what a process gets to use a device of the machine.

use runtime::{BindFlags, Mount, MountSource};

use super::handed::Handed;
use crate::cache::KeyHasher;
use crate::cdi::{DeviceError, Edits, HostMount, Registered, Registry};
use crate::error::StepCause;
use crate::grants::Grants;
use crate::syntax::Span;

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
        let source = MountSource::Bind(node.host_path.as_ref().unwrap_or(&node.path).clone());
        mount(handed, Mount { target: node.path.clone(), source, read_only: false });
    }
    for host in &edits.mounts {
        let (read_only, flags) = options(host, device)?;
        let source = MountSource::BindWith(host.host_path.clone(), flags);
        mount(handed, Mount { target: host.container_path.clone(), source, read_only });
    }
    Ok(())
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
