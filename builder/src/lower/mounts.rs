//! RUN --mount.

use super::meaning::Meaning;
use super::named::SourceOf;
use super::stage::Lowering;
use super::{Lowerer, Scope, one};
use crate::diagnostic::Diagnostic;
use crate::error::BuildError;
use crate::graph::Vertex;
use crate::instruction::{Flag, Mount, MountSpec, Ownership, Run, Statement};
use crate::op::run::{Access, Agent, Device, Secret, Wanted};
use crate::op::{self, Cache, ContextId, MountContent, Op, SourceTree, Take, Times, TreePart};
use crate::paths::{clean, clean_absolute};
use crate::progress::StepId;
use crate::syntax::Span;

use super::bases::SCRATCH;

/// The build argument that gives a build caches of its own.
const NAMESPACE: &str = "BUILDKIT_CACHE_MOUNT_NS";

/// Where the step that takes something out of the context puts it.
const TAKEN: &str = "/context";

/// Where ssh agents listen, but for their number, where no other place is given.
const AGENTS: &str = "/run/buildkit/ssh_agent.";

/// The mode of a secret's file and of an agent's socket where none is given.
const SECRET_MODE: u32 = 0o400;
const AGENT_MODE: u32 = 0o600;

/// What the `--mount`s and `--device`s of one RUN come to.
#[derive(Default)]
pub(super) struct Mounts {
    /// Trees, caches and file systems in memory.
    pub(super) mounts: Vec<op::Mount>,
    /// The steps whose trees they show: the RUN's inputs behind the tree that it changes.
    pub(super) inputs: Vec<StepId>,
    /// Secrets, ssh agents and devices.
    pub(super) wanted: Wanted,
}

/// The trees that the mounts of one RUN read: its inputs behind the tree that it changes.
#[derive(Default)]
struct Inputs(Vec<StepId>);

impl Inputs {
    fn add(&mut self, step: StepId) -> usize {
        let known = self.0.iter().position(|input| *input == step);
        known.unwrap_or_else(|| {
            self.0.push(step);
            self.0.len() - 1
        }) + 1
    }
}

impl Lowerer<'_> {
    /// The mounts of a RUN.
    pub(super) fn mounts(
        &mut self,
        lowering: &Lowering,
        statement: &Statement,
        run: &Run,
        triggered: bool,
    ) -> Result<Mounts, BuildError> {
        let mut inputs = Inputs::default();
        let mut all = Mounts::default();
        for flag in &run.mounts {
            // The words of a trigger stand in another text.
            let span = if triggered { statement.span } else { flag.span };
            let added = self.mount(lowering, &flag.value, span, &mut inputs, &mut all);
            added.map_err(|error| match error {
                BuildError::Diagnostics(wrong) if triggered => {
                    let at = |d| Diagnostic { span, ..d };
                    BuildError::Diagnostics(wrong.into_iter().map(at).collect())
                }
                error => error,
            })?;
        }
        for Flag { span, value } in &run.devices {
            let span = if triggered { statement.span } else { *span };
            let (name, required) = (value.name.text.clone(), value.required);
            all.wanted.devices.push(Device { name, required, span });
        }
        all.inputs = inputs.0;
        Ok(all)
    }

    fn mount(
        &mut self,
        lowering: &Lowering,
        mount: &Mount,
        span: Span,
        inputs: &mut Inputs,
        all: &mut Mounts,
    ) -> Result<(), BuildError> {
        let scope = Scope { env: &lowering.state.draft.env, escape: self.escape };
        let spec = mount.resolve(|word| scope.word(word)).map_err(one)?;
        let workdir = &lowering.state.draft.config.config.working_dir;
        let place = |target: &str| place(target, workdir, span);
        let (target, read_only, content) = match spec {
            MountSpec::Bind { from, source, target, read_only } => {
                let part = match from {
                    None => self.context_part(ContextId::Main, &source, span, inputs),
                    Some(from) => self.part(lowering, mount, Some(&from), &source, inputs)?,
                };
                (place(&target)?, read_only, MountContent::Tree(part))
            }
            MountSpec::Cache { id, from, source, target, sharing, read_only, ownership } => {
                // The source of a cache that starts with nothing is not there.
                let is_seeded = from.is_some() || clean_absolute(&source) != "/";
                let seed = match is_seeded {
                    false => None,
                    true => Some(self.part(lowering, mount, from.as_deref(), &source, inputs)?),
                };
                let id = id.unwrap_or_else(|| clean(&target));
                let id = match self.request.build_args.get(NAMESPACE) {
                    Some(namespace) => format!("{namespace}/{id}"),
                    None => format!("/{id}"),
                };
                let cache = Cache { id, sharing, seed, ownership };
                (place(&target)?, read_only, MountContent::Cache(cache))
            }
            MountSpec::Tmpfs { target, size, read_only } => {
                let size = Some(size).filter(|size| *size > 0);
                (place(&target)?, read_only, MountContent::Tmpfs { size })
            }
            MountSpec::Secret { id, target, env, required, ownership } => {
                let target = target.as_deref().map(place).transpose()?;
                let access = access(ownership, SECRET_MODE);
                let secret = Secret { id, target, variable: env, required, access, span };
                all.wanted.secrets.push(secret);
                return Ok(());
            }
            MountSpec::Ssh { id, target, required, ownership } => {
                let number = all.wanted.agents.len();
                let target = target.unwrap_or_else(|| format!("{AGENTS}{number}"));
                let target = place(&target)?;
                let access = access(ownership, AGENT_MODE);
                all.wanted.agents.push(Agent { id, target, required, access, span });
                return Ok(());
            }
        };
        all.mounts.push(op::Mount { target, read_only, content });
        Ok(())
    }

    /// A part of the stage or image that `from` means.
    fn part(
        &mut self,
        lowering: &Lowering,
        mount: &Mount,
        from: Option<&str>,
        source: &str,
        inputs: &mut Inputs,
    ) -> Result<TreePart, BuildError> {
        let name = from.unwrap_or(SCRATCH);
        let span = mount.from().map_or(mount.span, |from| from.span);
        let step = match self.meanings().mount_source(name, lowering.index) {
            Meaning::Stage(index) => {
                self.stage(index)?;
                self.stages[index].as_ref().expect("a stage is there once lowered").tip
            }
            Meaning::Files(index) => match self.named_tree(index, span) {
                SourceOf::Context(id) => return Ok(self.context_part(id, source, span, inputs)),
                SourceOf::Step(step) => step,
            },
            Meaning::TooLate => {
                let message =
                    format!("stage `{name}` is defined after the stage that mounts from it");
                return Err(one(Diagnostic::error(span, message)));
            }
            Meaning::Image(image) => self.copied_image(&image, span)?,
        };
        Ok(TreePart { input: inputs.add(step), path: clean_absolute(source) })
    }

    /// A part of the context. A step of its own takes it out: what a process sees there has the
    /// owner and the content that copies of it have, without what the ignore file leaves out, and
    /// stays as it is while the process runs.
    fn context_part(
        &mut self,
        context: ContextId,
        source: &str,
        span: Span,
        inputs: &mut Inputs,
    ) -> TreePart {
        let pattern = clean_absolute(source);
        let path = TAKEN.to_owned();
        if let Some(step) = self.taken.get(&(context, pattern.clone())) {
            return TreePart { input: inputs.add(*step), path };
        }
        let below = self.add_scratch(span);
        // The context's own directory has the machine's mode, which means nothing.
        let take = if pattern == "/" { Take::Matches } else { Take::Itself };
        let tree = SourceTree::Context(context);
        let written = source.to_owned();
        let text = format!("--mount=source={pattern}");
        let name = match pattern.as_str() {
            "/" => "[internal] load build context".to_owned(),
            path => format!("[internal] load build context: {path}"),
        };
        let from = op::CopySource::Path {
            tree,
            take,
            pattern: pattern.clone(),
            unpack: false,
            written,
            span,
        };
        let op = Op::Copy(op::Copy {
            sources: vec![from],
            destination: TAKEN.to_owned(),
            strip: 0,
            excludes: op::Excludes::default(),
            owner: None,
            chmod: None,
            times: Times { made: 0, latest: None },
        });
        let step = self.graph.add(Vertex { op, inputs: vec![below], span, text, name });
        self.taken.insert((context, pattern), step);
        TreePart { input: inputs.add(step), path }
    }
}

/// Where a mount is: seen from the working directory.
fn place(target: &str, workdir: &str, span: Span) -> Result<String, BuildError> {
    let place = match target.starts_with('/') {
        true => clean_absolute(target),
        false => clean_absolute(&format!("{workdir}/{target}")),
    };
    if place == "/" {
        let error = Diagnostic::error(span, "a mount cannot hide the whole root");
        return Err(one(error.help("give a `target` below the root")));
    }
    Ok(place)
}

/// Of the mode, nothing but who may read, write and execute.
fn access(ownership: Ownership, mode: u32) -> Access {
    let Ownership { mode: given, uid, gid } = ownership;
    let mode = given.unwrap_or(mode) & 0o777;
    Access { mode, uid: uid.unwrap_or(0), gid: gid.unwrap_or(0) }
}
