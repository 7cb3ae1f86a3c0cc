//! The steps of a build as a list, in the words of BuildKit's build definitions.

use std::collections::HashMap;

use oci::Reference;
use serde_json::{Map, Value, json};

use super::materials::platform_words;
use super::step;
use crate::graph::Vertex;
use crate::images::BaseImage;
use crate::lower::Lowered;
use crate::op::{ContextId, Op};
use crate::progress::StepId;
use crate::syntax::{Source, Span};

/// The steps, and where they stand.
pub(super) fn of(
    dockerfile: &Source,
    lowered: &Lowered,
    needed: &[bool],
    bases: &[(StepId, BaseImage)],
) -> (Value, Value) {
    let mut list = List::new(dockerfile);
    for step in (0..needed.len()).filter(|step| needed[*step]).map(StepId) {
        let vertex = lowered.graph.get(step);
        let base = bases.iter().find(|(base, _)| *base == step).map(|(_, image)| image);
        list.vertex(step, vertex, base);
    }
    if let Some(tip) = list.ids.get(&lowered.tip).cloned() {
        list.add(json!({ "Op": {} }), &[tip], &[], None);
    }
    (Value::Array(list.steps), Value::Object(list.locations))
}

/// The list as it comes about.
pub(super) struct List<'a> {
    dockerfile: &'a Source,
    steps: Vec<Value>,
    locations: Map<String, Value>,
    /// The steps of the graph; those that do nothing have none.
    ids: HashMap<StepId, String>,
    /// The directories of this machine.
    contexts: HashMap<ContextId, String>,
}

impl<'a> List<'a> {
    fn new(dockerfile: &'a Source) -> List<'a> {
        List {
            dockerfile,
            steps: Vec::new(),
            locations: Map::new(),
            ids: HashMap::new(),
            contexts: HashMap::new(),
        }
    }

    fn vertex(&mut self, step: StepId, vertex: &Vertex, base: Option<&BaseImage>) {
        let inputs: Vec<Option<String>> =
            vertex.inputs.iter().map(|input| self.ids.get(input).cloned()).collect();
        let (op, inputs) = match (&vertex.op, base) {
            (Op::Base(_), None) => return,
            (Op::Base(_), Some(image)) => {
                let source = json!({ "source": { "identifier": identifier(image) } });
                let platform = Some(platform_words(&image.config.platform()));
                let id = self.add(json!({ "Op": source }), &[], &[vertex.span], platform);
                self.ids.insert(step, id);
                return;
            }
            (Op::Remote(remote), _) => step::remote(remote),
            (Op::Copy(copy), _) => step::copy(self, copy, &inputs),
            (Op::Run(run), _) => step::run(self, run, &inputs),
            (Op::Workdir(workdir), _) => step::workdir(workdir, &inputs),
            (Op::Stack, _) => step::stack(&inputs),
        };
        let id = self.add(json!({ "Op": op }), &inputs, &[vertex.span], None);
        self.ids.insert(step, id);
    }

    /// The step that stands for a directory of this machine.
    pub(super) fn context(&mut self, context: ContextId) -> String {
        if let Some(id) = self.contexts.get(&context) {
            return id.clone();
        }
        let name = match context {
            ContextId::Main => "local://context".to_owned(),
            ContextId::Named(number) => format!("local://context-{number}"),
        };
        let op = json!({ "Op": { "source": { "identifier": name } } });
        let id = self.add(op, &[], &[], None);
        self.contexts.insert(context, id.clone());
        id
    }

    /// A step that makes a file with a content that the Dockerfile gives.
    pub(super) fn file(&mut self, name: &str, content: &str, mode: u32) -> String {
        let op = json!({ "Op": step::inline_file(name, content, mode) });
        self.add(op, &[], &[], None)
    }

    fn add(
        &mut self,
        mut op: Value,
        inputs: &[String],
        spans: &[Span],
        platform: Option<Value>,
    ) -> String {
        let id = format!("step{}", self.steps.len());
        if let Some(platform) = platform {
            op["platform"] = platform;
        }
        let mut entry = json!({ "id": id, "op": op });
        if !inputs.is_empty() {
            let inputs: Vec<String> = inputs.iter().map(|input| format!("{input}:0")).collect();
            entry["inputs"] = json!(inputs);
        }
        self.steps.push(entry);
        let places: Vec<Value> = spans.iter().filter_map(|span| self.place(*span)).collect();
        if !places.is_empty() {
            self.locations.insert(id.clone(), json!({ "locations": places }));
        }
        id
    }

    /// The lines of an instruction; none if it is in a file that was included.
    fn place(&self, span: Span) -> Option<Value> {
        if span.start >= span.end || self.dockerfile.name_at(span.start) != self.dockerfile.name {
            return None;
        }
        let line = |offset| self.dockerfile.position(offset).line;
        let range = |line| json!({ "start": { "line": line }, "end": { "line": line } });
        let lines = line(span.start)..=line(span.end - 1);
        Some(json!({ "ranges": lines.map(range).collect::<Vec<_>>() }))
    }
}

/// What BuildKit calls an image.
fn identifier(image: &BaseImage) -> String {
    if image.name.contains("://") {
        return super::told_name(&image.name);
    }
    match (image.name.parse::<Reference>(), &image.digest) {
        (Ok(name), Some(digest)) if name.digest().is_none() => {
            format!("docker-image://{}@{digest}", name.with_default_tag())
        }
        (Ok(name), _) => format!("docker-image://{}", name.with_default_tag()),
        (Err(_), _) => format!("docker-image://{}", image.name),
    }
}
