//! How a build was asked for, as its provenance tells it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use builder::{BuildRequest, GitSource, NetworkMode, Provenance, RemoteContext, RunSettings};
use jiff::Timestamp;
use oci::Digest;
use serde_json::{Value, json};

use super::super::Args;
use super::super::RunNetwork;
use super::super::inputs::Inputs;

/// How a build was asked for, and when it ran.
pub(in super::super) struct Invocation {
    /// The Dockerfile's name.
    pub(super) entry_point: String,
    /// Where the context came from, if it is not of this machine.
    pub(super) source: Option<ContextSource>,
    /// What was chosen, in the words of BuildKit's frontend.
    pub(super) args: BTreeMap<String, String>,
    /// The Dockerfile, base64.
    pub(super) dockerfile: String,
    /// The machine's platform.
    pub(super) platform: String,
    pub(super) started: String,
    pub(super) finished: String,
}

/// A context from elsewhere.
#[derive(Debug, Clone)]
pub(in super::super) struct ContextSource {
    /// Where it was, without credentials.
    pub(in super::super) uri: String,
    /// What it was: the kind of digest, and the digest.
    pub(in super::super) digest: Option<(&'static str, String)>,
}

impl ContextSource {
    /// A commit of a repository.
    pub(in super::super) fn commit(
        remote: &RemoteContext,
        git: &GitSource,
        commit: &str,
    ) -> ContextSource {
        let part = match (git.reference.as_deref(), git.directory.as_deref()) {
            (None, None) => String::new(),
            (reference, None) => format!("#{}", reference.unwrap_or_default()),
            (reference, Some(directory)) => {
                format!("#{}:{directory}", reference.unwrap_or_default())
            }
        };
        ContextSource { uri: format!("{remote}{part}"), digest: Some(("sha1", commit.to_owned())) }
    }

    /// As a material.
    pub(super) fn words(&self) -> Value {
        let mut words = json!({ "uri": self.uri });
        if let Some((kind, digest)) = &self.digest {
            words["digest"] = json!({ *kind: digest });
        }
        words
    }
}

impl Invocation {
    /// How this build was asked for. With `SOURCE_DATE_EPOCH` it says that it ran at that time, so
    /// that the same build says the same.
    pub(super) fn of(
        args: &Args,
        inputs: &Inputs,
        request: &BuildRequest,
        provenance: &Provenance,
        started: Timestamp,
    ) -> Invocation {
        let epoch = provenance.epoch.and_then(|epoch| Timestamp::from_second(epoch).ok());
        Invocation {
            entry_point: inputs.dockerfile.name.clone(),
            source: inputs.source.clone(),
            args: chosen(args, request),
            dockerfile: STANDARD.encode(&inputs.dockerfile.text),
            platform: request.build_platform.normalized().to_string(),
            started: epoch.unwrap_or(started).to_string(),
            finished: epoch.unwrap_or_else(Timestamp::now).to_string(),
        }
    }

    /// A name of this run: the same only for what is the same throughout.
    pub(super) fn id(&self, said: &Value) -> String {
        let digest = Digest::sha256(said.to_string().as_bytes());
        let digit = |pair: &[u8]| {
            let text = std::str::from_utf8(pair).unwrap_or_default();
            let byte = u32::from_str_radix(text, 16).unwrap_or_default();
            char::from_digit(byte % 36, 36).unwrap_or('0')
        };
        digest.hex().as_bytes().chunks(2).take(25).map(digit).collect()
    }
}

/// What the command line chose. Proxies of the machine are not among it: they may hold passwords.
fn chosen(args: &Args, request: &BuildRequest) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut put = |key: String, value: String| drop(all.insert(key, value));
    let named: Vec<&str> =
        args.build_arg.iter().map(|pair| pair.split('=').next().unwrap_or(pair)).collect();
    for (name, value) in &request.build_args {
        if named.contains(&name.as_str()) || name == "SOURCE_DATE_EPOCH" {
            put(format!("build-arg:{name}"), value.clone());
        }
    }
    for (name, value) in &request.labels {
        put(format!("label:{name}"), value.clone());
    }
    for context in &args.build_context {
        put(format!("context:{}", context.name()), context.shown());
    }
    if let Some(target) = &request.target {
        put("target".to_owned(), target.clone());
    }
    if request.no_cache {
        put("no-cache".to_owned(), String::new());
    } else if !request.no_cache_stages.is_empty() {
        put("no-cache".to_owned(), request.no_cache_stages.join(","));
    }
    let network = match (args.network, request.sandbox.network) {
        (RunNetwork::Default, _) => None,
        (_, NetworkMode::Host) => Some("host"),
        (_, NetworkMode::None) => Some("none"),
    };
    if let Some(network) = network {
        put("force-network-mode".to_owned(), network.to_owned());
    }
    let RunSettings { hosts, shm_size, .. } = &request.sandbox.settings;
    if !hosts.is_empty() {
        let hosts: Vec<String> =
            hosts.iter().map(|(name, address)| format!("{name}={address}")).collect();
        put("add-hosts".to_owned(), hosts.join(","));
    }
    if let Some(size) = shm_size {
        put("shm-size".to_owned(), size.to_string());
    }
    all
}
