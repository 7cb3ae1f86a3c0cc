//! What is kept of a container.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use layerfs::Container;
use oci::RuntimeConfig;
use runtime::Signal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::limits::LimitsConfig;
use super::mounts::{MountConfig, as_given};
use super::options::isolation::Isolation;
use super::options::names::Names;
use super::options::sharing::Sharing;
use crate::error::{Doing, Failure};
use crate::keeper::log::LogLimits;
use crate::keeper::log_notes::LogNotes;
use crate::keeper::restart::RestartPolicy;
use crate::networks::NetworkChoice;
use crate::networks::choice::Link;
use crate::networks::connect::Connection;
use crate::networks::mac::MacAddress;
use crate::networks::publish::Published;

/// How long a container may take to end that is asked to, in seconds, as docker's.
const STOP_TIMEOUT: i64 = 10;

/// What is kept of a container, so that it can be started again and become an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ContainerConfig {
    /// The image's way to run, with what the command line changed.
    pub(crate) runtime: RuntimeConfig,
    /// Its name for the machine; the beginning of its id if none was chosen.
    pub(crate) hostname: Option<String>,
    /// The domain of the machine that it sees.
    #[serde(default)]
    pub(crate) domain: Option<String>,
    /// Which permissions its new files do not get, if that was chosen.
    #[serde(default)]
    pub(crate) umask: Option<u32>,
    /// What somebody noted with it.
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
    /// Its network.
    pub(crate) network: NetworkChoice,
    /// The address that it is to have there; a free one if none was chosen.
    #[serde(default)]
    pub(crate) network_address: Option<Ipv4Addr>,
    /// The address that its interface is to have on the link there.
    #[serde(default)]
    pub(crate) network_mac: Option<MacAddress>,
    /// Containers on its network that it knows by one more name.
    #[serde(default)]
    pub(crate) links: Vec<Link>,
    /// Other names that it has on its network.
    #[serde(default)]
    pub(crate) network_aliases: Vec<String>,
    /// The networks that it was connected to beside that one.
    #[serde(default)]
    pub(crate) connections: Vec<Connection>,
    /// Ports of the machine that lead to its own.
    #[serde(default)]
    pub(crate) ports: Vec<Published>,
    /// Whether all were published that the image exposes.
    #[serde(default)]
    pub(crate) publish_all: bool,
    /// How much it may use.
    #[serde(default)]
    pub(crate) limits: LimitsConfig,
    /// What is mounted into it.
    #[serde(default)]
    pub(crate) mounts: Vec<MountConfig>,
    /// Whether its command has a terminal.
    #[serde(default)]
    pub(crate) terminal: bool,
    /// Whether it can be given something to read.
    #[serde(default)]
    pub(crate) open_stdin: bool,
    /// Whether that ends when the first who gives it something ends.
    #[serde(default)]
    pub(crate) stdin_once: bool,
    /// Whether it is removed when it has ended.
    #[serde(default)]
    pub(crate) auto_remove: bool,
    /// When it is started again.
    #[serde(default)]
    pub(crate) restart: RestartPolicy,
    /// How long it may take to end, in seconds; for ever below zero.
    #[serde(default)]
    pub(crate) stop_timeout: Option<i64>,
    /// How much is kept of what it says; nothing at all if there is none.
    #[serde(default)]
    pub(crate) log: Option<LogLimits>,
    /// What is noted with each line of it.
    #[serde(default)]
    pub(crate) log_notes: LogNotes,
    /// How far it is kept apart from the machine.
    #[serde(default)]
    pub(crate) isolation: Isolation,
    /// What it shares with the machine and with others.
    #[serde(default)]
    pub(crate) sharing: Sharing,
    /// Whom it knows by name.
    #[serde(default)]
    pub(crate) names: Names,
    /// When it was made, in nanoseconds since 1970.
    #[serde(default)]
    pub(crate) created_nanos: i64,
}

impl ContainerConfig {
    /// What was kept of a container.
    pub(crate) fn of(container: &Container) -> Result<ContainerConfig, Failure> {
        serde_json::from_value(container.config.clone())
            .doing(|| format!("container {} was not made by this program", container.name))
    }

    /// The size of its /dev/shm in bytes, if one was chosen.
    pub(crate) fn shm_size(&self) -> Option<u64> {
        self.mounts.iter().find(|mount| mount.target == Path::new("/dev/shm"))?.tmpfs_size()
    }

    /// The name of its machine as `/etc/hosts` has it: with the domain, if it has one, and without.
    pub(crate) fn host_names(&self, hostname: &str) -> String {
        match &self.domain {
            Some(domain) => format!("{hostname}.{domain} {hostname}"),
            None => match hostname.split_once('.') {
                Some((name, _)) => format!("{hostname} {name}"),
                None => hostname.to_owned(),
            },
        }
    }

    /// Its mounts with docker's fields of `HostConfig`, as they are given to `run`.
    pub(crate) fn mounts_as_given(&self) -> Value {
        as_given(&self.mounts)
    }

    /// Which permissions its new files do not get.
    pub(crate) fn umask(&self) -> u32 {
        self.umask.unwrap_or(0o022)
    }

    /// Program and arguments.
    pub(crate) fn command(&self) -> Vec<String> {
        let parts = [&self.runtime.entrypoint, &self.runtime.cmd];
        parts.into_iter().flatten().flatten().cloned().collect()
    }

    /// The signal that asks it to end, if it has one of its own.
    pub(crate) fn own_stop_signal(&self) -> Option<i32> {
        // What an image says and nobody understands is passed over, as docker does.
        self.runtime.stop_signal.as_ref()?.parse().ok().map(Signal::number)
    }

    /// The signal that asks it to end.
    pub(crate) fn stop_signal(&self) -> i32 {
        self.own_stop_signal().unwrap_or(Signal::TERM.number())
    }

    /// How long it may take to end, in seconds; for ever if there is no limit.
    pub(crate) fn stop_seconds(&self, asked: Option<i64>) -> Option<u64> {
        u64::try_from(asked.or(self.stop_timeout).unwrap_or(STOP_TIMEOUT)).ok()
    }
}
