//! A provenance in the forms of SLSA, with BuildKit's words where SLSA leaves it to the builder.

use builder::{Asked, Material, MaterialKind, Provenance};
use oci::attestation::Predicate;
use oci::{Digest, Platform, Reference, package_url};
use serde_json::{Map, Value, json};

use super::invocation::Invocation;
use super::options::{Mode, ProvenanceOptions, Version};

const KIND_V02: &str = "https://slsa.dev/provenance/v0.2";
const KIND_V1: &str = "https://slsa.dev/provenance/v1";
/// What BuildKit's words are known by, in each form.
const BUILD_TYPE_V02: &str = "https://mobyproject.org/buildkit@v1";
const BUILD_TYPE_V1: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
const FRONTEND: &str = "dockerfile.v0";

/// The statement's predicate.
pub(in super::super) fn predicate(
    options: &ProvenanceOptions,
    provenance: &Provenance,
    invocation: &Invocation,
) -> Predicate {
    let facts = Facts { options, provenance, invocation };
    match options.version {
        Version::V02 => Predicate { kind: KIND_V02.to_owned(), body: facts.v02() },
        Version::V1 => Predicate { kind: KIND_V1.to_owned(), body: facts.v1() },
    }
}

/// What `--metadata-file` says, as buildx has it: the shorter form, without what it says of itself.
pub(in super::super) fn before_metadata(provenance: &Provenance, invocation: &Invocation) -> Value {
    let options = ProvenanceOptions { mode: Mode::Min, ..ProvenanceOptions::default() };
    let mut said = Facts { options: &options, provenance, invocation }.v02();
    if let Value::Object(said) = &mut said {
        said.shift_remove("metadata");
    }
    said
}

struct Facts<'a> {
    options: &'a ProvenanceOptions,
    provenance: &'a Provenance,
    invocation: &'a Invocation,
}

impl Facts<'_> {
    fn is_max(&self) -> bool {
        self.options.mode == Mode::Max
    }

    fn v02(&self) -> Value {
        let mut said = Map::new();
        said.insert("builder".into(), json!({ "id": self.options.builder_id }));
        said.insert("buildType".into(), BUILD_TYPE_V02.into());
        let materials = self.materials();
        if !materials.is_empty() {
            said.insert("materials".into(), materials.into());
        }
        let mut source = self.source();
        source.insert("entryPoint".into(), self.invocation.entry_point.clone().into());
        said.insert(
            "invocation".into(),
            json!({
                "configSource": source,
                "parameters": self.parameters(),
                "environment": { "platform": self.invocation.platform },
            }),
        );
        if self.is_max() {
            said.insert("buildConfig".into(), self.build_config());
        }
        let mut metadata = json!({
            "buildInvocationID": "",
            "buildStartedOn": self.invocation.started,
            "buildFinishedOn": self.invocation.finished,
            "completeness": {
                "parameters": self.has_all_parameters(),
                "environment": true,
                "materials": self.has_all_materials(),
            },
            "reproducible": self.options.reproducible,
        });
        if self.is_hermetic() {
            metadata["https://mobyproject.org/buildkit@v1#hermetic"] = true.into();
        }
        metadata["https://mobyproject.org/buildkit@v1#metadata"] = self.more();
        let mut said = Value::Object(said);
        said["metadata"] = metadata;
        said["metadata"]["buildInvocationID"] = self.invocation.id(&said).into();
        said
    }

    fn v1(&self) -> Value {
        let mut source = self.source();
        source.insert("path".into(), self.invocation.entry_point.clone().into());
        let mut definition = json!({ "buildType": BUILD_TYPE_V1 });
        let materials = self.materials();
        if !materials.is_empty() {
            definition["resolvedDependencies"] = materials.into();
        }
        definition["externalParameters"] =
            json!({ "configSource": source, "request": self.parameters() });
        definition["internalParameters"] = match self.is_max() {
            true => json!({
                "buildConfig": self.build_config(),
                "builderPlatform": self.invocation.platform,
            }),
            false => json!({ "builderPlatform": self.invocation.platform }),
        };
        let mut metadata = json!({
            "invocationId": "",
            "startedOn": self.invocation.started,
            "finishedOn": self.invocation.finished,
            "buildkit_metadata": self.more(),
        });
        if self.is_hermetic() {
            metadata["buildkit_hermetic"] = true.into();
        }
        metadata["buildkit_completeness"] = json!({
            "request": self.has_all_parameters(),
            "resolvedDependencies": self.has_all_materials(),
        });
        if self.options.reproducible {
            metadata["buildkit_reproducible"] = true.into();
        }
        let mut said = json!({
            "buildDefinition": definition,
            "runDetails": { "builder": { "id": self.options.builder_id }, "metadata": metadata },
        });
        said["runDetails"]["metadata"]["invocationId"] = self.invocation.id(&said).into();
        said
    }

    fn source(&self) -> Map<String, Value> {
        match self.invocation.source.as_ref().map(super::invocation::ContextSource::words) {
            Some(Value::Object(words)) => words,
            _ => Map::new(),
        }
    }

    fn materials(&self) -> Vec<Value> {
        let materials = self.provenance.materials.iter().map(material);
        let context = self.invocation.source.as_ref();
        context.map(super::invocation::ContextSource::words).into_iter().chain(materials).collect()
    }

    fn parameters(&self) -> Value {
        let mut parameters = json!({ "frontend": FRONTEND });
        let is_told = |name: &&String| {
            self.is_max() || !(name.starts_with("build-arg:") || name.starts_with("label:"))
        };
        let args = self.invocation.args.iter().filter(|(name, _)| is_told(name));
        let args: Map<String, Value> =
            args.map(|(name, value)| (name.clone(), value.clone().into())).collect();
        if !args.is_empty() {
            parameters["args"] = Value::Object(args);
        }
        let asked = [("secrets", &self.provenance.secrets), ("ssh", &self.provenance.agents)];
        for (key, asked) in
            asked.into_iter().filter(|(_, asked)| self.is_max() && !asked.is_empty())
        {
            parameters[key] = asked.iter().map(asked_for).collect();
        }
        if self.invocation.source.is_none() {
            parameters["locals"] = json!([{ "name": "context" }, { "name": "dockerfile" }]);
        }
        parameters
    }

    fn has_all_parameters(&self) -> bool {
        let is_dropped =
            |name: &String| name.starts_with("build-arg:") || name.starts_with("label:");
        self.is_max() || !self.invocation.args.keys().any(is_dropped)
    }

    fn has_all_materials(&self) -> bool {
        let source = self.invocation.source.as_ref();
        let has_source = source.is_some_and(|source| source.digest.is_some());
        let are_known = self.provenance.materials.iter().all(|material| material.digest.is_some());
        has_source && are_known && !self.provenance.reads_local
    }

    /// Whether nothing can have come in but what is told.
    fn is_hermetic(&self) -> bool {
        self.has_all_materials() && !self.provenance.has_network
    }

    fn build_config(&self) -> Value {
        json!({ "llbDefinition": self.provenance.steps })
    }

    fn more(&self) -> Value {
        if !self.is_max() {
            return json!({});
        }
        json!({
            "source": {
                "locations": self.provenance.locations,
                "infos": [{
                    "filename": self.invocation.entry_point,
                    "language": "Dockerfile",
                    "data": self.invocation.dockerfile,
                }],
            },
        })
    }
}

fn asked_for(asked: &Asked) -> Value {
    match asked.optional {
        true => json!({ "id": asked.id, "optional": true }),
        false => json!({ "id": asked.id }),
    }
}

fn material(material: &Material) -> Value {
    let (uri, kind) = match &material.kind {
        MaterialKind::Image { name, platform } => (image_url(name, platform), None),
        MaterialKind::Git { url, reference: Some(reference) } => {
            (format!("{url}#{reference}"), Some("sha1"))
        }
        MaterialKind::Git { url, reference: None } => (url.clone(), Some("sha1")),
        MaterialKind::File { url } => (url.clone(), None),
    };
    let mut words = json!({ "uri": uri });
    let digest = match (&material.digest, kind) {
        (Some(commit), Some(kind)) => Some((kind.to_owned(), commit.clone())),
        (Some(text), None) => text
            .parse::<Digest>()
            .ok()
            .map(|digest| (digest.algorithm().as_str().to_owned(), digest.hex().to_owned())),
        (None, _) => None,
    };
    if let Some((kind, digest)) = digest {
        words["digest"] = json!({ kind: digest });
    }
    words
}

/// The package URL of an image by the name that the builder has for it.
fn image_url(name: &str, platform: &str) -> String {
    if let Some(layout) = name.strip_prefix("oci-layout://") {
        let (layout, digest) = layout.split_once('@').unwrap_or((layout, ""));
        let platform = platform.replace('/', "%2F");
        return format!("pkg:oci/{layout}?digest={digest}&platform={platform}");
    }
    let parsed = (name.parse::<Reference>(), platform.parse::<Platform>());
    let (Ok(name), Ok(platform)) = parsed else { return name.to_owned() };
    // A name with a tag and a digest was written with one of them: it was the tag.
    let name = match (name.tag(), name.digest()) {
        (Some(tag), Some(_)) => {
            Reference::new(name.registry(), name.repository(), Some(tag), None).unwrap_or(name)
        }
        _ => name,
    };
    package_url(&name, &platform)
}
