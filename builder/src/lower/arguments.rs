//! Build arguments: what is predefined, and what the file declares before its first FROM.

use std::collections::HashSet;

use oci::Platform;

use super::{Scope, one, set_variable};
use crate::diagnostic::Diagnostic;
use crate::environment::Environment;
use crate::error::BuildError;
use crate::instruction::{Arg, ArgDefinition, Instruction};
use crate::request::BuildRequest;
use crate::stage::{Dockerfile, MOST_ERRORS};
use crate::syntax::Escape;

/// The proxies that every RUN sees when they are given, in both cases, and that are part of
/// neither key nor history.
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

const PLATFORM: [&str; 11] = [
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDOSVERSION",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETOSVERSION",
    "TARGETARCH",
    "TARGETVARIANT",
    "TARGETSTAGE",
];

const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Whether a build argument has a meaning that nobody needs to declare.
pub(super) fn is_predefined(name: &str) -> bool {
    PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name))
        || PLATFORM.contains(&name)
        || name.starts_with("BUILDKIT_")
        || name == EPOCH
}

/// What is set before the file says anything.
pub(crate) fn predefined(
    request: &BuildRequest,
    target: &Platform,
    stage: Option<&str>,
) -> Environment {
    let build = request.build_platform.normalized();
    let of = |platform: &Platform| {
        [
            platform.to_string(),
            platform.os.clone(),
            platform.os_version.clone().unwrap_or_default(),
            platform.architecture.clone(),
            platform.variant.clone().unwrap_or_default(),
        ]
    };
    let stage = stage.unwrap_or("default").to_owned();
    let values = of(&build).into_iter().chain(of(target)).chain([stage]);
    let mut env = Environment::default();
    for (name, value) in PLATFORM.into_iter().zip(values) {
        env.set(name, request.build_args.get(name).cloned().unwrap_or(value));
    }
    env
}

/// The arguments before the first FROM, on top of `env`.
pub(crate) fn global(
    request: &BuildRequest,
    dockerfile: &Dockerfile,
    mut env: Environment,
    escape: Escape,
) -> Result<Environment, Vec<Diagnostic>> {
    let mut wrong = Vec::new();
    for statement in &dockerfile.meta_args {
        for argument in &statement.instruction.arguments {
            let read = global_argument(request, &Scope { env: &env, escape }, argument);
            let set = read.and_then(|(name, value)| match value {
                Some(value) => set_variable(&mut env, &name, &value, &argument.name),
                None => Ok(()),
            });
            wrong.extend(set.err());
        }
    }
    wrong.truncate(MOST_ERRORS);
    if wrong.is_empty() { Ok(env) } else { Err(wrong) }
}

/// The name of an argument, and its value if it has one.
fn global_argument(
    request: &BuildRequest,
    scope: &Scope<'_>,
    argument: &ArgDefinition,
) -> Result<(String, Option<String>), Diagnostic> {
    let name = scope.word(&argument.name)?;
    let value = match (request.build_args.get(&name), &argument.default) {
        (Some(given), _) => Some(given.clone()),
        (None, Some(default)) => Some(scope.word(default)?),
        (None, None) => None,
    };
    Ok((name, value))
}

/// The names that any ARG of the file declares.
pub(super) fn declared(dockerfile: &Dockerfile) -> HashSet<String> {
    let mut names = HashSet::new();
    let mut add = |arg: &Arg| {
        names.extend(arg.arguments.iter().map(|argument| argument.name.text.clone()));
    };
    dockerfile.meta_args.iter().for_each(|statement| add(&statement.instruction));
    for statement in dockerfile.stages.iter().flat_map(|stage| &stage.body) {
        match &statement.instruction {
            Instruction::Arg(arg) => add(arg),
            Instruction::Onbuild(onbuild) => {
                if let Instruction::Arg(arg) = &onbuild.statement.instruction {
                    add(arg);
                }
            }
            _ => {}
        }
    }
    names
}

/// The proxies that are given, each in both cases.
pub(super) fn proxies(request: &BuildRequest) -> Environment {
    let mut env = Environment::default();
    for (name, value) in &request.build_args {
        if let Some(proxy) = PROXIES.iter().find(|proxy| proxy.eq_ignore_ascii_case(name)) {
            env.set(*proxy, value.clone());
            env.set(proxy.to_ascii_lowercase(), value.clone());
        }
    }
    env
}

/// `SOURCE_DATE_EPOCH`, given or a global default. An empty one counts as none.
pub(super) fn epoch(
    request: &BuildRequest,
    global: &Environment,
) -> Result<Option<i64>, BuildError> {
    let given = request.build_args.get(EPOCH).map(String::as_str);
    let Some(text) = given.or_else(|| global.get(EPOCH)).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let message = || format!("{EPOCH} is `{text}`: it takes seconds since 1970");
    let seconds = text.parse::<i64>().ok().filter(|seconds| *seconds >= 0);
    let in_range = seconds.filter(|seconds| jiff::Timestamp::from_second(*seconds).is_ok());
    in_range.map(Some).ok_or_else(|| one(Diagnostic::error((0..0).into(), message())))
}
