//! The instructions of the stages in the order of a build, each with the variables it sees.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::rc::Rc;

use crate::environment::Environment;
use crate::instruction::{Arg, ArgDefinition, Instruction, Pair, Statement, parse_onbuild_trigger};
use crate::stage::Stage;
use crate::syntax::Source;

use super::finding::Place;
use super::subject::Subject;

/// A walk ends when variables have taken this many bytes.
const BUDGET: usize = 64 << 20;

/// An instruction, and what holds before it.
pub(super) struct Visit<'v> {
    pub(super) stage: usize,
    pub(super) instruction: &'v Instruction,
    pub(super) statement: &'v Statement,
    pub(super) place: Place<'v>,
    pub(super) state: &'v State,
}

/// What instructions leave to those behind them, and a stage to those that start from it.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// The variables.
    pub(super) env: Rc<Environment>,
    /// The arguments that are declared, with and without a value.
    pub(super) declared: Rc<HashSet<String>>,
    /// Whether SHELL was given.
    pub(super) has_shell: bool,
    /// Whether WORKDIR was given in this file.
    pub(super) has_workdir: bool,
}

/// An argument as it is declared.
pub(super) struct Declared<'v> {
    pub(super) definition: &'v ArgDefinition,
    /// Its expanded name.
    pub(super) name: String,
    pub(super) value: Option<String>,
    /// Whether it takes its value from a global argument.
    pub(super) is_inherited: bool,
    /// The names in its default that are not set.
    pub(super) unset: BTreeSet<String>,
}

/// Calls `visit` with every instruction of the stages that are reached.
pub(super) fn walk(subject: &Subject<'_>, mut visit: impl FnMut(&Visit<'_>)) {
    let mut states: Vec<State> = Vec::new();
    let mut left = BUDGET;
    // Where a FROM is wrong, nothing is known of what follows.
    for (stage, from) in subject.dockerfile.stages.iter().zip(&subject.stages.froms) {
        let mut state = match from.base {
            Some(base) => states[base].clone(),
            None => initial(subject, stage.index),
        };
        if subject.stages.reached[stage.index] {
            let triggers = triggers(subject, stage, from.base);
            let triggered = triggers.iter().map(|statement| (statement, Place::of(&stage.from)));
            let own = stage.body.iter().map(|statement| (statement, Place::of(statement)));
            for (statement, place) in triggered.chain(own) {
                let instruction = &statement.instruction;
                let stage = stage.index;
                visit(&Visit { stage, instruction, statement, place, state: &state });
                if advance(subject, &mut state, instruction, &mut left).is_break() {
                    return;
                }
            }
        }
        states.push(state);
    }
}

fn initial(subject: &Subject<'_>, stage: usize) -> State {
    let mut state = State::default();
    let mut env = Environment::default();
    if let Some(image) = &subject.stages.images[stage] {
        let config = &image.config.config;
        env = Environment::from_config(&config.env);
        state.has_shell = config.shell.as_ref().is_some_and(|shell| !shell.is_empty());
    }
    env.set_default("PATH", oci::DEFAULT_PATH);
    state.env = Rc::new(env);
    state
}

/// The triggers that FROM fires.
fn triggers(subject: &Subject<'_>, stage: &Stage, base: Option<usize>) -> Vec<Statement> {
    let image = subject.stages.images[stage.index].as_ref();
    let of_image = image.map_or(&[][..], |image| &image.config.config.on_build);
    let parse = |text: &String| parse_onbuild_trigger(&Source::new("", text.as_str())).ok();
    let mut found: Vec<Statement> = of_image.iter().filter_map(parse).collect();
    for statement in base.map_or(&[][..], |base| &subject.dockerfile.stages[base].body) {
        if let Instruction::Onbuild(onbuild) = &statement.instruction {
            found.push((*onbuild.statement).clone());
        }
    }
    found
}

/// What `instruction` leaves behind.
fn advance(
    subject: &Subject<'_>,
    state: &mut State,
    instruction: &Instruction,
    left: &mut usize,
) -> ControlFlow<()> {
    match instruction {
        Instruction::Env(env) => {
            let set = expand_pairs(subject, &env.variables, &state.env, left)?;
            let env = Rc::make_mut(&mut state.env);
            set.into_iter().for_each(|(name, value)| env.set(name, value));
        }
        Instruction::Arg(arg) => {
            let mut declared = Vec::new();
            each_argument(subject, &state.env, arg, |argument| {
                declared.push((argument.name.clone(), argument.value.clone()));
                take(left, argument.value.as_ref().map_or(0, String::len))
            });
            // Who is last to hold the variables changes them in place.
            for (name, value) in declared {
                if let Some(value) = value {
                    Rc::make_mut(&mut state.env).set(name.clone(), value);
                }
                Rc::make_mut(&mut state.declared).insert(name);
            }
        }
        Instruction::Shell(_) => state.has_shell = true,
        Instruction::Workdir(_) => state.has_workdir = true,
        _ => {}
    }
    ControlFlow::Continue(())
}

fn take(left: &mut usize, length: usize) -> ControlFlow<()> {
    match left.checked_sub(length) {
        Some(rest) => {
            *left = rest;
            ControlFlow::Continue(())
        }
        None => ControlFlow::Break(()),
    }
}

/// All pairs see the variables before the instruction.
fn expand_pairs(
    subject: &Subject<'_>,
    pairs: &[Pair],
    env: &Environment,
    left: &mut usize,
) -> ControlFlow<(), Vec<(String, String)>> {
    let mut set = Vec::new();
    for pair in pairs {
        let name = subject.expand(&pair.key, env);
        let value = subject.expand(&pair.value, env);
        if let (Some(name), Some(value)) = (name, value) {
            take(left, name.text.len() + value.text.len())?;
            set.push((name.text, value.text));
        }
    }
    ControlFlow::Continue(set)
}

/// Calls `each` with every argument of `arg`; a default sees the arguments before it.
pub(super) fn each_argument(
    subject: &Subject<'_>,
    env: &Environment,
    arg: &Arg,
    mut each: impl FnMut(&Declared<'_>) -> ControlFlow<()>,
) {
    let mut env = std::borrow::Cow::Borrowed(env);
    for definition in &arg.arguments {
        let Some(name) = subject.expand(&definition.name, &env) else { continue };
        let name = name.text;
        let given = subject.request.build_args.get(&name).cloned();
        let default = match (&given, &definition.default) {
            (None, Some(default)) => subject.expand(default, &env),
            _ => None,
        };
        let global = match (&given, &definition.default) {
            (None, None) => subject.stages.global.get(&name).map(str::to_owned),
            _ => None,
        };
        let is_inherited = global.is_some();
        let (value, unset) = match default {
            Some(expansion) => (Some(expansion.text), expansion.unset),
            None => (given.or(global), BTreeSet::new()),
        };
        let declared = Declared { definition, name, value, is_inherited, unset };
        if each(&declared).is_break() {
            return;
        }
        let more = arg.arguments.len() > 1;
        if let (Some(value), true) = (declared.value, more) {
            env.to_mut().set(declared.name, value);
        }
    }
}
