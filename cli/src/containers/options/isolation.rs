//! How far a container is kept apart from the machine: `--cap-add`, `--privileged`, `--ulimit`, …

use std::str::FromStr;
use std::sync::Arc;

use runtime::{Capability, CapabilitySet, Limit, Resource, Seccomp, SystemPaths};
use serde::{Deserialize, Serialize};

use super::seccomp;
use crate::error::Failure;

// What the command line says of it, and what is kept of that.
#[derive(Debug, Clone, Default, clap::Args, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Isolation {
    /// Give the container a capability, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) cap_add: Vec<String>,
    /// Take a capability from the container, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) cap_drop: Vec<String>,
    /// Let the container do what the machine's root may, with the machine's devices
    #[arg(long)]
    pub(crate) privileged: bool,
    /// no-new-privileges, seccomp=unconfined or a profile's file, systempaths=unconfined
    #[arg(long, value_name = "OPTION")]
    pub(crate) security_opt: Vec<SecurityOption>,
    /// The most that a process may use of something: nofile=1024:2048
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub(crate) ulimit: Vec<Ulimit>,
    /// Mount the container's root read-only
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Let a small init be process 1, which reaps orphans and passes signals on
    #[arg(long)]
    pub(crate) init: bool,
}

/// What a process of a container may do.
pub(crate) struct Privileges {
    pub(crate) capabilities: CapabilitySet,
    pub(crate) seccomp: Seccomp,
    pub(crate) no_new_privileges: bool,
}

impl Isolation {
    /// Checks the names, before anything is made.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.privileges(false).map(drop)
    }

    /// Whether the container may change its network: interfaces, routes, rules.
    pub(crate) fn rules_its_network(&self) -> bool {
        "NET_ADMIN".parse().is_ok_and(|it: Capability| {
            self.privileges(false).is_ok_and(|own| own.capabilities.contains(it))
        })
    }

    /// What the container's processes may do; all, if they are privileged.
    pub(crate) fn privileges(&self, privileged: bool) -> Result<Privileges, Failure> {
        let privileged = self.privileged || privileged;
        let has = |option| self.security_opt.contains(&option);
        let is_unconfined = privileged || has(SecurityOption::SeccompUnconfined);
        let chosen = self.security_opt.iter().rev().find_map(|option| match option {
            SecurityOption::Seccomp(text) if !is_unconfined => Some(text),
            _ => None,
        });
        let capabilities = match (privileged, is_unconfined || chosen.is_some()) {
            (true, _) => CapabilitySet::ALL,
            (false, false) => self.capabilities()?,
            // docker's filter keeps containers from making the machine's devices; without it, this
            // does.
            (false, true) => self.capabilities()?.without(Capability::MKNOD),
        };
        let seccomp = match chosen {
            _ if is_unconfined => Seccomp::Unconfined,
            None => Seccomp::Default,
            Some(text) => {
                let profile = seccomp::profile(text, capabilities).map_err(Failure::new)?;
                Seccomp::Profile(Arc::new(profile))
            }
        };
        Ok(Privileges {
            capabilities,
            seccomp,
            no_new_privileges: has(SecurityOption::NoNewPrivileges),
        })
    }

    /// What it may do with the kernel's own files.
    pub(crate) fn system_paths(&self) -> SystemPaths {
        let is_open =
            self.privileged || self.security_opt.contains(&SecurityOption::SystemPathsUnconfined);
        if is_open { SystemPaths::Open } else { SystemPaths::Protected }
    }

    /// What is left of the capabilities.
    fn capabilities(&self) -> Result<CapabilitySet, Failure> {
        capabilities(&self.cap_add, &self.cap_drop)
    }

    /// What the container's processes may use.
    pub(crate) fn limits(&self) -> Vec<Limit> {
        self.ulimit.iter().map(Ulimit::limit).collect()
    }
}

/// What `--cap-add` and `--cap-drop` leave, by docker's rules: ALL stands for all others of its list,
/// and drops come last.
pub(crate) fn capabilities(add: &[String], drop: &[String]) -> Result<CapabilitySet, Failure> {
    let is_all = |name: &&String| name.eq_ignore_ascii_case("ALL");
    let named = |names: &[String]| -> Result<Vec<Capability>, Failure> {
        let names = names.iter().filter(|name| !is_all(name));
        Ok(names.map(|name| name.parse()).collect::<Result<_, _>>()?)
    };
    let (added, dropped) = (named(add)?, named(drop)?);
    let mut set = match () {
        () if add.iter().any(|name| is_all(&name)) => CapabilitySet::ALL,
        () if drop.iter().any(|name| is_all(&name)) => CapabilitySet::NONE,
        () => CapabilitySet::DOCKER,
    };
    if !drop.iter().any(|name| is_all(&name)) {
        set = dropped.into_iter().fold(set, CapabilitySet::without);
    }
    Ok(added.into_iter().fold(set, CapabilitySet::with))
}

/// A `--security-opt` that is understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SecurityOption {
    NoNewPrivileges,
    /// `no-new-privileges=false`, as it is without.
    NewPrivileges,
    SeccompUnconfined,
    /// `seccomp=builtin`, as it is without.
    SeccompBuiltin,
    /// A profile, as its file has it.
    Seccomp(String),
    SystemPathsUnconfined,
    /// `apparmor=unconfined`, `label=disable`: neither confines a container here.
    NoModule,
}

impl FromStr for SecurityOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // docker took a colon once.
        match text.replacen(':', "=", 1).as_str() {
            "no-new-privileges" | "no-new-privileges=true" => Ok(Self::NoNewPrivileges),
            "no-new-privileges=false" => Ok(Self::NewPrivileges),
            "seccomp=unconfined" => Ok(Self::SeccompUnconfined),
            "systempaths=unconfined" => Ok(Self::SystemPathsUnconfined),
            "apparmor=unconfined" | "label=disable" => Ok(Self::NoModule),
            "seccomp=builtin" => Ok(Self::SeccompBuiltin),
            other if other.starts_with("seccomp=") => {
                let file = &other["seccomp=".len()..];
                std::fs::read_to_string(file)
                    .map(Self::Seccomp)
                    .map_err(|error| format!("cannot read the profile {file}: {error}"))
            }
            _ => Err("these are understood: no-new-privileges, seccomp=unconfined, seccomp=FILE, \
                      systempaths=unconfined, apparmor=unconfined, label=disable"
                .into()),
        }
    }
}

impl SecurityOption {
    /// As docker's `inspect` has it.
    pub(crate) fn shown(&self) -> String {
        let text = match self {
            Self::Seccomp(profile) => return format!("seccomp={profile}"),
            Self::SeccompBuiltin => "seccomp=builtin",
            Self::NoNewPrivileges => "no-new-privileges",
            Self::NewPrivileges => "no-new-privileges=false",
            Self::SeccompUnconfined => "seccomp=unconfined",
            Self::SystemPathsUnconfined => "systempaths=unconfined",
            Self::NoModule => "label=disable",
        };
        text.to_owned()
    }
}

/// A `--ulimit`; no number is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ulimit {
    pub(crate) name: String,
    pub(crate) soft: Option<u64>,
    pub(crate) hard: Option<u64>,
}

/// The names that docker has.
const RESOURCES: [(&str, Resource); 15] = [
    ("core", Resource::Core),
    ("cpu", Resource::Cpu),
    ("data", Resource::Data),
    ("fsize", Resource::Fsize),
    ("locks", Resource::Locks),
    ("memlock", Resource::Memlock),
    ("msgqueue", Resource::Msgqueue),
    ("nice", Resource::Nice),
    ("nofile", Resource::Nofile),
    ("nproc", Resource::Nproc),
    ("rss", Resource::Rss),
    ("rtprio", Resource::Rtprio),
    ("rttime", Resource::Rttime),
    ("sigpending", Resource::Sigpending),
    ("stack", Resource::Stack),
];

impl Ulimit {
    /// As processes get it.
    pub(crate) fn limit(&self) -> Limit {
        let known = RESOURCES.iter().find(|(name, _)| *name == self.name);
        // Only names of the list are ever read.
        let resource = known.map_or(Resource::Nofile, |(_, resource)| *resource);
        Limit { resource, soft: self.soft, hard: self.hard }
    }
}

impl FromStr for Ulimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, values) =
            text.split_once('=').ok_or("a limit is written as NAME=SOFT[:HARD]")?;
        if !RESOURCES.iter().any(|(known, _)| *known == name) {
            let known: Vec<&str> = RESOURCES.iter().map(|(name, _)| *name).collect();
            return Err(format!("there is no limit `{name}`; these are: {}", known.join(", ")));
        }
        let value = |text: &str| match text {
            "-1" | "unlimited" => Ok(None),
            text => text.parse().map(Some).map_err(|_| format!("`{text}` is no limit")),
        };
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        let (soft, hard) = (value(soft)?, value(hard)?);
        if hard.is_some_and(|hard| soft.is_none_or(|soft| soft > hard)) {
            return Err("the soft limit is above the hard one".into());
        }
        Ok(Ulimit { name: name.to_owned(), soft, hard })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_added_and_dropped_by_dockers_rules() {
        let set = |add: &[&str], drop: &[&str]| {
            let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
            let isolation =
                Isolation { cap_add: list(add), cap_drop: list(drop), ..Isolation::default() };
            isolation.capabilities().map(CapabilitySet::bits)
        };
        let docker = CapabilitySet::DOCKER;
        let capability = |name: &str| name.parse::<Capability>().unwrap();
        for (add, drop, expected) in [
            (&[][..], &[][..], docker),
            (&["net_admin"], &[], docker.with(capability("NET_ADMIN"))),
            (&[], &["CAP_CHOWN"], docker.without(capability("CHOWN"))),
            (&["CHOWN"], &["all"], CapabilitySet::NONE.with(capability("CHOWN"))),
            (&["ALL"], &["SYS_ADMIN"], CapabilitySet::ALL.without(capability("SYS_ADMIN"))),
        ] {
            assert_eq!(set(add, drop).unwrap(), expected.bits(), "{add:?} {drop:?}");
        }
        assert!(set(&["FLY"], &[]).is_err());
    }

    #[test]
    fn limits_are_read() {
        let limit = |text: &str| text.parse::<Ulimit>().map(|limit| (limit.soft, limit.hard));
        assert_eq!(limit("nofile=10:20"), Ok((Some(10), Some(20))));
        assert_eq!(limit("core=0"), Ok((Some(0), Some(0))));
        assert_eq!(limit("memlock=-1"), Ok((None, None)));
        for text in ["nofile", "nofile=x", "nofile=2:1", "nofile=-1:5", "wings=2"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }
}
