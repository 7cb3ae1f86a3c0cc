//! What is asked of a build.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use indexmap::IndexMap;
use oci::{Platform, Reference};

use crate::grants::Grants;
use crate::named_context::{ContextDirectory, NamedContexts};
use crate::shared_cache::CacheImage;
use crate::syntax::Source;

/// Everything that a build depends on. Nothing else is read from the machine: who calls it picks
/// the defaults.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The Dockerfile.
    pub dockerfile: Source,
    /// The directory that COPY and ADD read; none if there is none.
    pub context: Option<ContextDirectory>,
    /// What stands in for stages and images of certain names.
    pub contexts: NamedContexts,
    /// Values for ARG, by name.
    pub build_args: IndexMap<String, String>,
    /// The stage to build, by name or number; the last one if none.
    pub target: Option<String>,
    /// The platform to build for, if one was asked for; else that of the machine.
    pub platform: Option<Platform>,
    /// The platform of the machine.
    pub build_platform: Platform,
    /// Runs every step again instead of reusing results; the new results are kept.
    pub no_cache: bool,
    /// The stages whose steps run again, by name or number.
    pub no_cache_stages: Vec<String>,
    /// Images that carry the results of other builds.
    pub caches: Vec<CacheImage>,
    /// Asks the registry for base images that the store has already.
    pub pull: bool,
    /// Labels that the image gets beside those of the Dockerfile.
    pub labels: IndexMap<String, String>,
    /// How the image differs from what the Dockerfile makes of its base.
    pub changes: ImageChanges,
    /// The names that the image gets.
    pub names: Vec<Reference>,
    /// What RUN sees of the machine.
    pub sandbox: Sandbox,
    /// What RUN gets of the machine when it asks.
    pub grants: Grants,
    /// Whether it is put down what the image is made of, and how: see
    /// [`Provenance`](crate::Provenance).
    pub with_provenance: bool,
    /// What `created` says of what is made now, RFC 3339.
    pub now: String,
    /// How many steps run at once.
    pub parallelism: NonZeroUsize,
}

impl BuildRequest {
    /// The text of the ignore file that goes with the Dockerfile; empty if there is none.
    pub(crate) fn ignore(&self) -> &str {
        self.context.as_ref().map_or("", ContextDirectory::ignore)
    }
}

/// How an image differs from what the Dockerfile makes of its base.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageChanges {
    /// Variables that every stage begins with.
    pub env: Vec<(String, String)>,
    /// Variables that no stage inherits, and that the image does not have.
    pub unset_env: Vec<String>,
    /// Labels that the image does not have.
    pub unset_labels: Vec<String>,
    /// Whether no stage inherits labels.
    pub drops_labels: bool,
    /// Whether the image does not tell how it was made.
    pub drops_history: bool,
}

/// A file or directory of the machine that every RUN sees and may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Where it is.
    pub source: PathBuf,
    /// Where RUN sees it: absolute and clean.
    pub target: String,
    /// Whether writing fails.
    pub read_only: bool,
}

/// What the processes of RUN see of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The network of RUN instructions that do not choose one.
    pub network: NetworkMode,
    /// The name of the machine that processes see. It is part of what they compute with, and
    /// therefore of the cache key: give a constant.
    pub hostname: String,
    /// The content of `/etc/resolv.conf`.
    pub resolv_conf: Vec<u8>,
    /// The content of `/etc/hosts`.
    pub hosts: Vec<u8>,
    /// Whether they are confined by chroot(2) alone, for want of namespaces and mounts. What they
    /// make is the same, and so is the cache key.
    pub chroot: bool,
    /// What they see of its files. What those hold is no part of the cache key.
    pub volumes: Vec<Volume>,
    /// What its user chose of it.
    pub settings: RunSettings,
    /// How much each process with all that it starts may use. It is no part of the cache key: what
    /// comes of a command that ends well is the same.
    pub limits: runtime::Limits,
}

/// What the processes of RUN see of the machine by the user's choice. It is part of the cache key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunSettings {
    /// More names for addresses, in the form of `/etc/hosts`.
    pub hosts: Vec<(String, std::net::IpAddr)>,
    /// How large `/dev/shm` may be, in bytes.
    pub shm_size: Option<u64>,
    /// What each process may use.
    pub limits: Vec<runtime::Limit>,
    /// What each process may do, if it is not what containers may.
    pub capabilities: Option<runtime::CapabilitySet>,
}

/// The network of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetworkMode {
    /// The machine's.
    Host,
    /// None but the loopback.
    None,
}

impl NetworkMode {
    /// The name on the command line and in cache keys.
    pub fn as_str(self) -> &'static str {
        match self {
            NetworkMode::Host => "host",
            NetworkMode::None => "none",
        }
    }
}
