//! The rules of the house, held by a test: who may depend on whom, where `unsafe`, printing and
//! the environment may stand, and how long a file gets.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Our crates, and those of ours that each may use outside its tests.
const MAY_USE: &[(&str, &[&str])] = &[
    ("oci", &[]),
    ("layerfs", &["oci"]),
    ("runtime", &[]),
    ("builder", &["oci", "layerfs", "runtime"]),
    ("bake", &[]),
    ("git-client", &[]),
    ("registry-client", &["oci"]),
    ("registry-server", &["oci"]),
    (
        "cli",
        &[
            "oci",
            "layerfs",
            "runtime",
            "builder",
            "bake",
            "git-client",
            "registry-client",
            "registry-server",
        ],
    ),
    ("testutil", &["oci", "layerfs"]),
    ("xtask", &["testutil"]),
];

/// The most lines that a source file has, its tests not counted.
const MAX_LINES: usize = 500;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

fn sources(krate: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![workspace().join(krate).join("src")];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// A file's code: no comments, and nothing from its inline tests on.
fn code(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a source file");
    text.lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(str::to_owned)
        .collect()
}

fn offenders(crates: &[&str], offends: impl Fn(&Path, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for krate in crates {
        for path in sources(krate) {
            for line in code(&path) {
                if offends(&path, &line) {
                    found.push(format!("{}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    found
}

const LIBRARIES: &[&str] = &[
    "oci",
    "layerfs",
    "runtime",
    "builder",
    "bake",
    "git-client",
    "registry-client",
    "registry-server",
];

#[test]
fn dependencies_point_one_way() {
    let ours: BTreeSet<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    for (krate, may_use) in MAY_USE {
        let manifest =
            fs::read_to_string(workspace().join(krate).join("Cargo.toml")).expect("a manifest");
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        for line in dependencies.lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            assert!(
                !ours.contains(name) || may_use.contains(&name),
                "{krate} must not depend on {name}"
            );
        }
    }
}

#[test]
fn unsafe_stands_in_sys_rs_only() {
    let found = offenders(LIBRARIES, |path, line| {
        (line.contains("unsafe ") || line.contains("allow(unsafe_code)"))
            && path.file_name().is_some_and(|name| name != "sys.rs")
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn only_the_command_line_prints_and_reads_the_environment() {
    let words = ["println!", "eprintln!", "print!(", "dbg!", "std::env::", "env::var"];
    let found = offenders(LIBRARIES, |_, line| {
        // What a machine is, is known when the program is built.
        words.iter().any(|word| line.contains(word)) && !line.contains("env::consts")
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn nothing_is_left_undone() {
    let words = ["todo!(", "unimplemented!(", "FIXME", "XXX"];
    let all: Vec<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    let found = offenders(&all, |_, line| words.iter().any(|word| line.contains(word)));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn files_have_one_job_and_are_short() {
    for (krate, _) in MAY_USE {
        for path in sources(krate) {
            let lines = fs::read_to_string(&path)
                .expect("a source file")
                .lines()
                .take_while(|line| line.trim() != "#[cfg(test)]")
                .count();
            assert!(lines <= MAX_LINES, "{} has {lines} lines: split it", path.display());
        }
    }
}
