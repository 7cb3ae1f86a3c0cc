//! One stage into steps.

use oci::{History, ImageConfig};

use super::bases::SCRATCH;
use super::copy::parse_chmod;
use super::names::{Names, describe, is_step};
use super::refuse;
use super::{Lowerer, Scope, StageState, one, set_variable};
use crate::diagnostic::Diagnostic;
use crate::environment::Environment;
use crate::error::BuildError;
use crate::graph::Vertex;
use crate::history;
use crate::images::BaseImage;
use crate::instruction::{Arg, Flag, Instruction, Statement, Workdir, parse_onbuild_trigger};
use crate::metadata::Draft;
use crate::op::{self, Base, DirectoryWish, Op, Times};
use crate::paths::clean_absolute;
use crate::progress::StepId;
use crate::syntax::{Source, Span, Word};

/// The working directory of an image that is not known: no root, wherever it is left for.
const UNKNOWN_DIR: &str = "/-/-/-/-/-/-/-/-";

/// A stage while its instructions are lowered.
pub(super) struct Lowering {
    pub(super) index: usize,
    pub(super) state: StageState,
    names: Names,
}

impl Lowerer<'_> {
    /// Lowers a stage and what it uses, if that has not been done yet.
    pub(super) fn stage(&mut self, index: usize) -> Result<(), BuildError> {
        if self.stages[index].is_some() {
            return Ok(());
        }
        let dockerfile = self.dockerfile;
        let stage = &dockerfile.stages[index];
        let (mut state, base_step) = match self.froms[index].base {
            Some(base) => {
                self.stage(base)?;
                let mut state = self.stages[base].clone().expect("a stage is there once lowered");
                // The base's CMD is inherited now: an ENTRYPOINT clears it.
                state.draft.cmd_set = false;
                (state, None)
            }
            None => self.image_state(index)?,
        };
        self.change_inherited(&mut state);
        let is_blind = state.is_blind;
        let triggers = match self.triggers(&mut state, stage.from.span) {
            Ok(triggers) => triggers,
            Err(error) => {
                self.errors.note(error, &stage.from, is_blind)?;
                Vec::new()
            }
        };
        // What stands in for a stage stands in for all its instructions.
        let body = if self.froms[index].is_replaced { &[][..] } else { &stage.body };
        let statements: Vec<&Statement> = triggers.iter().chain(body).collect();
        let steps = statements.iter().filter(|s| is_step(&s.instruction)).count();
        let name = match (stage.name(), dockerfile.stages.len()) {
            (_, 1) => String::new(),
            (Some(name), _) => name.to_owned(),
            (None, _) => format!("stage-{index}"),
        };
        let mut names = Names::new(name, steps + usize::from(base_step.is_some()));
        if let Some(base) = base_step {
            let what = format!("FROM {}", base.name);
            self.add_base(&mut state, base, &stage.from, names.next(&what), index);
        }
        let mut lowering = Lowering { index, state, names };
        for (number, statement) in statements.into_iter().enumerate() {
            let triggered = number < triggers.len();
            if let Err(error) = self.statement(&mut lowering, statement, triggered) {
                self.errors.note(error, statement, is_blind)?;
            }
        }
        self.stages[index] = Some(lowering.state);
        Ok(())
    }

    /// Takes from a stage what it is not to inherit, and gives it what is chosen.
    fn change_inherited(&self, state: &mut StageState) {
        let changes = &self.request.changes;
        let draft = &mut state.draft;
        changes.unset_env.iter().for_each(|name| draft.env.unset(name));
        for (name, value) in &changes.env {
            draft.env.set(name, value);
        }
        if !changes.unset_env.is_empty() || !changes.env.is_empty() {
            let mut env = Environment::from_config(&draft.config.config.env);
            changes.unset_env.iter().for_each(|name| env.unset(name));
            for (name, value) in &changes.env {
                env.set(name, value);
            }
            draft.config.config.env = env.to_config();
        }
        if changes.drops_labels {
            draft.config.config.labels.clear();
        }
    }

    /// What a stage starts with that is not made from another stage, and the image, if there is
    /// one whose step is still to be made.
    fn image_state(&mut self, index: usize) -> Result<(StageState, Option<BaseImage>), BuildError> {
        let from = self.froms[index].clone();
        let platform = from.platform.as_ref().unwrap_or(&self.platform).clone();
        if let Some(context) = from.context {
            return Ok((self.context_state(context, &platform, from.span), None));
        }
        if from.image == SCRATCH {
            let mut config = ImageConfig::empty(&platform);
            config.config.working_dir = "/".into();
            let span = self.dockerfile.stages[index].from.span;
            let tip = self.add_scratch(span);
            return Ok((self.fresh_state(config, tip), None));
        }
        let (image, step) = match self.bases.get(&from.image, &platform, from.span) {
            Ok(found) => found,
            Err(error @ BuildError::Image { .. }) => {
                self.errors.image(error);
                let mut config = ImageConfig::empty(&platform);
                config.config.working_dir = UNKNOWN_DIR.into();
                let span = self.dockerfile.stages[index].from.span;
                let tip = self.add_scratch(span);
                let state = self.fresh_state(config, tip);
                return Ok((StageState { is_blind: true, ..state }, None));
            }
            Err(error) => return Err(error),
        };
        let state = self.fresh_state((*image.config).clone(), step.unwrap_or(StepId(0)));
        Ok((state, step.is_none().then_some(image)))
    }

    pub(super) fn fresh_state(&self, mut config: ImageConfig, tip: StepId) -> StageState {
        let made = config.created.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let made = self.epoch.unwrap_or_else(|| made.map_or(0, jiff::Timestamp::as_second).max(0));
        config.created = None;
        // What is in there is about how the base was made, by a builder of long ago.
        config.extra.clear();
        config.config.extra.clear();
        let mut env = Environment::from_config(&config.config.env);
        env.set_default("PATH", oci::DEFAULT_PATH);
        config.config.env = env.to_config();
        StageState {
            inherited_history: config.history.len(),
            draft: Draft { config, env, cmd_set: false },
            args: Vec::new(),
            tip,
            times: Times { made, latest: self.epoch },
            is_blind: false,
        }
    }

    pub(super) fn add_scratch(&mut self, span: Span) -> StepId {
        self.graph.add(Vertex {
            op: Op::Base(Base { layers: Vec::new() }),
            inputs: Vec::new(),
            span,
            text: String::new(),
            name: String::new(),
        })
    }

    fn add_base<I>(
        &mut self,
        state: &mut StageState,
        image: BaseImage,
        statement: &Statement<I>,
        name: String,
        index: usize,
    ) {
        let from = &self.froms[index];
        let platform = from.platform.as_ref().unwrap_or(&self.platform).clone();
        let image_name = from.image.clone();
        state.tip = self.graph.add(Vertex {
            op: Op::Base(Base { layers: image.config.rootfs.diff_ids.clone() }),
            inputs: Vec::new(),
            span: statement.span,
            text: statement.text.clone(),
            name,
        });
        self.bases.used(&image_name, &platform, state.tip, image);
    }

    /// The step that stands for an image that a COPY reads.
    pub(super) fn copied_image(&mut self, name: &str, span: Span) -> Result<StepId, BuildError> {
        if name == SCRATCH {
            return Ok(self.add_scratch(span));
        }
        let platform = self.platform.clone();
        let (image, step) = self.bases.get(name, &platform, span)?;
        if let Some(step) = step {
            return Ok(step);
        }
        let step = self.graph.add(Vertex {
            op: Op::Base(Base { layers: image.config.rootfs.diff_ids.clone() }),
            inputs: Vec::new(),
            span,
            text: format!("--from={name}"),
            name: format!("FROM {}", image.name),
        });
        self.bases.used(name, &platform, step, image);
        Ok(step)
    }

    /// Takes the triggers that the base left. They fire once: what is built here has none of
    /// them any more.
    fn triggers(&self, state: &mut StageState, from: Span) -> Result<Vec<Statement>, BuildError> {
        let mut statements = Vec::new();
        let mut wrong = Vec::new();
        for trigger in std::mem::take(&mut state.draft.config.config.on_build) {
            let source = Source::new("ONBUILD", trigger.as_str());
            match parse_onbuild_trigger(&source) {
                Ok(statement) => {
                    refuse::check(&statement.instruction, self.request, &mut wrong);
                    statements.push(Statement { span: from, ..statement });
                }
                Err(diagnostic) => wrong.push(diagnostic),
            }
        }
        if wrong.is_empty() {
            return Ok(statements);
        }
        let at_from = wrong.into_iter().map(|diagnostic| {
            Diagnostic { span: from, ..diagnostic }.note("a trigger (ONBUILD) of the base says so")
        });
        Err(BuildError::Diagnostics(at_from.collect()))
    }

    fn statement(
        &mut self,
        lowering: &mut Lowering,
        statement: &Statement,
        triggered: bool,
    ) -> Result<(), BuildError> {
        if !triggered {
            let mut refused = Vec::new();
            refuse::check(&statement.instruction, self.request, &mut refused);
            if !refused.is_empty() {
                return Err(BuildError::Diagnostics(refused));
            }
        }
        match &statement.instruction {
            Instruction::Run(run) => self.run(lowering, statement, run, triggered),
            Instruction::Copy(_) | Instruction::Add(_) => {
                self.copy(lowering, statement, triggered).map_err(|error| match error {
                    // The words of a trigger stand in another text.
                    BuildError::Diagnostics(wrong) if triggered => {
                        let at = |d| Diagnostic { span: statement.span, ..d };
                        BuildError::Diagnostics(wrong.into_iter().map(at).collect())
                    }
                    error => error,
                })
            }
            instruction => {
                let lowered = match instruction {
                    Instruction::Workdir(workdir) => {
                        self.workdir(lowering, statement, workdir, triggered)
                    }
                    Instruction::Arg(arg) => self.arg(lowering, arg),
                    _ => {
                        let text = lowering.state.draft.apply(statement, self.escape);
                        text.map(|text| {
                            if let Some(text) = text {
                                self.history(lowering, text, true);
                            }
                        })
                    }
                };
                lowered.map_err(|wrong| {
                    let span = if triggered { statement.span } else { wrong.span };
                    one(Diagnostic { span, ..wrong })
                })
            }
        }
    }

    fn arg(&mut self, lowering: &mut Lowering, arg: &Arg) -> Result<(), Diagnostic> {
        let mut text = String::from("ARG");
        for argument in &arg.arguments {
            // The arguments of one ARG see those before them.
            let env = &lowering.state.draft.env;
            let scope = Scope { env, escape: self.escape };
            let name = scope.word(&argument.name)?;
            let given = self.request.build_args.get(&name).cloned();
            let value = match (given, &argument.default) {
                (Some(given), _) => Some(given),
                (None, Some(default)) => Some(scope.word(default)?),
                (None, None) => self.global.get(&name).map(str::to_owned),
            };
            text.push(' ');
            text.push_str(&name);
            if let Some(value) = &value {
                text.push('=');
                text.push_str(value);
                set_variable(&mut lowering.state.draft.env, &name, value, &argument.name)?;
            }
            self.declared.insert(name.clone());
            lowering.state.args.push((name, value));
        }
        self.history(lowering, text, true);
        Ok(())
    }

    fn workdir(
        &mut self,
        lowering: &mut Lowering,
        statement: &Statement,
        workdir: &Workdir,
        triggered: bool,
    ) -> Result<(), Diagnostic> {
        let scope = Scope { env: &lowering.state.draft.env, escape: self.escape };
        let flag = |flag: Option<&Flag<Word>>| flag.map(|flag| scope.word(&flag.value)).transpose();
        // An empty flag is none.
        let owner = flag(workdir.chown.as_ref())?.filter(|owner| !owner.is_empty());
        let chmod = flag(workdir.chmod.as_ref())?.filter(|chmod| !chmod.is_empty());
        let mut text = String::from("WORKDIR");
        owner.iter().for_each(|owner| text.push_str(&format!(" --chown={owner}")));
        chmod.iter().for_each(|chmod| text.push_str(&format!(" --chmod={chmod}")));
        let chmod = parse_chmod(chmod.as_deref(), workdir.chmod.as_ref())?;
        let path = scope.word(&workdir.path)?;
        let path = lowering.state.draft.set_workdir(&path);
        text.push_str(&format!(" {path}"));
        let directory = clean_absolute(&path);
        let does_nothing = directory == "/" && owner.is_none() && chmod.is_none();
        if !does_nothing {
            let op = op::Workdir {
                path: directory,
                user: lowering.state.draft.config.config.user.clone(),
                wish: DirectoryWish { owner, chmod },
                times: lowering.state.times,
            };
            self.step(lowering, statement, Op::Workdir(op), Vec::new(), triggered);
        }
        self.history(lowering, text, does_nothing);
        Ok(())
    }

    /// Adds a step that changes the stage's tree and reads those of `inputs`.
    pub(super) fn step(
        &mut self,
        lowering: &mut Lowering,
        statement: &Statement,
        op: Op,
        inputs: Vec<StepId>,
        triggered: bool,
    ) {
        let below = lowering.state.tip;
        lowering.state.tip = self.step_on(below, lowering, statement, op, inputs, triggered);
    }

    /// Adds a step that makes its layer without a look at the stage's tree, on which the layer
    /// then lies.
    pub(super) fn linked_step(
        &mut self,
        lowering: &mut Lowering,
        statement: &Statement,
        op: Op,
        inputs: Vec<StepId>,
        triggered: bool,
    ) {
        let nothing = self.add_scratch(statement.span);
        let layer = self.step_on(nothing, lowering, statement, op, inputs, triggered);
        lowering.state.tip = self.graph.add(Vertex {
            op: Op::Stack,
            inputs: vec![lowering.state.tip, layer],
            span: statement.span,
            text: statement.text.clone(),
            name: String::new(),
        });
    }

    fn step_on(
        &mut self,
        below: StepId,
        lowering: &mut Lowering,
        statement: &Statement,
        op: Op,
        inputs: Vec<StepId>,
        triggered: bool,
    ) -> StepId {
        let onbuild = if triggered { "ONBUILD " } else { "" };
        let text = describe(statement);
        let name = lowering.names.next(&format!("{onbuild}{text}"));
        let inputs = [vec![below], inputs].concat();
        let span = statement.span;
        let step = self.graph.add(Vertex { op, inputs, span, text: statement.text.clone(), name });
        if self.is_anew(lowering.index) {
            self.graph.run_anew(step);
        }
        step
    }

    /// Whether the steps of a stage run again, by the stage's name or number.
    fn is_anew(&self, index: usize) -> bool {
        let stage = &self.dockerfile.stages[index];
        let name = stage.from.instruction.name.as_ref().map(|name| &name.folded);
        let is_this = |wanted: &String| {
            *wanted == index.to_string() || name == Some(&wanted.to_ascii_lowercase())
        };
        self.request.no_cache_stages.iter().any(is_this)
    }

    /// Adds a line of history.
    pub(super) fn history(&mut self, lowering: &mut Lowering, text: String, empty_layer: bool) {
        let created = self.epoch.and_then(|epoch| jiff::Timestamp::from_second(epoch).ok());
        lowering.state.draft.config.history.push(History {
            created: created.map(|time| time.to_string()),
            created_by: Some(text),
            author: None,
            comment: Some(history::COMMENT.into()),
            empty_layer,
        });
    }
}
