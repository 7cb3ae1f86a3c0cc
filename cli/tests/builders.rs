//! Builders as scripts for docker make and choose them before they build.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use testutil::{Tierce, busybox};

fn tierce() -> Tierce {
    Tierce::new(env!("CARGO_BIN_EXE_tierce"))
}

#[test]
fn what_a_pipeline_does_before_it_builds_and_after() {
    let tierce = tierce();
    busybox(&tierce);
    tierce.scratch().write("context/Dockerfile", "FROM busybox\nRUN true\n");
    let context = tierce.scratch().join("context");
    let context = context.to_str().unwrap();

    let version = tierce.ok(["buildx", "version"]);
    assert!(version.split(' ').nth(1).is_some_and(|word| word.starts_with("v0.")), "{version}");
    let flags = "--allow-insecure-entitlement security.insecure \
                 --allow-insecure-entitlement network.host";
    let create = ["buildx", "create", "--name", "b1", "--driver", "docker-container"];
    let more = ["--buildkitd-flags", flags, "--driver-opt", "network=host", "--use"];
    assert_eq!(tierce.ok([&create[..], &more[..]].concat()), "b1\n");
    let shown = tierce.ok(["buildx", "inspect", "--bootstrap", "b1"]);
    assert!(shown.contains("Name:          b1\n") && shown.contains("Status:    running\n"));
    assert_eq!(tierce.ok(["buildx", "inspect", "--builder", "b1"]), shown);
    assert!(tierce.ok(["buildx", "ls"]).contains("\nb1*"), "it was chosen");

    let build = ["-q", "-t", "made"];
    tierce.ok([&["buildx", "build", "--builder", "b1"], &build[..], &[context]].concat());
    tierce.ok([&["buildx", "--builder", "b1", "build"], &build[..], &[context]].concat());
    tierce.ok([&["build", "--builder=default"], &build[..], &[context]].concat());

    assert_eq!(tierce.ok(["buildx", "rm", "b1"]), "b1 removed\n");
    assert!(tierce.ok(["buildx", "ls"]).contains("\ndefault*"), "what is always there");
    let gone = tierce.run(["build", "--builder", "b1", context]);
    assert!(gone.code == 1 && gone.stderr.contains("no builder \"b1\" found"), "{gone:?}");
    let mut named = tierce.command(["build", "-q", context]);
    let named = named.env("BUILDX_BUILDER", "b1").output().unwrap();
    assert!(!named.status.success(), "the variable names it, too");
}

#[test]
fn a_builder_without_a_name_gets_one() {
    let tierce = tierce();
    let name = tierce.ok(["buildx", "create", "--platform", "linux/arm64,linux/amd64"]);
    let shown = tierce.ok(["buildx", "inspect", name.trim()]);
    assert!(shown.contains("Platforms: linux/arm64, linux/amd64\n"), "{shown}");
    tierce.ok(["buildx", "stop", name.trim()]);
    tierce.ok(["buildx", "use", name.trim()]);
    assert_eq!(tierce.ok(["buildx", "rm", "--all-inactive"]), format!("{} removed\n", name.trim()));
}

#[test]
fn what_there_is_not_is_refused() {
    let tierce = tierce();
    tierce.ok(["buildx", "create", "--name", "b1"]);
    for (words, said) in [
        (vec!["create", "--name", "b1"], "there is a builder b1 already"),
        (vec!["create", "--name", "../b"], "invalid builder name"),
        (vec!["create", "--driver", "kubernetes"], "docker-container"),
        (vec!["create", "--driver-opt", "image=x"], "network=host"),
        (vec!["create", "--buildkitd-flags", "--oci-worker=false"], "there is no daemon"),
        (vec!["use", "none"], "no builder \"none\" found"),
        (vec!["inspect", "none"], "no builder \"none\" found"),
        (vec!["stop", "none"], "no builder \"none\" found"),
        (vec!["rm", "default"], "the default builder cannot be removed"),
    ] {
        let refused = tierce.run([&["buildx"], &words[..]].concat());
        assert!(refused.code != 0 && refused.stderr.contains(said), "{words:?}: {refused:?}");
    }
}
