//! Builds as podman's and buildah's users write them.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use testutil::{Tierce, busybox};

fn tierce() -> Tierce {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    tierce
}

/// Builds in the directory `context` of the scratch with these options, and answers what the
/// image's `sh -c SCRIPT` prints.
fn built(tierce: &Tierce, options: &[&str], script: &str) -> String {
    let context = tierce.scratch().join("context");
    let end = ["-q", "-t", "made", context.to_str().unwrap()];
    tierce.ok([&["build"], options, &end].concat());
    tierce.ok(["run", "--rm", "made", "sh", "-c", script])
}

#[test]
fn a_containerfile_and_its_ignore_file_are_found() {
    let tierce = tierce();
    let write = |name: &str, text: &str| drop(tierce.scratch().write(name, text));
    write("context/Containerfile", "FROM busybox\nCOPY . /x\n");
    write("context/.containerignore", "a\n");
    write("context/a", "");
    write("context/b", "");
    write("others", "b\n");
    let list = "cd /x; ls";
    assert_eq!(built(&tierce, &[], list), "Containerfile\nb\n");
    let others = tierce.scratch().join("others");
    let named = format!("--ignorefile={}", others.display());
    assert_eq!(built(&tierce, &[&named], list), "Containerfile\na\n");
    // docker's names go first.
    write("context/.dockerignore", "*\n");
    write("context/Dockerfile", "FROM busybox\nRUN mkdir /x\nCOPY * /x\n");
    assert_eq!(built(&tierce, &["--layers", "--jobs=1"], list), "");
    let context = tierce.scratch().join("context");
    let none = tierce.run(["build", "--ignorefile=/none", context.to_str().unwrap()]);
    assert!(none.code == 1 && none.stderr.contains("there is no file /none"), "{none:?}");
}

#[test]
fn mounts_of_a_run_may_have_labels_of_selinux() {
    let tierce = tierce();
    let run = "FROM busybox\nRUN --mount=type=bind,target=/x,Z --mount=type=cache,target=/y,z ls /x > /seen\n";
    tierce.scratch().write("context/Dockerfile", run);
    assert_eq!(built(&tierce, &[], "cat /seen"), "Dockerfile\n");
}

#[test]
fn base_images_are_pulled_when_it_is_said() {
    let tierce = tierce();
    let build = |pull: &str, base: &str| {
        tierce.scratch().write("context/Dockerfile", format!("FROM {base}\n"));
        let context = tierce.scratch().join("context");
        tierce.run(["build", pull, context.to_str().unwrap()])
    };
    for here in ["--pull=never", "--pull=missing", "--pull=false", "--pull=ifmissing"] {
        assert_eq!(build(here, "busybox").code, 0, "{here}");
    }
    let nowhere = "127.0.0.1:1/none";
    let refused = build("--pull=never", nowhere);
    assert!(refused.code == 1 && refused.stderr.contains("never pulled"), "{refused:?}");
    for asks in ["--pull", "--pull=always", "--pull=true", "--pull=newer"] {
        tierce.ok(["tag", "busybox", nowhere]);
        let asked = build(asks, nowhere);
        assert!(asked.code == 1 && asked.stderr.contains("127.0.0.1:1"), "{asks}: {asked:?}");
    }
    let wrong = build("--pull=sometimes", "busybox");
    assert!(wrong.code != 0 && wrong.stderr.contains("none of always"), "{wrong:?}");
}

#[test]
fn platforms_times_and_proxies_have_words_of_their_own() {
    let tierce = tierce().launched_by(["env", "HTTP_PROXY=http://proxy.example:3128"]);
    let said = "FROM busybox\nRUN echo \"$HTTP_PROXY\" > /proxy\n";
    tierce.scratch().write("context/Dockerfile", said);
    assert_eq!(built(&tierce, &[], "cat /proxy"), "http://proxy.example:3128\n");
    assert_eq!(built(&tierce, &["--http-proxy=false", "--no-cache"], "cat /proxy"), "\n");
    tierce.scratch().write("context/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let context = tierce.scratch().join("context");
    let options = ["--arch", "arm", "--variant", "v7", "--source-date-epoch", "86400"];
    tierce
        .ok([&["build", "-q", "-t", "made"][..], &options, &[context.to_str().unwrap()]].concat());
    let format = "{{.Os}}/{{.Architecture}}/{{.Variant}} {{.Created}}";
    let shown = tierce.ok(["inspect", "--format", format, "made"]);
    assert_eq!(shown, "linux/arm/v7 1970-01-02T00:00:00Z\n");
}
