//! `build --provenance`, `--sbom`, `--attest`: what is said about an image beside it.

mod invocation;
mod options;
mod slsa;

use builder::{BuildRequest, Built};
use jiff::Timestamp;
use oci::attestation::Predicate;

use self::invocation::Invocation;
use self::options::{Attestation, ProvenanceArg, SbomArg};
use super::Args;
use super::inputs::Inputs;

pub(super) use self::invocation::ContextSource;
pub(super) use self::options::ProvenanceOptions;
use self::slsa::{before_metadata, predicate};

// The options.
#[derive(clap::Args)]
pub(super) struct AttestArgs {
    /// Put beside the image what it was made of, and how: true, false, or mode=max|min, version=v1,
    /// builder-id=ID, reproducible=true, filename=NAME; nothing is said of itself
    #[arg(long, value_name = "true|KEY=VALUE,…")]
    provenance: Option<ProvenanceArg>,
    /// `false` is all there is: nothing here looks for the packages of an image
    #[arg(long, value_name = "false")]
    sbom: Option<SbomArg>,
    /// type=provenance with what `--provenance` takes
    #[arg(long, value_name = "type=…,KEY=VALUE")]
    attest: Vec<Attestation>,
}

impl AttestArgs {
    /// How the provenance is put down, if it is to be: what is said last counts, and `--provenance`
    /// before `--attest`.
    pub(super) fn provenance(&self) -> Option<&ProvenanceOptions> {
        let attest = self.attest.iter().rev().find_map(Attestation::provenance);
        let chosen = self.provenance.as_ref().or(attest)?;
        chosen.options()
    }
}

/// What is said about one image.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    /// What stands beside it.
    pub(super) predicates: Vec<Predicate>,
    /// What the file of `--metadata-file` says of it.
    pub(super) summary: Option<serde_json::Value>,
}

impl Said {
    /// What there is to say about what was built since `started`.
    pub(super) fn of(
        args: &Args,
        inputs: &Inputs,
        request: &BuildRequest,
        built: &Built,
        started: Timestamp,
    ) -> Said {
        let Some(provenance) = &built.provenance else { return Said::default() };
        let invocation = Invocation::of(args, inputs, request, provenance, started);
        let options = args.attest.provenance();
        Said {
            predicates: options
                .map(|options| predicate(options, provenance, &invocation))
                .into_iter()
                .collect(),
            summary: Some(before_metadata(provenance, &invocation)),
        }
    }
}

/// Whether it has to be put down what the image is made of.
pub(super) fn is_wanted(args: &Args) -> bool {
    args.attest.provenance().is_some() || args.output.metadata_file.is_some()
}
