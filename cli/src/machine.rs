//! What the command line takes from its surroundings: variables, files, the terminal. Nothing
//! below reads them for itself.

use std::io::IsTerminal;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use registry_client::routes::HostFilesAt;

use crate::error::Failure;
use crate::networks::{BEHIND, reachable};

/// The surroundings of this process, read when asked for.
pub(crate) struct Machine {
    /// Whether the process began as root; later it may be root of a namespace of its own.
    pub(crate) began_as_root: bool,
    /// The directory of docker's configuration, if one was named.
    config: Option<PathBuf>,
}

impl Machine {
    /// Looks who we are. Must come before a user namespace is entered.
    pub(crate) fn look(config: Option<PathBuf>) -> Machine {
        let config = config.filter(|dir| !dir.as_os_str().is_empty());
        Machine { began_as_root: rustix::process::geteuid().is_root(), config }
    }

    /// The store where none is named.
    pub(crate) fn default_root(&self) -> PathBuf {
        if self.began_as_root {
            return PathBuf::from("/var/lib/tierce");
        }
        let data = variable("XDG_DATA_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
        data.unwrap_or_else(|| home().join(".local/share")).join("tierce")
    }

    /// Docker's configuration file with credentials.
    pub(crate) fn docker_config(&self) -> PathBuf {
        let dir = self.config.clone();
        dir.unwrap_or_else(|| home().join(".docker")).join("config.json")
    }

    /// The credential files of podman and its kin, those that may exist, best first.
    pub(crate) fn auth_files(&self) -> Vec<PathBuf> {
        let named = variable("REGISTRY_AUTH_FILE").map(PathBuf::from);
        let runtime =
            variable("XDG_RUNTIME_DIR").map(|d| Path::new(&d).join("containers/auth.json"));
        let config =
            variable("XDG_CONFIG_HOME").map_or_else(|| home().join(".config"), PathBuf::from);
        named.into_iter().chain(runtime).chain([config.join("containers/auth.json")]).collect()
    }

    /// Where files about registries may stand: containers', containerd's and docker's, the
    /// user's own first.
    pub(crate) fn host_files(&self) -> HostFilesAt {
        let config =
            variable("XDG_CONFIG_HOME").map_or_else(|| home().join(".config"), PathBuf::from);
        let both = |tail: &str| [config.join(tail), Path::new("/etc").join(tail)];
        let named = ["CONTAINERS_REGISTRIES_CONF", "REGISTRIES_CONFIG_PATH"];
        let [own, systems] = both("containers/registries.conf");
        let mut more = both("containers/registries.conf.d");
        // The user's are read last, and so count.
        more.reverse();
        let certs = ["containers/certs.d", "containerd/certs.d", "docker/certs.d"];
        HostFilesAt {
            registries: match named.into_iter().find_map(variable) {
                Some(file) => vec![file.into()],
                None => vec![own, systems, "/usr/share/containers/registries.conf".into()],
            },
            registries_more: more.into(),
            certs: [0, 1]
                .into_iter()
                .flat_map(|at| certs.map(|tail| both(tail)[at].clone()))
                .collect(),
        }
    }

    /// The proxy variables that builds and clients honour, as `NAME=value` pairs.
    pub(crate) fn proxies(&self) -> Vec<(String, String)> {
        ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"]
            .into_iter()
            .flat_map(|name| [name.to_owned(), name.to_lowercase()])
            .filter_map(|name| variable(&name).map(|value| (name, value)))
            .collect()
    }

    /// What containers get as `/etc/resolv.conf` that share our network.
    pub(crate) fn resolv_conf(&self) -> Vec<u8> {
        std::fs::read("/etc/resolv.conf").unwrap_or_default()
    }

    /// What containers get that have a network of their own.
    pub(crate) fn resolv_conf_for_others(&self) -> Vec<u8> {
        let conf = self.resolv_conf();
        let behind = std::fs::read_to_string(BEHIND).ok();
        reachable(&String::from_utf8_lossy(&conf), behind.as_deref()).into_bytes()
    }

    /// What containers get as `/etc/hosts`: they share our network.
    pub(crate) fn hosts(&self) -> Vec<u8> {
        std::fs::read("/etc/hosts").unwrap_or_else(|_| b"127.0.0.1\tlocalhost\n".to_vec())
    }

    /// Whether people watch standard error.
    pub(crate) fn watches_stderr(&self) -> bool {
        std::io::stderr().is_terminal() && variable("TERM").as_deref() != Some("dumb")
    }

    /// The second of `SOURCE_DATE_EPOCH`, if it is set.
    pub(crate) fn source_date_epoch(&self) -> Option<String> {
        variable("SOURCE_DATE_EPOCH")
    }

    /// When what is made now is to have been made: now, or what `SOURCE_DATE_EPOCH` says.
    pub(crate) fn created(&self) -> Result<String, Failure> {
        match self.source_date_epoch() {
            None => Ok(Timestamp::now().to_string()),
            Some(text) => text
                .parse()
                .ok()
                .and_then(|second| Timestamp::from_second(second).ok())
                .map(|time| time.to_string())
                .ok_or_else(|| {
                    Failure::new(format!("SOURCE_DATE_EPOCH is `{text}`, which is no time"))
                }),
        }
    }

    /// Where devices are described, as the Container Device Interface has it.
    pub(crate) fn cdi_directories(&self) -> Vec<PathBuf> {
        ["/etc/cdi", "/var/run/cdi"].map(PathBuf::from).into()
    }

    /// A variable by name, whatever it holds, for `--secret`.
    pub(crate) fn variable_bytes(&self, name: &str) -> Option<Vec<u8>> {
        std::env::var_os(name).map(OsStringExt::into_vec)
    }

    /// A variable by name, for `--build-arg NAME` and `-e NAME`.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        variable(name)
    }
}

/// Where programs are.
pub(crate) fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    std::env::split_paths(&path).filter(|dir| dir.is_absolute()).collect()
}

/// Whether we are in the user namespace that the machine began with: in any other, root may not
/// make interfaces of the machine's network.
pub(crate) fn is_in_first_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn home() -> PathBuf {
    variable("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from)
}
