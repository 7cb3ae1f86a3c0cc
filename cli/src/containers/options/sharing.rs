//! What a container shares with the machine and with others: `--pid`, `--ipc`, `--device`, …

use std::fmt;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use layerfs::{ContainerState, ProcessId, Store};
use runtime::{GroupsSeen, Mount, MountSource, Namespace, Namespaces};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Failure};
use crate::networks::NetworkChoice;

// What the command line says of it, and what is kept of that.
#[derive(Debug, Clone, Default, clap::Args, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sharing {
    /// Whose processes the container sees: its own, host, container:NAME
    #[arg(long, value_name = "PROCESSES", default_value_t, value_parser = pid)]
    pub(crate) pid: Shared,
    /// Whose message queues and shared memory it has: private, shareable, host, container:NAME
    #[arg(long, value_name = "MEMORY", default_value_t, value_parser = ipc)]
    pub(crate) ipc: Shared,
    /// Whose name of the machine it has: its own, host
    #[arg(long, value_name = "NAMES", default_value_t, value_parser = uts)]
    pub(crate) uts: Shared,
    /// Which control groups it sees: private, host
    #[arg(long, value_name = "GROUPS", default_value_t, value_parser = uts)]
    pub(crate) cgroupns: Shared,
    /// Which users its users are: host, as it is without
    #[arg(long, value_name = "USERS", value_parser = ["", "host"])]
    pub(crate) userns: Option<String>,
    /// Set a setting of the kernel in its namespaces: net.core.somaxconn=1024
    #[arg(long, value_name = "NAME=VALUE", value_parser = sysctl)]
    pub(crate) sysctl: Vec<(String, String)>,
    /// How likely it is ended when memory runs out, from -1000 to 1000
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true,
          value_parser = clap::value_parser!(i32).range(-1000..=1000))]
    pub(crate) oom_score_adj: Option<i32>,
    /// A group more for its processes, by name or number
    #[arg(long, value_name = "GROUP")]
    pub(crate) group_add: Vec<String>,
    /// Give it a device of the machine, or those of a directory: PATH[:PATH_IN_IT[:rwm]]
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Vec<DeviceFlag>,
}

/// With whom a namespace is shared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Shared {
    /// Nobody.
    #[default]
    Private,
    /// The machine.
    Host,
    /// Another container.
    Container(String),
}

impl FromStr for Shared {
    type Err = String;

    fn from_str(text: &str) -> Result<Shared, String> {
        match text.split_once(':') {
            Some(("container", name)) if !name.is_empty() => Ok(Shared::Container(name.to_owned())),
            None if matches!(text, "" | "private" | "shareable") => Ok(Shared::Private),
            None if text == "host" => Ok(Shared::Host),
            _ => Err("write it as private, host or container:NAME".into()),
        }
    }
}

impl TryFrom<String> for Shared {
    type Error = String;

    fn try_from(text: String) -> Result<Shared, String> {
        text.parse()
    }
}

impl From<Shared> for String {
    fn from(shared: Shared) -> String {
        shared.to_string()
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shared::Private => f.write_str("private"),
            Shared::Host => f.write_str("host"),
            Shared::Container(name) => write!(f, "container:{name}"),
        }
    }
}

fn pid(text: &str) -> Result<Shared, String> {
    match text {
        "shareable" => Err("write it as private, host or container:NAME".into()),
        text => text.parse(),
    }
}

fn ipc(text: &str) -> Result<Shared, String> {
    match text {
        "none" => Err("none, which leaves /dev/shm out, is not to be had; private is".into()),
        text => text.parse(),
    }
}

fn uts(text: &str) -> Result<Shared, String> {
    match pid(text)? {
        Shared::Container(_) => Err("write it as private or host".into()),
        shared => Ok(shared),
    }
}

/// A setting whose namespace the container has. What is another's would change the machine.
fn sysctl(text: &str) -> Result<(String, String), String> {
    const IPC: &[&str] = &[
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let (name, value) = text.split_once('=').ok_or("a setting is written as NAME=VALUE")?;
    let is_plain = name.split(['.', '/']).all(|part| !part.is_empty());
    let has_namespace =
        IPC.contains(&name) || name.starts_with("net.") || name.starts_with("fs.mqueue.");
    match is_plain && has_namespace {
        true => Ok((name.to_owned(), value.to_owned())),
        false => Err(format!("setting `{name}` is the machine's, for all containers")),
    }
}

/// A `--device`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceFlag {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
}

impl FromStr for DeviceFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<DeviceFlag, String> {
        let mut parts = text.split(':');
        let source = parts.next().unwrap_or_default();
        let is_whole = |word: &str| word.contains('r') && word.contains('w');
        let is_permissions =
            |word: &str| !word.is_empty() && word.chars().all(|c| matches!(c, 'r' | 'w' | 'm'));
        let (target, permissions) = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => (source, "rwm"),
            (Some(word), None, _) if is_permissions(word) => (source, word),
            (Some(target), None, _) => (target, "rwm"),
            (Some(target), Some(word), None) if is_permissions(word) => (target, word),
            _ => return Err("a device is written as PATH[:PATH_IN_IT[:rwm]]".into()),
        };
        if !source.starts_with('/') {
            return Err(match source.contains('=') {
                true => format!("`{source}`: described devices are for builds alone"),
                false => format!("`{source}` is no absolute path"),
            });
        }
        if !is_whole(permissions) {
            return Err(format!("a device is given whole, as rwm, not as {permissions}"));
        }
        if !target.starts_with('/') {
            return Err(format!("`{target}` is neither an absolute path nor permissions, as rwm"));
        }
        let target = Path::new(target).to_owned();
        if target.components().any(|part| part == std::path::Component::ParentDir) {
            return Err(format!("`{}` leads upwards", target.display()));
        }
        Ok(DeviceFlag { source: source.into(), target })
    }
}

impl DeviceFlag {
    /// The device's mounts: one, or one for each device of a directory.
    fn mounts(&self) -> Result<Vec<Mount>, Failure> {
        let cannot = || format!("cannot give device {}", self.source.display());
        let kind = fs::metadata(&self.source).doing(cannot)?.file_type();
        if kind.is_char_device() || kind.is_block_device() {
            return Ok(vec![device(self.source.clone(), self.target.clone())]);
        }
        if !kind.is_dir() {
            return Err(Failure::new(format!("{} is no device", self.source.display())));
        }
        let below = |found: PathBuf| {
            let rest = found.strip_prefix(&self.source).map(Path::to_owned).unwrap_or_default();
            device(found, self.target.join(rest))
        };
        let found: Vec<Mount> = devices_below(&self.source).into_iter().map(below).collect();
        match found.is_empty() {
            true => Err(Failure::new(format!("there is no device in {}", self.source.display()))),
            false => Ok(found),
        }
    }
}

/// A device of the machine at a place of the container.
pub(crate) fn device(source: PathBuf, target: PathBuf) -> Mount {
    Mount { target, source: MountSource::Bind(source), read_only: false }
}

/// The devices in a directory, and in those below it.
pub(crate) fn devices_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        // What cannot be listed is not for us, and not for a container of ours.
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_char_device() || kind.is_block_device() {
                found.push(path);
            }
        }
    }
    found
}

impl Sharing {
    /// Refuses what cannot be together, before anything is made.
    pub(crate) fn check(&self, network: &NetworkChoice) -> Result<(), Failure> {
        let refused = |(name, _): &&(String, String)| match network {
            _ if !name.starts_with("net.") => self.ipc != Shared::Private,
            NetworkChoice::Host | NetworkChoice::Container(_) => true,
            NetworkChoice::None | NetworkChoice::Named(_) => false,
        };
        if let Some((name, _)) = self.sysctl.iter().find(refused) {
            let message = format!("setting {name} is not the container's alone");
            return Err(Failure::new(message)
                .hint("`net.` wants a network of its own, as `--network none` or `bridge`"));
        }
        self.device_mounts().map(drop)
    }

    /// Whether settings of a network are set, which the container must then have for itself.
    pub(crate) fn sets_network(&self) -> bool {
        self.sysctl.iter().any(|(name, _)| name.starts_with("net."))
    }

    /// The devices that were asked for.
    pub(crate) fn device_mounts(&self) -> Result<Vec<Mount>, Failure> {
        let all: Result<Vec<Vec<Mount>>, _> = self.device.iter().map(DeviceFlag::mounts).collect();
        Ok(all?.into_iter().flatten().collect())
    }

    /// The namespaces, now that the container starts.
    pub(crate) fn namespaces(&self, store: &Store) -> Result<Namespaces, Failure> {
        let namespace = |shared: &Shared| match shared {
            Shared::Private => Ok(Namespace::Own),
            Shared::Host => Ok(Namespace::Machine),
            Shared::Container(name) => inmate(store, name).map(Namespace::Of),
        };
        Ok(Namespaces {
            processes: namespace(&self.pid)?,
            ipc: namespace(&self.ipc)?,
            name: namespace(&self.uts)?,
            groups: match self.cgroupns {
                Shared::Host => GroupsSeen::Machine,
                _ => GroupsSeen::Own,
            },
        })
    }
}

/// The first process of another container.
fn inmate(store: &Store, name: &str) -> Result<OwnedFd, Failure> {
    let not_running =
        || Failure::new(format!("container {name}, whose namespace is wanted, does not run"));
    let ContainerState::Running(run) = store.container(name)?.state else {
        return Err(not_running());
    };
    let pid = i32::try_from(run.process.pid).map_err(|_| not_running())?;
    let process = Pid::from_raw(pid).ok_or_else(not_running)?;
    let process = pidfd_open(process, PidfdFlags::empty()).map_err(|_| not_running())?;
    // The number may have been given to another process before it was opened.
    if ProcessId::of(run.process.pid) != Some(run.process) {
        return Err(not_running());
    }
    Ok(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read() {
        let flag = |source: &str, target: &str| {
            Ok(DeviceFlag { source: source.into(), target: target.into() })
        };
        for (text, expected) in [
            ("/dev/fuse", flag("/dev/fuse", "/dev/fuse")),
            ("/dev/fuse:rwm", flag("/dev/fuse", "/dev/fuse")),
            ("/dev/sda:/dev/x", flag("/dev/sda", "/dev/x")),
            ("/dev/sda:/dev/x:rw", flag("/dev/sda", "/dev/x")),
        ] {
            assert_eq!(text.parse::<DeviceFlag>(), expected, "{text}");
        }
        for text in [
            "fuse",
            "/dev/a:/b:r",
            "/dev/a:/b:rwm:c",
            "a.b/c=d",
            "/dev/a:/../x",
            "/a:/b:q",
            "/dev/a:ro",
        ] {
            assert!(text.parse::<DeviceFlag>().is_err(), "{text}");
        }
    }

    #[test]
    fn settings_of_the_machine_are_refused() {
        for text in ["net.core.somaxconn=1", "kernel.sem=1 2 3 4", "fs.mqueue.msg_max=5"] {
            assert!(sysctl(text).is_ok(), "{text}");
        }
        for text in ["kernel.panic=1", "vm.swappiness=1", "net.core", "net..x=1", "net./../x=1"] {
            assert!(sysctl(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_for_namespaces() {
        assert_eq!(pid("host"), Ok(Shared::Host));
        assert_eq!(pid("container:a"), Ok(Shared::Container("a".into())));
        assert_eq!(ipc("shareable"), Ok(Shared::Private));
        assert_eq!(uts(""), Ok(Shared::Private));
        for refused in [pid("shareable"), pid("container:"), uts("container:a"), ipc("none")] {
            assert!(refused.is_err());
        }
    }
}
