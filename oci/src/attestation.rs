//! What is said about an image beside it in its index: statements in in-toto's form, in a
//! manifest of BuildKit's form.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use crate::{Descriptor, Digest, ImageConfig, Manifest, MediaType, Platform, Raw};

/// What BuildKit annotates an attestation with: the digest of the image that it is about.
pub(crate) const SUBJECT: &str = "vnd.docker.reference.digest";
/// What it annotates it with beside that: what it is.
const KIND: &str = "vnd.docker.reference.type";
/// The platform that nobody has, so that nobody takes an attestation for an image.
const NOWHERE: &str = "unknown";
/// The kind of statement that a blob holds.
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
/// The form of a statement.
const STATEMENT: &str = "https://in-toto.io/Statement/v0.1";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// The digest of the image that an entry of an index is about, if it is about one.
pub fn subject_of(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get(SUBJECT).map(String::as_str)
}

/// Something said, of a kind that an URI names.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    /// The kind.
    pub kind: String,
    /// What is said.
    pub body: Value,
}

/// What something is said about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    name: String,
    digest: IndexMap<&'static str, String>,
}

impl Subject {
    /// Something with a name and a digest.
    pub fn new(name: impl Into<String>, digest: &Digest) -> Subject {
        let entry = (digest.algorithm().as_str(), digest.hex().to_owned());
        Subject { name: name.into(), digest: IndexMap::from([entry]) }
    }
}

/// Something said about something.
#[derive(Debug, Serialize)]
pub struct Statement<'a> {
    #[serde(rename = "_type")]
    form: &'static str,
    #[serde(rename = "predicateType")]
    kind: &'a str,
    subject: &'a [Subject],
    predicate: &'a Value,
}

impl<'a> Statement<'a> {
    /// What a predicate says about these.
    pub fn new(predicate: &'a Predicate, subject: &'a [Subject]) -> Statement<'a> {
        Statement { form: STATEMENT, kind: &predicate.kind, subject, predicate: &predicate.body }
    }

    /// As one line.
    pub fn to_line(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a statement has string keys only")
    }

    /// For people to read.
    pub fn to_pretty(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a statement has string keys only")
    }
}

/// The documents of an attestation.
pub(crate) struct Attestation {
    /// As an index lists it.
    pub(crate) entry: Descriptor,
    /// Its manifest.
    pub(crate) manifest: Raw<Manifest>,
    /// The bytes of all that the manifest lists.
    pub(crate) blobs: Vec<Vec<u8>>,
}

impl Attestation {
    /// The attestation of an image.
    pub(crate) fn of(image: &Descriptor, predicates: &[Predicate], subjects: &[Subject]) -> Self {
        let mut blobs = Vec::new();
        let mut layers = Vec::new();
        for predicate in predicates {
            let bytes = Statement::new(predicate, subjects).to_line();
            let media_type = MediaType::new(IN_TOTO);
            let mut layer = Descriptor::new(media_type, Digest::sha256(&bytes), bytes.len() as u64);
            layer.annotations.insert(PREDICATE_TYPE.into(), predicate.kind.clone());
            layers.push(layer);
            blobs.push(bytes);
        }
        let config = Raw::write(config(&layers));
        let listed = Descriptor::new(MediaType::OCI_CONFIG, config.digest().clone(), config.size());
        blobs.push(config.bytes().to_vec());
        let manifest = Raw::write(Manifest::oci(listed, layers));
        let mut entry =
            Descriptor::new(MediaType::OCI_MANIFEST, manifest.digest().clone(), manifest.size());
        entry.annotations.insert(SUBJECT.into(), image.digest.to_string());
        entry.annotations.insert(KIND.into(), "attestation-manifest".into());
        entry.platform = Some(nowhere());
        Attestation { entry, manifest, blobs }
    }
}

fn nowhere() -> Platform {
    Platform {
        architecture: NOWHERE.into(),
        os: NOWHERE.into(),
        os_version: None,
        os_features: Vec::new(),
        variant: None,
    }
}

/// The config of an attestation: it names the statements as an image's does its layers.
fn config(statements: &[Descriptor]) -> ImageConfig {
    let mut config = ImageConfig::empty(&nowhere());
    config.config = crate::RuntimeConfig::default();
    config.rootfs.diff_ids =
        statements.iter().map(|statement| crate::DiffId(statement.digest.clone())).collect();
    config
}
