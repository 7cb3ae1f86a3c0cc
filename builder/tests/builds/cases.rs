//! `testdata/dockerfile/<case>/`: a Dockerfile, perhaps a context, and what is expected of them.
//!
//! `expect.json` names what is compared: `tree` (every line of it), `files` (contents), `config`
//! (these members of the image's config), `history` (the entries of the Dockerfile), `log`,
//! `warnings` or `error` (parts of the text), `exit`. `request` sets what is asked. `context.json`
//! describes files that git does not keep as they are: modes, links, sockets. `cdi/` describes the
//! machine's devices.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use builder::Secret;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::common::{World, describe, request};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expectation {
    request: Request,
    tree: Option<Vec<String>>,
    files: Map<String, Value>,
    config: Map<String, Value>,
    history: Option<Vec<String>>,
    log: Vec<String>,
    warnings: Option<Vec<String>>,
    error: Option<String>,
    line: Option<usize>,
    exit: Option<i32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Request {
    args: indexmap::IndexMap<String, String>,
    target: Option<String>,
    labels: indexmap::IndexMap<String, String>,
    no_context: bool,
    secrets: BTreeMap<String, String>,
    allow: Vec<String>,
}

#[test]
fn every_case_is_built_as_expected() {
    let world = World::new();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/dockerfile");
    let mut names: Vec<PathBuf> =
        fs::read_dir(&cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    if let Some(only) = std::env::var_os("TIERCE_CASE") {
        names.retain(|path| path.file_name() == Some(&only));
    }
    assert!(!names.is_empty(), "no case in {}", cases.display());
    let failed: Vec<String> = names.iter().filter_map(|case| run(&world, case).err()).collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), names.len(), failed.join("\n"));
}

fn run(world: &World, case: &Path) -> Result<(), String> {
    let name = case.file_name().unwrap().to_string_lossy().into_owned();
    let at = |what: String| format!("--- {name}: {what}");
    let expected = fs::read_to_string(case.join("expect.json")).map_err(|e| at(e.to_string()))?;
    let expected: Expectation = serde_json::from_str(&expected).map_err(|e| at(e.to_string()))?;
    let context = context(world, case, &name);
    let dockerfile = fs::read_to_string(case.join("Dockerfile")).unwrap();
    let path = (!expected.request.no_context).then_some(context.as_path());
    let mut request = request(&dockerfile, path);
    request.ignore = fs::read_to_string(context.join(".dockerignore")).unwrap_or_default();
    request.build_args = expected.request.args.clone();
    request.target = expected.request.target.clone();
    request.labels = expected.request.labels.clone();
    let secrets = &expected.request.secrets;
    request.grants.secrets =
        secrets.iter().map(|(id, text)| (id.clone(), Secret::new(text.as_bytes()))).collect();
    let allows = |what: &str| expected.request.allow.iter().any(|allowed| allowed == what);
    request.grants.insecure = allows("security.insecure");
    request.grants.host_network = allows("network.host");
    let devices = &mut request.grants.devices;
    devices.directories = vec![case.join("cdi")];
    devices.all = allows("device");
    let named = expected.request.allow.iter().filter_map(|what| what.strip_prefix("device="));
    devices.names = named.map(str::to_owned).collect();
    let (result, said) = world.build_and_listen(&request);
    for part in &expected.log {
        if !said.log.contains(part) {
            return Err(at(format!("the log lacks {part:?}:\n{}", said.log)));
        }
    }
    if let Some(warnings) = &expected.warnings
        && *warnings != said.warnings
    {
        return Err(at(format!("warnings are {:?}", said.warnings)));
    }
    let built = match (result, &expected.error) {
        (Ok(built), None) => built,
        (Ok(_), Some(error)) => return Err(at(format!("no error, and not {error:?}"))),
        (Err(error), None) => return Err(at(describe(&error))),
        (Err(error), Some(part)) => {
            let text = describe(&error);
            if !text.contains(part.as_str()) {
                return Err(at(format!("the error lacks {part:?}: {text}")));
            }
            if error.exit_code() != expected.exit {
                return Err(at(format!("the exit status is {:?}", error.exit_code())));
            }
            let line = error_line(&error, &request.dockerfile);
            return match expected.line {
                Some(expected) if line != Some(expected) => Err(at(format!("line {line:?}"))),
                _ => Ok(()),
            };
        }
    };
    let config = serde_json::to_value(&built.config.config).unwrap();
    for (key, value) in &expected.config {
        let actual = config.get(key).unwrap_or(&Value::Null);
        if actual != value {
            return Err(at(format!("{key} is {actual}, not {value}")));
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
            return Err(at(format!("the history is {own:#?}")));
        }
    }
    if let Some(tree) = &expected.tree {
        let actual = world.tree(&built);
        if actual != *tree {
            return Err(at(format!("the tree is {actual:#?}")));
        }
    }
    for (path, content) in &expected.files {
        let actual = world.read(&built, path);
        if Some(actual.as_str()) != content.as_str() {
            return Err(at(format!("{path} holds {actual:?}")));
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

fn error_line(error: &builder::BuildError, source: &builder::syntax::Source) -> Option<usize> {
    let span = match error {
        builder::BuildError::Diagnostics(diagnostics) => diagnostics.first()?.span,
        builder::BuildError::Image { span, .. } => *span,
        builder::BuildError::Step(step) => step.span,
        _ => return None,
    };
    Some(source.position(span.start).line)
}

/// A copy of the case's context, with fixed modes and times, and what `context.json` adds.
fn context(world: &World, case: &Path, name: &str) -> PathBuf {
    let to = world.dir.path().join("contexts").join(name);
    fs::create_dir_all(&to).unwrap();
    let from = case.join("context");
    if from.is_dir() {
        copy(&from, &to);
    }
    let Ok(text) = fs::read_to_string(case.join("context.json")) else { return to };
    let entries: Map<String, Value> = serde_json::from_str(&text).unwrap();
    for (path, entry) in entries {
        let path = to.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let get = |key: &str| entry.get(key).and_then(Value::as_str);
        match get("kind").unwrap_or("file") {
            "link" => std::os::unix::fs::symlink(get("to").unwrap(), &path).unwrap(),
            "hard" => fs::hard_link(to.join(get("to").unwrap()), &path).unwrap(),
            "dir" => fs::create_dir_all(&path).unwrap(),
            "socket" => drop(std::os::unix::net::UnixListener::bind(&path).unwrap()),
            "fifo" => {
                let mode = rustix::fs::Mode::from_raw_mode(0o644);
                rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
            }
            "file" => fs::write(&path, get("content").unwrap_or_default()).unwrap(),
            other => panic!("{name}: unknown kind {other}"),
        }
        if let Some(mode) = get("mode") {
            let mode = u32::from_str_radix(mode, 8).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        if let Some(tar) = entry.get("tar").and_then(Value::as_array) {
            fs::write(&path, []).unwrap();
            let names = tar.iter().map(|name| name.as_str().unwrap());
            let status = std::process::Command::new("tar")
                .arg(get("flags").unwrap_or("-cf"))
                .arg(&path)
                .arg("-C")
                .arg(case.join("context"))
                .args(["--owner=1:1", "--group=1:1", "--mode=0644"])
                .args(names)
                .status()
                .unwrap();
            assert!(status.success(), "{name}: tar failed");
        }
    }
    to
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
}
