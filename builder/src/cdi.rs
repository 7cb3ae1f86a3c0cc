//! The Container Device Interface: what a machine says of its devices, and what a process needs to
//! use one (<https://github.com/cncf-tags/container-device-interface>).

mod spec;

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

pub(crate) use spec::{DeviceNode, Edits, HostMount};

use spec::{Annotations, Spec};

/// The largest description that is read, in bytes.
const MAX_SPEC: u64 = 4 << 20;
/// The annotation with which a device needs no leave.
const AUTO_ALLOW: &str = "org.mobyproject.buildkit.device.autoallow";
/// The annotation that groups devices under another name.
const CLASS: &str = "org.mobyproject.buildkit.device.class";

/// Why a description of devices cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It is no description of devices, or one of a kind that is not known.
    #[error("cannot use {}: {reason}", path.display())]
    Spec {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A name that no device can have.
    #[error("invalid device {name:?}: it must be vendor/class or vendor/class=name")]
    Name {
        /// The name.
        name: String,
    },
    /// Two files describe a device.
    #[error("device {name:?} is described twice, in {} and {}", first.display(), second.display())]
    Twice {
        /// The device.
        name: String,
        /// The first file.
        first: PathBuf,
        /// The second file.
        second: PathBuf,
    },
    /// One of its nodes is not on the machine.
    #[error("cannot examine {} of device {device:?}", path.display())]
    Node {
        /// The device.
        device: String,
        /// The node on the machine.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// One of its nodes is described otherwise than it is on the machine.
    #[error("device {device:?} wants {} with {what}", path.display())]
    OtherNode {
        /// The device.
        device: String,
        /// The node on the machine.
        path: PathBuf,
        /// What the description says, and what is so.
        what: String,
    },
    /// One of its nodes may not be read and written, and a process that has it can do both.
    #[error("device {device:?} wants {} with the permissions {permissions:?}, which is not supported", path.display())]
    Permissions {
        /// The device.
        device: String,
        /// The node on the machine.
        path: PathBuf,
        /// Those that are wanted.
        permissions: String,
    },
    /// One of its mounts has an option that is not known.
    #[error("device {device:?} needs the mount option {option:?}, which is not supported")]
    MountOption {
        /// The device.
        device: String,
        /// The option.
        option: String,
    },
    /// It wants programs of the machine to be run around the container's start.
    #[error("device {name:?} needs hooks, which are not run")]
    Hooks {
        /// The device.
        name: String,
    },
}

/// The devices of a machine.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    devices: Vec<Registered>,
}

/// A device with what it needs.
#[derive(Debug)]
pub(crate) struct Registered {
    /// `vendor/class=name`.
    pub(crate) name: String,
    /// Whether it needs no leave.
    pub(crate) is_free: bool,
    /// What a process needs to use it: what its file says of all devices, and of this one.
    edits: Vec<Edits>,
    class: Option<String>,
    path: PathBuf,
    directory: usize,
}

impl Registered {
    /// What a process needs to use it.
    pub(crate) fn edits(&self) -> Result<&[Edits], DeviceError> {
        if self.edits.iter().any(|edits| !edits.hooks.is_empty()) {
            return Err(DeviceError::Hooks { name: self.name.clone() });
        }
        Ok(&self.edits)
    }
}

impl Registry {
    /// Reads the descriptions in these directories. What stands in a later one counts more; one
    /// that is not there is empty.
    pub(crate) fn read(directories: &[PathBuf]) -> Result<Registry, DeviceError> {
        let mut registry = Registry::default();
        for (number, directory) in directories.iter().enumerate() {
            for path in spec_files(directory)? {
                registry.add(read_spec(&path)?, &path, number)?;
            }
        }
        registry.devices.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(registry)
    }

    fn add(&mut self, spec: Spec, path: &Path, directory: usize) -> Result<(), DeviceError> {
        for device in spec.devices {
            let name = format!("{}={}", spec.kind, device.name);
            let annotation = |key: &str| {
                let of = |annotations: &Annotations| annotations.get(key).cloned();
                of(&device.annotations).or_else(|| of(&spec.annotations))
            };
            let registered = Registered {
                is_free: annotation(AUTO_ALLOW).is_some_and(|value| value == "true"),
                class: annotation(CLASS),
                edits: vec![spec.container_edits.clone(), device.container_edits],
                path: path.to_owned(),
                directory,
                name,
            };
            match self.devices.iter_mut().find(|known| known.name == registered.name) {
                Some(known) if known.directory == directory => {
                    let (first, second) = (known.path.clone(), registered.path);
                    return Err(DeviceError::Twice { name: registered.name, first, second });
                }
                Some(known) => *known = registered,
                None => self.devices.push(registered),
            }
        }
        Ok(())
    }

    /// The devices that a name means: one; the first of its kind; with `=*` all of its kind; or
    /// those that have the name as their class.
    pub(crate) fn find(&self, name: &str) -> Result<Vec<&Registered>, DeviceError> {
        let (kind, wanted) = name.split_once('=').unwrap_or((name, ""));
        if !kind.split_once('/').is_some_and(|(vendor, class)| is_name(vendor) && is_name(class)) {
            return Err(DeviceError::Name { name: name.to_owned() });
        }
        let of_kind = || {
            let kind_of = |device: &Registered| device.name.split_once('=').map(|(k, _)| k == kind);
            self.devices.iter().filter(move |device| kind_of(device) == Some(true))
        };
        Ok(match wanted {
            "" => of_kind().take(1).collect(),
            "*" => of_kind().collect(),
            _ => match of_kind().find(|device| device.name == name) {
                Some(device) => vec![device],
                None => of_kind().filter(|d| d.class.as_deref() == Some(wanted)).collect(),
            },
        })
    }
}

/// A letter or digit, and then those with `_`, `-` and `.`.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// The files in a directory that describe devices, by name.
fn spec_files(directory: &Path) -> Result<Vec<PathBuf>, DeviceError> {
    let failed = |source| DeviceError::Read { path: directory.to_owned(), source };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("json" | "yaml" | "yml")) {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn read_spec(path: &Path) -> Result<Spec, DeviceError> {
    let failed = |source| DeviceError::Read { path: path.to_owned(), source };
    let wrong = |reason: String| DeviceError::Spec { path: path.to_owned(), reason };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    let read = file.take(MAX_SPEC + 1).read_to_string(&mut text).map_err(failed)?;
    if read as u64 > MAX_SPEC {
        return Err(wrong(format!("it has more than {} MiB", MAX_SPEC >> 20)));
    }
    if path.extension().is_some_and(|extension| extension == "json") {
        return serde_json::from_str(&text).map_err(|error| wrong(error.to_string()));
    }
    serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests;
