//! What a RUN is handed by whoever builds: secrets, ssh agents and devices. Their names are part of the
//! step's key; what they hold is not.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use layerfs::IdMode;
use runtime::{FileContent, Mount, ProvidedFile};

use super::agent::Forwarded;
use super::device::{self, Device};
use crate::cache::KeyHasher;
use crate::environment::Environment;
use crate::error::StepCause;
use crate::grants::Grants;
use crate::syntax::Span;

/// The variable that tells programs where the agent listens.
const AGENT_VARIABLE: &str = "SSH_AUTH_SOCK";

/// What a RUN asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// `--mount=type=secret`, in order.
    pub(crate) secrets: Vec<Secret>,
    /// `--mount=type=ssh`, in order.
    pub(crate) agents: Vec<Agent>,
    /// `--device`, in order.
    pub(crate) devices: Vec<Device>,
}

/// A secret of the build.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    /// What the build knows it by.
    pub(crate) id: String,
    /// The file that holds it, absolute and clean, if one does.
    pub(crate) target: Option<String>,
    /// The variable that holds it, if one does.
    pub(crate) variable: Option<String>,
    /// Whether the step fails without it.
    pub(crate) required: bool,
    /// The file's mode and owner.
    pub(crate) access: Access,
    /// Where it is asked for.
    pub(crate) span: Span,
}

/// An ssh agent.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    /// What the build knows it by.
    pub(crate) id: String,
    /// Its socket, absolute and clean.
    pub(crate) target: String,
    /// Whether the step fails without it.
    pub(crate) required: bool,
    /// The socket's mode and owner.
    pub(crate) access: Access,
    /// Where it is asked for.
    pub(crate) span: Span,
}

/// The mode and owner of what is handed over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What the process gets. It stays until this value goes.
#[derive(Default)]
pub(super) struct Handed {
    pub(super) files: Vec<ProvidedFile>,
    pub(super) mounts: Vec<Mount>,
    /// Variables that hold secrets, and what devices need.
    pub(super) variables: BTreeMap<String, OsString>,
    agents: Vec<Forwarded>,
    /// Where the first agent listens.
    socket: Option<String>,
}

impl Wanted {
    /// What is asked for, and how, without what it holds.
    pub(super) fn hash(&self, hasher: &mut KeyHasher) {
        hasher.number(self.secrets.len() as u64);
        for secret in &self.secrets {
            hasher.text(&secret.id);
            hasher.optional(secret.target.as_deref());
            hasher.optional(secret.variable.as_deref());
            hasher.flag(secret.required);
            secret.access.hash(hasher);
        }
        hasher.number(self.agents.len() as u64);
        for agent in &self.agents {
            hasher.text(&agent.id);
            hasher.text(&agent.target);
            hasher.flag(agent.required);
            agent.access.hash(hasher);
        }
        hasher.number(self.devices.len() as u64);
        for device in &self.devices {
            device.hash(hasher);
        }
    }

    /// Takes from the grants what is there of it. The sockets of agents are made below the
    /// directory `sockets`, if one is given, else in memory.
    ///
    /// # Errors
    /// When something is not there and required, or not allowed; when the socket of an agent cannot
    /// be made.
    pub(super) fn hand_over(
        &self,
        grants: &Grants,
        ids: IdMode,
        sockets: Option<&Path>,
    ) -> Result<Handed, StepCause> {
        let mut handed = Handed::default();
        device::hand_over(&self.devices, grants, &mut handed)?;
        for secret in &self.secrets {
            match grants.secrets.get(&secret.id) {
                Some(content) => handed.secret(secret, content.bytes()),
                None if secret.required => {
                    return Err(StepCause::NoSecret { id: secret.id.clone(), span: secret.span });
                }
                None => handed.no_secret(secret),
            }
        }
        for (number, agent) in self.agents.iter().enumerate() {
            let place = sockets.map(|sockets| sockets.join(number.to_string()));
            match grants.agents.get(&agent.id) {
                Some(socket) => {
                    handed.agent(agent, Forwarded::start(agent, socket, ids, place)?)?;
                }
                None if agent.required => {
                    return Err(StepCause::NoAgent { id: agent.id.clone(), span: agent.span });
                }
                None => {}
            }
        }
        Ok(handed)
    }
}

impl Access {
    fn hash(self, hasher: &mut KeyHasher) {
        for number in [self.mode, self.uid, self.gid] {
            hasher.number(number.into());
        }
    }
}

impl Handed {
    /// The process's environment: `env`, with what is handed over in variables. A secret goes
    /// before what the Dockerfile sets, and the Dockerfile before the agent.
    pub(super) fn environment(&self, env: &Environment) -> Vec<OsString> {
        let set = env.iter().filter(|(name, _)| !self.variables.contains_key(*name));
        let mut all: Vec<OsString> = set.map(|(name, value)| pair(name, value.as_ref())).collect();
        all.extend(self.variables.iter().map(|(name, value)| pair(name, value)));
        if let Some(socket) = &self.socket
            && env.get(AGENT_VARIABLE).is_none()
            && !self.variables.contains_key(AGENT_VARIABLE)
        {
            all.push(pair(AGENT_VARIABLE, socket.as_ref()));
        }
        all
    }

    fn secret(&mut self, secret: &Secret, content: &[u8]) {
        if let Some(name) = &secret.variable {
            self.variables.insert(name.clone(), OsString::from_vec(content.to_vec()));
        }
        if let Some(target) = &secret.target {
            let Access { mode, uid, gid } = secret.access;
            let content = FileContent::Bytes { bytes: content.to_vec(), mode, uid, gid };
            self.files.push(ProvidedFile { path: target.into(), content, read_only: true });
        }
    }

    /// As for docker, the variable is there and empty.
    fn no_secret(&mut self, secret: &Secret) {
        if let Some(name) = &secret.variable {
            self.variables.insert(name.clone(), OsString::new());
        }
    }

    fn agent(&mut self, agent: &Agent, forwarded: Forwarded) -> Result<(), StepCause> {
        let source = forwarded.socket()?;
        let target = (&agent.target).into();
        self.mounts.push(Mount { target, source, read_only: false });
        self.socket.get_or_insert_with(|| agent.target.clone());
        self.agents.push(forwarded);
        Ok(())
    }
}

fn pair(name: &str, value: &OsStr) -> OsString {
    let mut pair = OsString::from(name);
    pair.push("=");
    pair.push(value);
    pair
}
