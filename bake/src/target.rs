//! Targets: what one build is to be.

mod decode;
mod entries;
mod merge;
mod print;

use std::collections::BTreeMap;

use crate::functions::clean;

pub use entries::{Attest, Cache, Export, Secret, Ssh};
pub(crate) use merge::{by_key, distinct};

/// What one build is to be. What is nothing was not said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// What its definition says about it.
    pub description: String,
    /// The targets that it starts from.
    pub inherits: Vec<String>,
    /// Notes on the image.
    pub annotations: Vec<String>,
    /// What is to be said about the image.
    pub attest: Option<Vec<Attest>>,
    /// The context.
    pub context: Option<String>,
    /// Named contexts.
    pub contexts: BTreeMap<String, String>,
    /// The Dockerfile.
    pub dockerfile: Option<String>,
    /// The text of a Dockerfile.
    pub dockerfile_inline: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, Option<String>>,
    /// Labels.
    pub labels: BTreeMap<String, Option<String>>,
    /// Names for the image.
    pub tags: Option<Vec<String>>,
    /// Where results of steps come from.
    pub cache_from: Option<Vec<Cache>>,
    /// Where they go.
    pub cache_to: Option<Vec<Cache>>,
    /// The stage to build.
    pub target: Option<String>,
    /// Secrets.
    pub secrets: Option<Vec<Secret>>,
    /// Agents.
    pub ssh: Option<Vec<Ssh>>,
    /// Platforms.
    pub platforms: Option<Vec<String>>,
    /// What becomes of the build.
    pub outputs: Option<Vec<Export>>,
    /// Whether base images are asked for again.
    pub pull: Option<bool>,
    /// Whether every step runs.
    pub no_cache: Option<bool>,
    /// The network of RUN.
    pub network: Option<String>,
    /// Stages of which every step runs.
    pub no_cache_filter: Option<Vec<String>>,
    /// The size of `/dev/shm`.
    pub shm_size: Option<String>,
    /// What processes may use.
    pub ulimits: Option<Vec<String>>,
    /// What is asked instead of building.
    pub call: Option<String>,
    /// What RUN may ask for.
    pub entitlements: Vec<String>,
    /// Hosts by name.
    pub extra_hosts: BTreeMap<String, Option<String>>,
}

/// A context as builds take it: the shortest path, or what is elsewhere.
fn cleaned(context: &str) -> String {
    const HERE: &str = "cwd://";
    match context.strip_prefix(HERE) {
        Some(path) => clean(path),
        None if context.contains("://") || context.starts_with("git@") => context.to_owned(),
        None => clean(context),
    }
}

/// What stands before the name of a target in a named context.
const TARGET: &str = "target:";

impl Target {
    /// A target of which nothing is said.
    pub(crate) fn named(name: &str) -> Target {
        Target { name: name.to_owned(), ..Target::default() }
    }

    /// The targets that it uses as named contexts.
    pub fn uses(&self) -> impl Iterator<Item = &str> {
        self.contexts.values().filter_map(|context| context.strip_prefix(TARGET))
    }

    pub(crate) fn platform_list(&self) -> &[String] {
        self.platforms.as_deref().unwrap_or_default()
    }

    pub(crate) fn inherit_entitlements(&mut self, other: &Target) {
        for entitlement in &other.entitlements {
            if !self.entitlements.contains(entitlement) {
                self.entitlements.push(entitlement.clone());
            }
        }
    }

    /// Fills in what every build has.
    pub(crate) fn complete(&mut self) {
        self.inherits.clear();
        self.context = Some(cleaned(self.context.as_deref().unwrap_or(".")));
        if self.dockerfile.as_deref().unwrap_or_default().is_empty() {
            self.dockerfile = Some("Dockerfile".to_owned());
        }
    }
}
