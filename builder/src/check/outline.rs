//! What a build of a target can be given: `--call outline`.

use std::collections::HashSet;
use std::ops::ControlFlow;

use crate::dockerignore::Ignore;
use crate::error::BuildError;
use crate::images::BaseImages;
use crate::instruction::{Instruction, MountSpec, Run};
use crate::lower;
use crate::request::BuildRequest;
use crate::stage::{Parsed, StageRef, parse};
use crate::syntax::Word;

use super::Reach;
use super::lines::{LineRange, Lines};
use super::stages::Stages;
use super::subject::Subject;
use super::targets::description;
use super::walk::{Visit, each_argument, walk};

/// What a target takes.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    /// The target's name.
    pub name: Option<String>,
    /// What the comment above it says of it.
    pub description: Option<String>,
    /// The build arguments that it uses, in the order of the file.
    pub arguments: Vec<OutlineArgument>,
    /// The secrets that it mounts.
    pub secrets: Vec<OutlineMount>,
    /// The ssh agents that it mounts.
    pub agents: Vec<OutlineMount>,
}

/// A build argument.
#[derive(Debug, Clone)]
pub struct OutlineArgument {
    /// Its name.
    pub name: String,
    /// What the comment above it says of it.
    pub description: Option<String>,
    /// Its value, given or default; empty if it has none.
    pub value: String,
    /// Where it is declared.
    pub lines: LineRange,
}

/// A secret or an agent.
#[derive(Debug, Clone)]
pub struct OutlineMount {
    /// What the build knows it by.
    pub id: String,
    /// Whether the build fails without it.
    pub required: bool,
    /// Where it is mounted first.
    pub lines: LineRange,
}

/// What the target of `request` takes.
///
/// # Errors
/// If the file cannot be built.
pub fn outline(request: &BuildRequest, images: &dyn BaseImages) -> Result<Outline, BuildError> {
    let parsed = parse(&request.dockerfile);
    if parsed.has_errors() {
        return Err(BuildError::Diagnostics(parsed.diagnostics));
    }
    let (stages, failure) = Stages::resolve(request, &parsed.dockerfile, images, Reach::Target);
    match (failure, stages.target) {
        (None, Some(target)) => Ok(gather(request, &parsed, stages, target)),
        (Some(error), _) => Err(error),
        // A target that is not there is a failure.
        (None, None) => Ok(Outline::default()),
    }
}

/// What the stages declare and mount.
#[derive(Default)]
struct Gathered {
    /// With the stage of each; a later declaration in the same stage replaces an earlier one.
    arguments: Vec<(usize, OutlineArgument)>,
    /// The names that stages declare or that FROM uses.
    used: Vec<(usize, String)>,
    secrets: Vec<(usize, OutlineMount)>,
    agents: Vec<(usize, OutlineMount)>,
}

fn gather(request: &BuildRequest, parsed: &Parsed, stages: Stages, target: usize) -> Outline {
    let dockerfile = &parsed.dockerfile;
    let subject = Subject::new(request, parsed, Ignore::default(), stages);
    let lines = Lines::of(&request.dockerfile);
    let globals = globals(&subject, &lines);
    let mut gathered = Gathered::default();
    used_by_from(&subject, &mut gathered);
    walk(&subject, |visit| match visit.instruction {
        Instruction::Arg(_) => arguments(&subject, visit, &lines, &mut gathered),
        Instruction::Run(run) => mounts(&subject, visit, run, &lines, &mut gathered),
        _ => {}
    });
    let order = order(&subject, target);
    let stage = &dockerfile.stages[target];
    Outline {
        name: stage.name().map(str::to_owned),
        description: stage.name().and_then(|name| description(&stage.from.comments, name)),
        arguments: choose_arguments(&gathered, &globals, &order),
        secrets: choose_mounts(&gathered.secrets, &order),
        agents: choose_mounts(&gathered.agents, &order),
    }
}

/// A global argument and the global arguments that its default uses.
struct Global {
    argument: OutlineArgument,
    uses: Vec<String>,
}

fn globals(subject: &Subject<'_>, lines: &Lines) -> Vec<Global> {
    let mut globals: Vec<Global> = Vec::new();
    for statement in &subject.dockerfile.meta_args {
        for definition in &statement.instruction.arguments {
            let Some(name) = subject.expand(&definition.name, &subject.stages.global) else {
                continue;
            };
            let default = definition.default.as_ref();
            let given = subject.request.build_args.contains_key(&name.text);
            let expansion = default.and_then(|word| subject.expand(word, &subject.stages.global));
            let uses = expansion.filter(|_| !given).map(|e| e.used).unwrap_or_default();
            let value = subject.stages.global.get(&name.text).unwrap_or_default().to_owned();
            let argument = OutlineArgument {
                description: description(&statement.comments, &name.text),
                name: name.text,
                value,
                lines: lines.statement(statement),
            };
            globals.retain(|known| known.argument.name != argument.name);
            globals.push(Global { argument, uses: uses.into_iter().collect() });
        }
    }
    globals
}

/// The names that the FROM of each stage that is reached uses.
fn used_by_from(subject: &Subject<'_>, gathered: &mut Gathered) {
    let stages = subject.dockerfile.stages.iter();
    for stage in stages.filter(|stage| subject.stages.reached[stage.index]) {
        let from = &stage.from.instruction;
        let platform = from.platform.as_ref().map(|flag| &flag.value);
        for word in [Some(&from.image), platform].into_iter().flatten() {
            let expansion = subject.expand(word, &subject.stages.global).unwrap_or_default();
            gathered.used.extend(expansion.used.into_iter().map(|name| (stage.index, name)));
        }
    }
}

fn arguments(subject: &Subject<'_>, visit: &Visit<'_>, lines: &Lines, gathered: &mut Gathered) {
    let Instruction::Arg(arg) = visit.instruction else { return };
    each_argument(subject, &visit.state.env, arg, |declared| {
        let name = declared.name.clone();
        gathered.used.push((visit.stage, name.clone()));
        if !declared.is_inherited {
            let argument = OutlineArgument {
                description: description(&visit.statement.comments, &name),
                name,
                value: declared.value.clone().unwrap_or_default(),
                lines: visit.place.lines(lines),
            };
            gathered.arguments.push((visit.stage, argument));
        }
        ControlFlow::Continue(())
    });
}

fn mounts(
    subject: &Subject<'_>,
    visit: &Visit<'_>,
    run: &Run,
    lines: &Lines,
    gathered: &mut Gathered,
) {
    for mount in &run.mounts {
        let expand = |word: &Word| {
            let expansion = subject.expand(word, &visit.state.env);
            Ok(expansion.map(|expansion| expansion.text).unwrap_or_default())
        };
        // The build reports what is wrong with a mount.
        let (list, id, required) = match mount.value.resolve(expand) {
            Ok(MountSpec::Secret { id, required, .. }) => (&mut gathered.secrets, id, required),
            Ok(MountSpec::Ssh { id, required, .. }) => (&mut gathered.agents, id, required),
            _ => continue,
        };
        list.push((visit.stage, OutlineMount { id, required, lines: visit.place.lines(lines) }));
    }
}

/// The stages that the target is made from, itself first, then what it starts from, then what
/// it copies from: whoever comes first says what a name means.
fn order(subject: &Subject<'_>, target: usize) -> Vec<usize> {
    let mut order = Vec::new();
    let mut seen = HashSet::new();
    let mut todo = vec![target];
    while let Some(stage) = todo.pop() {
        if !seen.insert(stage) {
            continue;
        }
        order.push(stage);
        for statement in subject.dockerfile.stages[stage].body.iter().rev() {
            for (_, source) in lower::sources(subject.dockerfile, &statement.instruction, stage) {
                if let StageRef::Stage(source) = source {
                    todo.push(source);
                }
            }
        }
        todo.extend(subject.stages.froms.get(stage).and_then(|from| from.base));
    }
    order
}

fn choose_arguments(
    gathered: &Gathered,
    globals: &[Global],
    order: &[usize],
) -> Vec<OutlineArgument> {
    let mut chosen: Vec<OutlineArgument> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    for stage in order {
        let names = gathered.used.iter().filter(|(of, _)| of == stage).map(|(_, name)| name);
        let mut todo: Vec<String> = names.rev().cloned().collect();
        while let Some(name) = todo.pop() {
            if seen.contains(&name) {
                continue;
            }
            let own = gathered.arguments.iter().rev();
            let own = own.filter(|(of, _)| of == stage).map(|(_, a)| a).find(|a| a.name == name);
            let global = globals.iter().find(|global| global.argument.name == name);
            if let Some(argument) = own.or(global.map(|global| &global.argument)) {
                chosen.push(argument.clone());
                seen.insert(name);
                if own.is_none() {
                    todo.extend(global.into_iter().flat_map(|global| global.uses.clone()));
                }
            }
        }
    }
    chosen.sort_by_key(|argument| argument.lines.first);
    chosen
}

fn choose_mounts(mounts: &[(usize, OutlineMount)], order: &[usize]) -> Vec<OutlineMount> {
    let mut chosen: Vec<OutlineMount> = Vec::new();
    for stage in order {
        for (_, mount) in mounts.iter().filter(|(of, _)| of == stage) {
            if !chosen.iter().any(|known| known.id == mount.id) {
                chosen.push(mount.clone());
            }
        }
    }
    chosen.sort_by_key(|mount| mount.lines.first);
    chosen
}
