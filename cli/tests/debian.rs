//! A real distribution: packages installed by builds and in containers, taken by other tools.

#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testutil::{
    DockerRegistry, EmbeddedRegistry, PODMAN_RUN, Peer, PodmanStorage, Scratch, Tierce, debian,
    run_ok,
};

fn tierce() -> Tierce {
    Tierce::new(env!("CARGO_BIN_EXE_tierce"))
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(name)
}

fn podman(home: &Scratch) -> Command {
    testutil::podman(home, PodmanStorage::Overlay)
}

/// The image says its one line, run by whomever.
fn assert_greets(output: &str) {
    let host = output.strip_prefix("hello from ").and_then(|line| line.strip_suffix('\n'));
    assert!(host.is_some_and(|host| !host.is_empty() && !host.contains('\n')), "{output:?}");
}

#[test]
fn hello_node_is_built_and_runs_wherever_it_is_taken() {
    let here = tierce();
    debian(&here);
    let registry = EmbeddedRegistry::in_memory(&here);
    let ours = format!("{}/hello-node:1", registry.address);
    here.ok(["build", "-q", "-t", &ours, &testdata("hello-node").display().to_string()]);
    assert_greets(&here.ok(["run", "--rm", &ours]));

    here.ok(["push", "-q", &ours]);
    runs_under_podman_from_our_registry(&ours);
    let copied = format!("{}/copied/hello-node:1", registry.address);
    comes_back_through_skopeo(&ours, &copied);
    drop(registry);
    comes_back_from_docker_registry(&here, &ours);
    is_loaded_by_podman(&here, &ours);
}

fn runs_under_podman_from_our_registry(name: &str) {
    let home = Scratch::new();
    run_ok(&mut podman(&home), ["pull", "-q", "--tls-verify=false", name]);
    assert_greets(&run_ok(podman(&home).args(PODMAN_RUN), [name]));
}

fn comes_back_through_skopeo(ours: &str, copied: &str) {
    let inspected = run_ok(
        &mut Peer::command("skopeo"),
        ["inspect", "--tls-verify=false", &format!("docker://{ours}")],
    );
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["Layers"].as_array().map(Vec::len), Some(4), "{inspected:#}");

    let layout = Scratch::new();
    let layout = format!("oci:{}:hello", layout.join("layout").display());
    let skopeo = |from: &str, to: &str| {
        run_ok(
            &mut Peer::command("skopeo"),
            ["copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", from, to],
        );
    };
    skopeo(&format!("docker://{ours}"), &layout);
    skopeo(&layout, &format!("docker://{copied}"));
    let there = tierce();
    there.ok(["pull", "-q", copied]);
    assert_greets(&there.ok(["run", "--rm", copied]));
}

fn comes_back_from_docker_registry(here: &Tierce, ours: &str) {
    let registry = DockerRegistry::start();
    let name = format!("{}/hello-node:1", registry.address);
    here.ok(["tag", ours, &name]);
    here.ok(["push", "-q", &name]);
    let there = tierce();
    there.ok(["pull", "-q", &name]);
    assert_greets(&there.ok(["run", "--rm", &name]));
}

fn is_loaded_by_podman(here: &Tierce, ours: &str) {
    for format in ["docker-archive", "oci-archive"] {
        let home = Scratch::new();
        let archive = home.join("saved.tar").display().to_string();
        here.ok(["save", "--format", format, "-o", &archive, ours]);
        run_ok(&mut podman(&home), ["load", "-q", "-i", &archive]);
        assert_greets(&run_ok(podman(&home).args(PODMAN_RUN), [ours]));
    }
}

/// Every directory of `testdata/containers` has a `script`, which is run in a container of the
/// Debian image, and the `diff` that docker shows for it, sorted.
#[test]
fn containers_differ_as_dockers_do_and_are_committed_as_they_differ() {
    let here = tierce();
    debian(&here);
    let mut cases: Vec<_> =
        fs::read_dir(testdata("containers")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    for case in cases {
        let name = case.file_name().unwrap().to_str().unwrap();
        let script = fs::read_to_string(case.join("script")).unwrap();
        let script = format!("{script}\necho {END}; {LIST}");
        let said = here.ok(["run", "--name", name, "debian", "sh", "-c", &script]);
        let (_, left) = said.rsplit_once(&format!("{END}\n")).unwrap();

        let diff = here.ok(["diff", name]);
        let expected = fs::read_to_string(case.join("diff")).unwrap();
        assert_eq!(lines_to_compare(&diff), lines_to_compare(&expected), "{name}");

        let image = format!("{name}-committed");
        here.ok(["commit", name, &image]);
        assert_eq!(top_layer(&here, &image), entries_of(&diff, name), "{name}");
        assert_same_lines(name, &here.ok(["run", "--rm", &image, "sh", "-c", LIST]), left);
    }
    let greeting = here.ok(["run", "--rm", "install-a-package-committed", "hello"]);
    assert_eq!(greeting, "Hello, world!\n");
}

/// What a script ends with.
const END: &str = "----";
/// Lists the tree that it left, but for the machine's files. The size of a directory is the file
/// system's matter.
const LIST: &str = "find / -xdev -type d -printf '%p %y %m %U:%G\\n' -o \
                    -printf '%p %y %m %U:%G %s %l %TF %TH:%TM\\n' | \
                    grep -vE '^/etc/(hosts|hostname|resolv.conf) ' | sort";

fn assert_same_lines(case: &str, left: &str, right: &str) {
    let (left, right): (BTreeSet<&str>, BTreeSet<&str>) =
        (left.lines().collect(), right.lines().collect());
    let differ: Vec<_> = left.symmetric_difference(&right).collect();
    assert!(differ.is_empty() && !left.is_empty(), "{case}: {differ:#?}");
}

/// The lines of a list of changes, without those that depend on what Debian's archive holds today.
fn lines_to_compare(diff: &str) -> BTreeSet<&str> {
    let today = ["/var/lib/apt/lists/", "/var/cache/apt/archives/"];
    diff.lines().filter(|line| !today.iter().any(|dir| line.contains(dir))).collect()
}

/// The names that a layer needs to say what `diff` lists.
fn entries_of(diff: &str, case: &str) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = diff
        .lines()
        .map(|line| {
            let (kind, path) = line.split_once(" /").unwrap();
            match (kind, path.rsplit_once('/')) {
                ("D", Some((dir, name))) => format!("{dir}/.wh.{name}"),
                ("D", None) => format!(".wh.{path}"),
                _ => path.to_owned(),
            }
        })
        .collect();
    if case == "change-everything" {
        // It did not change but got another name: only with both can the layer say so, and
        // docker's has both too.
        names.insert("etc/debian_version".into());
    }
    names
}

/// The names in the topmost layer of an image, as GNU tar lists them.
fn top_layer(tierce: &Tierce, image: &str) -> BTreeSet<String> {
    let dir = Scratch::new();
    let archive = dir.join("saved.tar").display().to_string();
    tierce.ok(["save", "-o", &archive, image]);
    let manifest = run_ok(&mut Peer::command("tar"), ["-xOf", &archive, "manifest.json"]);
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let layer = manifest[0]["Layers"].as_array().unwrap().last().unwrap().as_str().unwrap();
    run_ok(&mut Peer::command("tar"), ["-xf", &archive, "-C", dir.path().to_str().unwrap(), layer]);
    let layer = dir.join(layer).display().to_string();
    let mut list = Peer::command("tar");
    list.stdin(Stdio::null()).env("LC_ALL", "C.UTF-8");
    let names = run_ok(&mut list, ["--quoting-style=literal", "-tf", &layer]);
    names.lines().map(|name| name.trim_end_matches('/').to_owned()).collect()
}
