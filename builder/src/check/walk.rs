//! The instructions of the stages in the order of a build, each with the variables it sees.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use crate::environment::Environment;
use crate::instruction::{
    Arg, ArgDefinition, Instruction, Pair, Property, Statement, Unset, parse_onbuild_trigger,
};
use crate::stage::Stage;
use crate::syntax::Source;

use super::finding::Place;
use super::subject::Subject;

/// What visiting an instruction costs, beside the bytes that it expands into.
const VISIT: usize = 64;

/// What a variable costs in a copy of the variables, beside its bytes.
const VARIABLE: usize = 64;

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

/// Calls `visit` with every instruction of the stages that are reached, until the subject's
/// budget is spent.
pub(super) fn walk(subject: &Subject<'_>, mut visit: impl FnMut(&Visit<'_>)) {
    subject.fill_budget();
    let mut states: Vec<State> = Vec::new();
    // Where a FROM is wrong, nothing is known of what follows.
    for (stage, from) in subject.dockerfile.stages.iter().zip(&subject.stages.froms) {
        let mut state = match from.base {
            Some(base) => states[base].clone(),
            None => initial(subject, stage.index),
        };
        if subject.stages.reached[stage.index] {
            let of_image = image_triggers(subject, stage);
            let of_base = from.base.map_or(&[][..], |base| &subject.triggers[base][..]);
            let triggered = of_image.iter().chain(of_base.iter().copied());
            let triggered = triggered.map(|statement| (statement, Place::of(&stage.from)));
            let own = stage.body.iter().map(|statement| (statement, Place::of(statement)));
            for (statement, place) in triggered.chain(own) {
                subject.spend(VISIT);
                if subject.is_spent() {
                    return;
                }
                let instruction = &statement.instruction;
                let stage = stage.index;
                visit(&Visit { stage, instruction, statement, place, state: &state });
                advance(subject, &mut state, instruction);
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
        subject.spend(size(&env));
        state.has_shell = config.shell.as_ref().is_some_and(|shell| !shell.is_empty());
    }
    env.set_default("PATH", oci::DEFAULT_PATH);
    state.env = Rc::new(env);
    state
}

/// The triggers of the image that a stage starts from.
fn image_triggers(subject: &Subject<'_>, stage: &Stage) -> Vec<Statement> {
    let image = subject.stages.images[stage.index].as_ref();
    let texts = image.map_or(&[][..], |image| &image.config.config.on_build);
    subject.spend(texts.iter().map(String::len).sum());
    if subject.is_spent() {
        return Vec::new();
    }
    let parse = |text: &String| parse_onbuild_trigger(&Source::new("", text.as_str())).ok();
    texts.iter().filter_map(parse).collect()
}

/// What `instruction` leaves behind.
fn advance(subject: &Subject<'_>, state: &mut State, instruction: &Instruction) {
    match instruction {
        Instruction::Env(env) => {
            let set = expand_pairs(subject, &env.variables, &state.env);
            let env = variables(subject, state);
            set.into_iter().for_each(|(name, value)| env.set(name, value));
        }
        Instruction::Arg(arg) => {
            let mut declared = Vec::new();
            each_argument(subject, &state.env, arg, |argument| {
                declared.push((argument.name.clone(), argument.value.clone()));
            });
            for (name, value) in declared {
                if let Some(value) = value {
                    variables(subject, state).set(name.clone(), value);
                }
                names(subject, state).insert(name);
            }
        }
        Instruction::Unset(Unset { property: Property::Env, names }) => {
            let expand = |word| subject.expand(word, &state.env).map(|expansion| expansion.words);
            let names: Vec<String> = names.iter().filter_map(expand).flatten().collect();
            let env = variables(subject, state);
            names.iter().for_each(|name| env.unset(name));
        }
        Instruction::Shell(_) => state.has_shell = true,
        Instruction::Workdir(_) => state.has_workdir = true,
        _ => {}
    }
}

/// The variables of `state`, to change them. Who is last to hold them changes them in place; a
/// copy costs.
fn variables<'s>(subject: &Subject<'_>, state: &'s mut State) -> &'s mut Environment {
    if Rc::strong_count(&state.env) > 1 {
        subject.spend(size(&state.env));
    }
    Rc::make_mut(&mut state.env)
}

/// The same of the names that are declared.
fn names<'s>(subject: &Subject<'_>, state: &'s mut State) -> &'s mut HashSet<String> {
    if Rc::strong_count(&state.declared) > 1 {
        subject.spend(state.declared.iter().map(|name| name.len() + VARIABLE).sum());
    }
    Rc::make_mut(&mut state.declared)
}

fn size(env: &Environment) -> usize {
    env.iter().map(|(name, value)| name.len() + value.len() + VARIABLE).sum()
}

/// All pairs see the variables before the instruction.
fn expand_pairs(subject: &Subject<'_>, pairs: &[Pair], env: &Environment) -> Vec<(String, String)> {
    let expand = |pair: &Pair| {
        let name = subject.expand(&pair.key, env)?;
        let value = subject.expand(&pair.value, env)?;
        Some((name.text, value.text))
    };
    pairs.iter().filter_map(expand).collect()
}

/// Calls `each` with every argument of `arg`; a default sees the arguments before it.
pub(super) fn each_argument(
    subject: &Subject<'_>,
    env: &Environment,
    arg: &Arg,
    mut each: impl FnMut(&Declared<'_>),
) {
    let mut earlier: HashMap<String, String> = HashMap::new();
    for definition in &arg.arguments {
        let get = |name: &str| earlier.get(name).map(String::as_str).or_else(|| env.get(name));
        let Some(name) = subject.expand_by(&definition.name, get) else { continue };
        let name = name.text;
        let given = subject.request.build_args.get(&name).cloned();
        let default = match (&given, &definition.default) {
            (None, Some(default)) => subject.expand_by(default, get),
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
        subject.spend(value.as_ref().map_or(0, String::len));
        let declared = Declared { definition, name, value, is_inherited, unset };
        each(&declared);
        if let Some(value) = declared.value {
            earlier.insert(declared.name, value);
        }
    }
}
