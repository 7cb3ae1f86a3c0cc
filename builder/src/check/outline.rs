//! What a build of a target can be given: `--call outline`.

use std::collections::{HashMap, HashSet};

use crate::dockerignore::Ignore;
use crate::error::BuildError;
use crate::images::BaseImages;
use crate::instruction::{Instruction, MountSpec, Run};
use crate::lower;
use crate::lower::meaning::{Meaning, Meanings};
use crate::request::BuildRequest;
use crate::stage::{Parsed, parse};
use crate::syntax::Word;

use super::Reach;
use super::lines::{LineRange, Lines};
use super::stages::Stages;
use super::subject::Subject;
use super::targets::Descriptions;
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

/// What a stage declares and mounts.
#[derive(Default)]
struct Gathered {
    /// By name; a later declaration replaces an earlier one.
    arguments: HashMap<String, OutlineArgument>,
    /// The names that it declares or that its FROM uses.
    used: Vec<String>,
    secrets: Vec<OutlineMount>,
    agents: Vec<OutlineMount>,
}

fn gather(request: &BuildRequest, parsed: &Parsed, stages: Stages, target: usize) -> Outline {
    let dockerfile = &parsed.dockerfile;
    let subject = Subject::new(request, parsed, Ignore::default(), stages);
    let lines = Lines::of(&request.dockerfile);
    let globals = globals(&subject, &lines);
    let mut gathered: Vec<Gathered> = Vec::new();
    gathered.resize_with(dockerfile.stages.len(), Gathered::default);
    used_by_from(&subject, &mut gathered);
    walk(&subject, |visit| match visit.instruction {
        Instruction::Arg(_) => arguments(&subject, visit, &lines, &mut gathered[visit.stage]),
        Instruction::Run(run) => mounts(&subject, visit, run, &lines, &mut gathered[visit.stage]),
        _ => {}
    });
    let order = order(&subject, target);
    let in_order = || order.iter().map(|stage| &gathered[*stage]);
    let stage = &dockerfile.stages[target];
    Outline {
        name: stage.name().map(str::to_owned),
        description: stage
            .name()
            .and_then(|name| Descriptions::of(&stage.from.comments).of_name(name)),
        arguments: choose_arguments(in_order(), &globals),
        secrets: choose_mounts(in_order().flat_map(|stage| &stage.secrets)),
        agents: choose_mounts(in_order().flat_map(|stage| &stage.agents)),
    }
}

/// A global argument and the global arguments that its default uses.
struct Global {
    argument: OutlineArgument,
    uses: Vec<String>,
}

fn globals(subject: &Subject<'_>, lines: &Lines) -> HashMap<String, Global> {
    let mut globals = HashMap::new();
    for statement in &subject.dockerfile.meta_args {
        let descriptions = Descriptions::of(&statement.comments);
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
                description: descriptions.of_name(&name.text),
                name: name.text.clone(),
                value,
                lines: lines.statement(statement),
            };
            globals.insert(name.text, Global { argument, uses: uses.into_iter().collect() });
        }
    }
    globals
}

/// The names that the FROM of each stage that is reached uses.
fn used_by_from(subject: &Subject<'_>, gathered: &mut [Gathered]) {
    let stages = subject.dockerfile.stages.iter();
    for stage in stages.filter(|stage| subject.stages.reached[stage.index]) {
        let from = &stage.from.instruction;
        let platform = from.platform.as_ref().map(|flag| &flag.value);
        for word in [Some(&from.image), platform].into_iter().flatten() {
            let expansion = subject.expand(word, &subject.stages.global).unwrap_or_default();
            gathered[stage.index].used.extend(expansion.used);
        }
    }
}

fn arguments(subject: &Subject<'_>, visit: &Visit<'_>, lines: &Lines, gathered: &mut Gathered) {
    let Instruction::Arg(arg) = visit.instruction else { return };
    let descriptions = Descriptions::of(&visit.statement.comments);
    each_argument(subject, &visit.state.env, arg, |declared| {
        let name = declared.name.clone();
        gathered.used.push(name.clone());
        if !declared.is_inherited {
            let argument = OutlineArgument {
                description: descriptions.of_name(&name),
                name: name.clone(),
                value: declared.value.clone().unwrap_or_default(),
                lines: visit.place.lines(lines),
            };
            gathered.arguments.insert(name, argument);
        }
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
        list.push(OutlineMount { id, required, lines: visit.place.lines(lines) });
    }
}

/// The stages that the target is made from, itself first, then what it starts from, then what
/// it copies from: whoever comes first says what a name means.
fn order(subject: &Subject<'_>, target: usize) -> Vec<usize> {
    let meanings = Meanings {
        dockerfile: subject.dockerfile,
        contexts: &subject.request.contexts,
        platform: &subject.stages.platform,
    };
    let mut order = Vec::new();
    let mut seen = HashSet::new();
    let mut todo = vec![target];
    while let Some(stage) = todo.pop() {
        if !seen.insert(stage) {
            continue;
        }
        order.push(stage);
        for statement in subject.dockerfile.stages[stage].body.iter().rev() {
            for (_, source) in lower::sources(&meanings, &statement.instruction, stage) {
                if let Meaning::Stage(source) = source {
                    todo.push(source);
                }
            }
        }
        todo.extend(subject.stages.froms.get(stage).and_then(|from| from.base));
    }
    order
}

/// Each argument that is used, as the first stage in order that uses it has it.
fn choose_arguments<'g>(
    stages: impl Iterator<Item = &'g Gathered>,
    globals: &'g HashMap<String, Global>,
) -> Vec<OutlineArgument> {
    let mut chosen: Vec<OutlineArgument> = Vec::new();
    let mut seen: HashSet<&str> = HashSet::new();
    for stage in stages {
        let mut todo: Vec<&str> = stage.used.iter().rev().map(String::as_str).collect();
        while let Some(name) = todo.pop() {
            if seen.contains(name) {
                continue;
            }
            let own = stage.arguments.get(name);
            let global = globals.get(name);
            if let Some(argument) = own.or(global.map(|global| &global.argument)) {
                chosen.push(argument.clone());
                seen.insert(name);
                if own.is_none() {
                    todo.extend(global.into_iter().flat_map(|global| &global.uses).map(|n| &**n));
                }
            }
        }
    }
    chosen.sort_by_key(|argument| argument.lines.first);
    chosen
}

fn choose_mounts<'g>(mounts: impl Iterator<Item = &'g OutlineMount>) -> Vec<OutlineMount> {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut chosen: Vec<OutlineMount> =
        mounts.filter(|mount| seen.insert(&mount.id)).cloned().collect();
    chosen.sort_by_key(|mount| mount.lines.first);
    chosen
}
