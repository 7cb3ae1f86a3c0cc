//! `testdata/dockerfile/<case>/`: a Dockerfile, perhaps a context, and what is expected of them.
//!
//! `testutil::Case` says what is compared. `cdi/` describes the machine's devices.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use builder::{BuildError, BuildRequest, Built, ContextDirectory, Secret};
use serde_json::Value;
use testutil::{Case, Expectation};

use crate::common::{Said, World, describe, request};

#[test]
fn every_case_is_built_as_expected() {
    let world = World::new();
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/dockerfile");
    let mut cases = Case::all(&all).unwrap();
    if let Some(only) = std::env::var_os("TIERCE_CASE") {
        let only = only.to_string_lossy().into_owned();
        cases.retain(|case| only.split(',').any(|name| name == case.name));
    }
    assert!(!cases.is_empty(), "no case in {}", all.display());
    let (count, todo) = (cases.len(), Mutex::new(cases));
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = next(&todo) {
                    if let Err(what) = run(&world, &case) {
                        failed.lock().unwrap().push(format!("--- {}: {what}", case.name));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    assert!(failed.is_empty(), "{} of {count}:\n{}", failed.len(), failed.join("\n"));
}

fn next(todo: &Mutex<Vec<Case>>) -> Option<Case> {
    todo.lock().unwrap().pop()
}

fn run(world: &World, case: &Case) -> Result<(), String> {
    let mut request = request_of(world, case)?;
    let (dockerfile, wrong) =
        builder::include(request.dockerfile.clone(), request.context.as_ref());
    request.dockerfile = dockerfile;
    let (result, said) = match wrong.is_empty() {
        true => world.build_and_listen(&request),
        false => (Err(BuildError::Diagnostics(wrong)), Said::default()),
    };
    check_words(&case.expected, &said)?;
    match (result, &case.expected.error) {
        (Ok(built), None) => check_image(world, &case.expected, &built),
        (Ok(_), Some(error)) => Err(format!("no error, and not {error:?}")),
        (Err(error), None) => Err(describe(&error)),
        (Err(error), Some(part)) => check_error(&case.expected, &request, &error, part),
    }
}

fn request_of(world: &World, case: &Case) -> Result<BuildRequest, String> {
    let expected = &case.expected;
    let context = world.dir.path().join("contexts").join(&case.name);
    case.lay_out(&context);
    let dockerfile = case.dockerfile()?;
    let dockerfile = String::from_utf8_lossy(&dockerfile);
    let path = (!expected.request.no_context).then_some(context.as_path());
    let mut request = request(&dockerfile, None);
    let ignore = fs::read_to_string(context.join(".dockerignore")).unwrap_or_default();
    request.context = path.map(|path| ContextDirectory::local(path, ignore));
    request.build_args = expected.request.args.clone().into_iter().collect();
    request.target = expected.request.target.clone();
    request.labels = expected.request.labels.clone().into_iter().collect();
    let secrets = &expected.request.secrets;
    request.grants.secrets =
        secrets.iter().map(|(id, text)| (id.clone(), Secret::new(text.as_bytes()))).collect();
    let allows = |what: &str| expected.request.allow.iter().any(|allowed| allowed == what);
    request.grants.insecure = allows("security.insecure");
    request.grants.host_network = allows("network.host");
    let devices = &mut request.grants.devices;
    devices.directories = vec![case.dir.join("cdi")];
    devices.all = allows("device");
    let named = expected.request.allow.iter().filter_map(|what| what.strip_prefix("device="));
    devices.names = named.map(str::to_owned).collect();
    Ok(request)
}

fn check_words(expected: &Expectation, said: &Said) -> Result<(), String> {
    for part in &expected.log {
        if !said.log.contains(part) {
            return Err(format!("the log lacks {part:?}:\n{}", said.log));
        }
    }
    match &expected.warnings {
        Some(warnings) if *warnings != said.warnings => {
            Err(format!("warnings are {:?}", said.warnings))
        }
        _ => Ok(()),
    }
}

fn check_error(
    expected: &Expectation,
    request: &BuildRequest,
    error: &BuildError,
    part: &str,
) -> Result<(), String> {
    let text = describe(error);
    if !text.contains(part) {
        return Err(format!("the error lacks {part:?}: {text}"));
    }
    if error.exit_code() != expected.exit {
        return Err(format!("the exit status is {:?}", error.exit_code()));
    }
    let line = error_line(error, &request.dockerfile);
    match expected.line {
        Some(expected) if line != Some(expected) => Err(format!("line {line:?}")),
        _ => Ok(()),
    }
}

fn check_image(world: &World, expected: &Expectation, built: &Built) -> Result<(), String> {
    let config = serde_json::to_value(&built.config.config).unwrap();
    for (key, value) in &expected.config {
        let actual = config.get(key).unwrap_or(&Value::Null);
        if actual != value {
            return Err(format!("{key} is {actual}, not {value}"));
        }
    }
    if let Some(history) = &expected.history {
        let own: Vec<String> = built
            .config
            .history
            .iter()
            .filter(|entry| !is_of_base(entry))
            .map(|entry| {
                let empty = if entry.empty_layer { "0 " } else { "" };
                format!("{empty}{}", entry.created_by.as_deref().unwrap_or_default())
            })
            .collect();
        if own != *history {
            return Err(format!("the history is {own:#?}"));
        }
    }
    if let Some(tree) = &expected.tree {
        let actual = world.tree(built);
        if actual != *tree {
            return Err(format!("the tree is {actual:#?}"));
        }
    }
    for (path, content) in &expected.files {
        let actual = world.read(built, path);
        if Some(actual.as_str()) != content.as_str() {
            return Err(format!("{path} holds {actual:?}"));
        }
    }
    Ok(())
}

/// Whether a line of history came with busybox.
fn is_of_base(entry: &oci::History) -> bool {
    const BASE: &[&str] = &[
        "COPY busybox /bin/busybox",
        "RUN /bin/busybox",
        "CMD [\"/bin/sh\" \"-c\" \"sh\"]",
        "CMD [\"sh\"]",
        "RUN /bin/sh -c echo 'root:x:0",
    ];
    let text = entry.created_by.as_deref().unwrap_or_default();
    BASE.iter().any(|base| text.starts_with(base))
}

fn error_line(error: &BuildError, source: &builder::syntax::Source) -> Option<usize> {
    let span = match error {
        BuildError::Diagnostics(diagnostics) => diagnostics.first()?.span,
        BuildError::Image { span, .. } => *span,
        BuildError::Step(step) => step.span,
        _ => return None,
    };
    Some(source.position(span.start).line)
}
