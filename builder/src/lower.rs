//! Stages into the graph of steps.
//!
//! Everything that can be known without running anything is known here: variables are expanded,
//! base images resolved, triggers read, and what cannot be built is refused. What comes out runs
//! without another look at the Dockerfile.

pub(crate) mod arguments;
pub(crate) mod bases;
mod copy;
mod errors;
pub(crate) mod meaning;
mod mounts;
mod named;
mod names;
mod refuse;
pub(crate) mod remote;
mod run;
mod scope;
mod stage;

use std::collections::{HashMap, HashSet};

use oci::Platform;

use crate::diagnostic::Diagnostic;
use crate::environment::Environment;
use crate::error::BuildError;
use crate::graph::Graph;
use crate::images::{BaseImage, BaseImages};
use crate::instruction::Instruction;
use crate::metadata::Draft;
use crate::op::{ContextId, Remote, Times};
use crate::progress::{Event, Progress, StepId};
use crate::request::BuildRequest;
use crate::stage::Dockerfile;
use crate::syntax::Escape;

pub(crate) use run::SCRIPT_DIR;
pub(crate) use scope::{Scope, set_variable};

use bases::{Bases, FromLine};
use errors::Errors;
use meaning::{Meaning, Meanings};

pub(crate) use errors::certain_errors;

/// A Dockerfile, ready to run.
#[derive(Debug)]
pub(crate) struct Lowered {
    /// The steps.
    pub(crate) graph: Graph,
    /// The step whose result is the image's tree.
    pub(crate) tip: StepId,
    /// The image's config, but for its layers and times.
    pub(crate) draft: Draft,
    /// How many of the config's history entries are the base image's.
    pub(crate) inherited_history: usize,
    /// The images that the steps start from, with the steps that stand for them.
    pub(crate) bases: Vec<(StepId, BaseImage)>,
    /// `SOURCE_DATE_EPOCH`, in seconds since 1970.
    pub(crate) epoch: Option<i64>,
}

/// A stage, as far as it is lowered; what FROM of it continues with.
#[derive(Debug, Clone)]
struct StageState {
    draft: Draft,
    /// The arguments declared so far, with their values where they have one.
    args: Vec<(String, Option<String>)>,
    tip: StepId,
    times: Times,
    inherited_history: usize,
    /// Whether the image below is not known: what depends on variables is then not wrong for
    /// certain.
    is_blind: bool,
}

struct Lowerer<'a> {
    request: &'a BuildRequest,
    dockerfile: &'a Dockerfile,
    escape: Escape,
    global: Environment,
    epoch: Option<i64>,
    platform: Platform,
    froms: Vec<FromLine>,
    bases: Bases<'a>,
    graph: Graph,
    stages: Vec<Option<StageState>>,
    /// The steps that take a path out of the context for mounts.
    taken: HashMap<(ContextId, String), StepId>,
    /// The steps that fetch something.
    fetches: HashMap<Remote, StepId>,
    /// The arguments that anything declares.
    declared: HashSet<String>,
    errors: Errors,
}

/// Lowers what the target needs.
///
/// # Errors
/// Everything that is wrong with the Dockerfile, base images that cannot be had included.
pub(crate) fn lower(
    request: &BuildRequest,
    dockerfile: &Dockerfile,
    images: &dyn BaseImages,
    progress: &dyn Progress,
) -> Result<Lowered, BuildError> {
    let target = target(request, dockerfile)?;
    let platform = request.platform.as_ref().unwrap_or(&request.build_platform).normalized();
    let escape = dockerfile.directives.escape;
    let target_name = dockerfile.stages[target].name();
    let defaults = arguments::predefined(request, &platform, target_name);
    let global = arguments::global(request, dockerfile, defaults, escape);
    let global = global.map_err(BuildError::Diagnostics)?;
    let meanings = Meanings { dockerfile, contexts: &request.contexts, platform: &platform };
    let froms = bases::expand_froms(&meanings, &global, escape);
    let froms = froms.map_err(BuildError::Diagnostics)?;
    let needed = needed_stages(&meanings, &froms, target);
    let epoch = arguments::epoch(request, &global)?;
    let mut lowerer = Lowerer {
        request,
        dockerfile,
        escape,
        epoch,
        froms,
        bases: Bases::new(images, request.pull),
        graph: Graph::default(),
        stages: vec![None; dockerfile.stages.len()],
        taken: HashMap::new(),
        fetches: HashMap::new(),
        declared: arguments::declared(dockerfile),
        errors: Errors::default(),
        global,
        platform,
    };
    lowerer.resolve_ahead(&needed);
    for stage in (0..=target).filter(|stage| needed[*stage]) {
        lowerer.stage(stage)?;
    }
    std::mem::take(&mut lowerer.errors).result()?;
    lowerer.warn_of_unused_arguments(progress);
    let StageState { draft, tip, inherited_history, .. } =
        lowerer.stages[target].take().expect("the target is among the needed stages");
    Ok(Lowered {
        graph: lowerer.graph,
        tip,
        draft,
        inherited_history,
        bases: lowerer.bases.into_used(),
        epoch,
    })
}

pub(crate) fn target(request: &BuildRequest, dockerfile: &Dockerfile) -> Result<usize, BuildError> {
    let last = dockerfile.stages.len().checked_sub(1);
    let found = match &request.target {
        None => last,
        Some(name) => dockerfile.target(name),
    };
    found.ok_or_else(|| {
        let name = request.target.as_deref().unwrap_or_default();
        let span = dockerfile.stages.last().map(|stage| stage.from.span).unwrap_or_default();
        let names = dockerfile.stages.iter().filter_map(|stage| stage.name());
        let message = format!("target stage `{name}` could not be found");
        one(Diagnostic::error(span, message).did_you_mean(name, names))
    })
}

/// The stages that `target` is made from, itself included. What a trigger of a base image adds
/// is not known yet.
pub(crate) fn needed_stages(
    meanings: &Meanings<'_>,
    froms: &[FromLine],
    target: usize,
) -> Vec<bool> {
    let stages = &meanings.dockerfile.stages;
    let mut needed = vec![false; stages.len()];
    needed[target] = true;
    // A stage uses earlier ones only.
    for index in (0..=target).rev() {
        if !needed[index] || froms[index].is_replaced {
            continue;
        }
        if let Some(base) = froms[index].base {
            needed[base] = true;
        }
        for statement in &stages[index].body {
            let triggered = match &statement.instruction {
                Instruction::Onbuild(onbuild) => &onbuild.statement.instruction,
                instruction => instruction,
            };
            for source in sources(meanings, triggered, index) {
                if let Meaning::Stage(source) = source.1 {
                    needed[source] = true;
                }
            }
        }
    }
    needed
}

/// The names in `from` of an instruction in a stage, with what they mean; but those with
/// variables, which are known only when the instruction's turn comes.
pub(crate) fn sources<'a>(
    meanings: &Meanings<'_>,
    instruction: &'a Instruction,
    stage: usize,
) -> Vec<(&'a str, Meaning)> {
    match instruction {
        Instruction::Copy(copy) => copy
            .from
            .iter()
            .map(|from| from.value.text.as_str())
            .filter(|name| !name.contains('$'))
            .map(|name| (name, meanings.copy_source(name, stage)))
            .collect(),
        Instruction::Run(run) => run
            .mounts
            .iter()
            .filter_map(|mount| mount.value.from())
            .map(|from| from.text.as_str())
            .filter(|name| !name.is_empty() && !name.contains('$'))
            .map(|name| (name, meanings.mount_source(name, stage)))
            .collect(),
        _ => Vec::new(),
    }
}

impl Lowerer<'_> {
    fn meanings(&self) -> Meanings<'_> {
        let Lowerer { request, dockerfile, platform, .. } = self;
        Meanings { dockerfile, contexts: &request.contexts, platform }
    }

    fn warn_of_unused_arguments(&self, progress: &dyn Progress) {
        let unused: Vec<&str> = self
            .request
            .build_args
            .keys()
            .map(String::as_str)
            .filter(|name| !self.declared.contains(*name) && !arguments::is_predefined(name))
            .collect();
        if !unused.is_empty() {
            let names = unused.join(" ");
            let message = format!("one or more build-args [{names}] were not consumed");
            progress.event(Event::Warning { message: &message, span: None });
        }
    }
}

fn one(diagnostic: Diagnostic) -> BuildError {
    BuildError::Diagnostics(vec![diagnostic])
}
