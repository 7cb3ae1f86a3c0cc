//! What an image was made of, and how: the facts that statements about it are made from.

mod definition;
mod materials;
mod step;

use std::io;

use serde_json::Value;

use crate::images::BaseImage;
use crate::lower::Lowered;
use crate::op::{CopySource, MountContent, Op, SourceTree};
use crate::progress::StepId;
use crate::request::NetworkMode;
use crate::solve::Session;

pub use self::materials::{Material, MaterialKind};

/// What an image was made of, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// What came from registries, repositories and servers, each once.
    pub materials: Vec<Material>,
    /// The steps, in BuildKit's words: a list of `{"id": …, "op": …, "inputs": […]}`, each after
    /// its inputs.
    pub steps: Value,
    /// Where steps stand in the Dockerfile, by their ids.
    pub locations: Value,
    /// Whether a step reads files of this machine.
    pub reads_local: bool,
    /// Whether a RUN has a network.
    pub has_network: bool,
    /// The secrets that RUN asks for.
    pub secrets: Vec<Asked>,
    /// The ssh agents that RUN asks for.
    pub agents: Vec<Asked>,
    /// `SOURCE_DATE_EPOCH`, in seconds since 1970.
    pub epoch: Option<i64>,
}

/// What is told of the name of an image: of a layout its directory's name alone, since it may be
/// at any place.
pub(crate) fn told_name(name: &str) -> String {
    const LAYOUT: &str = "oci-layout://";
    match name.strip_prefix(LAYOUT) {
        Some(path) => format!("{LAYOUT}{}", path.rsplit('/').next().unwrap_or(path)),
        None => name.to_owned(),
    }
}

/// Something that RUN asks for by a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// The name.
    pub id: String,
    /// Whether it does without.
    pub optional: bool,
}

/// Puts down what the target was made of.
///
/// # Errors
/// If a file that was fetched cannot be read.
pub(crate) fn of(
    session: &Session<'_>,
    lowered: &Lowered,
    bases: &[(StepId, BaseImage)],
) -> io::Result<Provenance> {
    let needed = lowered.graph.needed_by(lowered.tip);
    let mut provenance = Provenance {
        materials: materials::of(session, &lowered.graph, &needed, bases)?,
        steps: Value::Null,
        locations: Value::Null,
        reads_local: false,
        has_network: false,
        secrets: Vec::new(),
        agents: Vec::new(),
        epoch: lowered.epoch,
    };
    for step in (0..needed.len()).filter(|step| needed[*step]).map(StepId) {
        provenance.note(&lowered.graph.get(step).op);
    }
    for asked in [&mut provenance.secrets, &mut provenance.agents] {
        asked.sort();
        asked.dedup_by(|later, kept| later.id == kept.id);
    }
    let defined = definition::of(&session.request.dockerfile, lowered, &needed, bases);
    (provenance.steps, provenance.locations) = defined;
    Ok(provenance)
}

impl Provenance {
    fn note(&mut self, op: &Op) {
        match op {
            Op::Copy(copy) => {
                let is_local = |source: &CopySource| {
                    matches!(source, CopySource::Path { tree: SourceTree::Context(_), .. })
                };
                self.reads_local |= copy.sources.iter().any(is_local);
            }
            Op::Run(run) => {
                self.has_network |= run.network != NetworkMode::None;
                let is_ours = |content: &MountContent| {
                    matches!(content, MountContent::Cache(_) | MountContent::Host(_))
                };
                self.reads_local |= run.mounts.iter().any(|mount| is_ours(&mount.content));
                let asked =
                    |id: &String, required: bool| Asked { id: id.clone(), optional: !required };
                let secrets = run.wanted.secrets.iter();
                self.secrets.extend(secrets.map(|secret| asked(&secret.id, secret.required)));
                let agents = run.wanted.agents.iter();
                self.agents.extend(agents.map(|agent| asked(&agent.id, agent.required)));
            }
            Op::Base(_) | Op::Remote(_) | Op::Workdir(_) | Op::Stack => {}
        }
    }
}
