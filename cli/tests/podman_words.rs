//! Builds as podman's and buildah's users write them.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::fs;

use serde_json::Value;
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

#[test]
fn variables_labels_and_history_are_chosen_beside_the_file() {
    let tierce = tierce();
    let text = "FROM busybox AS b\nENV P=parent\nLABEL base=1\nFROM b\nLABEL own=1\nENV Q=q\n\
                RUN test \"$E-$P-$Q\" = 1--q\n";
    let directory = tierce.scratch().join("chosen");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("Dockerfile"), text).unwrap();
    let context = directory.to_str().unwrap();
    let inspect =
        |name: &str| -> Value { serde_json::from_str(&tierce.ok(["inspect", name])).unwrap() };
    tierce.ok([
        "build",
        "-q",
        "-t",
        "one",
        "--env",
        "E=1",
        "--unsetenv",
        "P",
        "--inherit-labels=false",
        "--omit-history",
        "--unsetlabel",
        "other",
        context,
    ]);
    let config = &inspect("one")[0]["Config"];
    let env: Vec<&str> =
        config["Env"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert!(env.contains(&"E=1") && env.contains(&"Q=q"), "{env:?}");
    assert!(!env.iter().any(|variable| variable.starts_with("P=")), "{env:?}");
    assert_eq!(config["Labels"], serde_json::json!({ "own": "1" }));
    assert_eq!(tierce.ok(["history", "-q", "one"]).trim(), "");

    fs::write(directory.join("Dockerfile"), "FROM nothing:at-all\nARG A\nENV A=$A\n").unwrap();
    fs::write(directory.join("args"), "# what is given\nA=1\n\n").unwrap();
    let args = directory.join("args");
    tierce.ok([
        "build",
        "-q",
        "-t",
        "two",
        "--from",
        "busybox",
        "--build-arg-file",
        args.to_str().unwrap(),
        "--unsetlabel=none",
        context,
    ]);
    assert!(inspect("two")[0]["Config"]["Env"].to_string().contains("A=1"));
}

#[test]
fn what_run_sees_and_may_is_chosen() {
    let tierce = tierce();
    let directory = tierce.scratch().join("seen");
    fs::create_dir_all(directory.join("shared")).unwrap();
    fs::write(directory.join("shared/file"), "content").unwrap();
    let text = "FROM busybox\nRUN grep -q content /shared/file && ! touch /shared/new \
                && grep -q 192.0.2.7 /etc/resolv.conf && ! chown 5:5 /tmp\n";
    fs::write(directory.join("Dockerfile"), text).unwrap();
    let volume = format!("{}:/shared:ro,z", directory.join("shared").display());
    let context = directory.to_str().unwrap();
    tierce.ok([
        "build",
        "-q",
        "-t",
        "seen",
        "-v",
        &volume,
        "--dns=192.0.2.7",
        "--cap-drop=CHOWN",
        context,
    ]);
    let listed = tierce.ok(["run", "--rm", "seen", "ls", "/"]);
    assert!(!listed.contains("shared"), "nothing is left of it: {listed}");
}

#[test]
fn media_types_are_chosen_for_what_is_written() {
    let tierce = tierce();
    let directory = tierce.scratch().join("format");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("Dockerfile"), "FROM scratch\nCOPY Dockerfile /\n").unwrap();
    let layout = tierce.scratch().join("layout");
    let output = format!("type=oci,tar=false,dest={}", layout.display());
    let context = directory.to_str().unwrap();
    tierce.ok(["build", "-q", "--format=docker", "-t", "a", "-o", &output, context]);
    let index = fs::read_to_string(layout.join("index.json")).unwrap();
    assert!(index.contains("application/vnd.docker.distribution.manifest.v2+json"), "{index}");
    tierce.ok(["build", "-q", "--format=docker", "-t", "a", context]);
}

#[test]
fn progress_is_told_as_documents() {
    let tierce = tierce();
    let directory = tierce.scratch().join("progress");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("Dockerfile"), "FROM busybox\nRUN echo said\n").unwrap();
    let built = tierce.run(["build", "--progress=rawjson", directory.to_str().unwrap()]);
    assert_eq!(built.code, 0, "{built:?}");
    let lines: Vec<Value> =
        built.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let log = lines.iter().find_map(|line| line["logs"][0]["data"].as_str()).unwrap();
    assert_eq!(log, "c2FpZAo=");
    assert!(lines.iter().any(|line| line["vertexes"][0]["completed"].is_string()));
}

#[test]
fn what_is_not_there_says_why() {
    let tierce = tierce();
    let directory = tierce.scratch().join("refused");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("Dockerfile"), "FROM scratch\n").unwrap();
    let context = directory.to_str().unwrap();
    for (option, reason) in [
        ("--squash", "tierce image flatten"),
        ("--timestamp=0", "--source-date-epoch"),
        ("--manifest=list", "tierce manifest add"),
        ("--cgroup-parent=/x", "start it in the group"),
        ("--device=/dev/fuse", "RUN --device"),
        ("--security-opt=seccomp=unconfined", "--security=insecure"),
        ("--retry=3", "tried again"),
        ("--destination=x", "--push"),
        ("--identity-label", "no label"),
        ("--identity-label=true", "no label"),
        ("--skip-unused-stages=false", "never built"),
        ("--volume=name:/x", "no path"),
    ] {
        let refused = tierce.run(["build", option, context]);
        assert!(refused.code != 0 && refused.stderr.contains(reason), "{option}: {refused:?}");
    }
    for option in ["--identity-label=false", "--rewrite-timestamp", "--builder=default"] {
        tierce.ok(["build", "-q", option, context]);
    }
}
