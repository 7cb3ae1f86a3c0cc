//! From a Dockerfile to a registry and back, as the README shows it.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::path::Path;

use testutil::{EmbeddedRegistry, Tierce, busybox};

fn tierce() -> Tierce {
    Tierce::new(env!("CARGO_BIN_EXE_tierce"))
}

fn testdata(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(name).display().to_string()
}

#[test]
fn an_image_is_built_pushed_pulled_by_digest_and_run() {
    let (here, there) = (tierce(), tierce());
    busybox(&here);
    let registry = EmbeddedRegistry::in_memory(&here);
    let name = format!("{}/hello", registry.address);

    here.ok(["build", "-t", &name, &testdata("hello")]);
    assert!(here.ok(["run", "--rm", &name]).starts_with("hello from "));
    here.ok(["push", &name]);
    let by_digest = here.ok(["inspect", "--format", "{{index .RepoDigests 0}}", &name]);
    let by_digest = by_digest.trim();
    assert!(by_digest.starts_with(&format!("{name}@sha256:")), "{by_digest}");

    there.ok(["pull", by_digest]);
    let line = there.ok(["run", "--rm", by_digest]);
    assert!(line.starts_with("hello from ") && line.trim().len() > "hello from ".len(), "{line}");

    // The image is the same, by its config, on both sides.
    let id = |tierce: &Tierce, name: &str| tierce.ok(["inspect", "--format", "{{.Id}}", name]);
    assert_eq!(id(&here, &name), id(&there, by_digest));
}

#[test]
fn an_unchanged_build_is_cached_across_processes() {
    let here = tierce();
    busybox(&here);
    let build = |extra: &[&str]| {
        let mut args = vec!["build", "--progress", "plain", "-t", "hello"];
        args.extend(extra);
        let context = testdata("hello");
        args.push(&context);
        let output = here.run(args);
        assert_eq!(output.code, 0, "{output:#?}");
        output.stderr
    };
    // The base is always there.
    let cached = |log: &str| log.matches("CACHED").count() - 1;
    assert_eq!(cached(&build(&[])), 0);
    let again = build(&[]);
    assert_eq!(cached(&again), 3, "RUN, COPY and WORKDIR are cached:\n{again}");
    assert_eq!(cached(&build(&["--no-cache"])), 0);
}

#[test]
fn a_failed_step_shows_its_line_its_log_and_its_status() {
    let here = tierce();
    busybox(&here);
    let dockerfile = "FROM busybox\nRUN true\nRUN echo the-log-line; exit 42\n";
    let context = here.scratch().join("context");
    here.scratch().write("context/Dockerfile", dockerfile);
    let output = here.run(["build", &context.display().to_string()]);
    assert_eq!(output.code, 42, "{output:#?}");
    for part in ["Dockerfile:3", "RUN echo the-log-line; exit 42", "the-log-line", "exit code: 42"]
    {
        assert!(output.stderr.contains(part), "`{part}` is missing in\n{}", output.stderr);
    }
}

#[test]
fn a_misspelt_instruction_is_pointed_at() {
    let here = tierce();
    here.scratch().write("context/Dockerfile", "FROM scratch\nCOPPY a b\n");
    let output = here.run(["build", &here.scratch().join("context").display().to_string()]);
    assert_eq!(output.code, 1);
    assert!(output.stderr.contains("COPY"), "{}", output.stderr);
    assert!(output.stderr.contains("^^^^^"), "{}", output.stderr);
}

#[test]
fn a_container_keeps_its_changes_shows_them_and_becomes_an_image() {
    let here = tierce();
    busybox(&here);
    let script = "echo new > /root/new; rm /etc/group; echo more >> /etc/passwd";
    here.ok(["run", "--name", "box", "busybox", "sh", "-c", script]);
    assert_eq!(
        here.ok(["diff", "box"]),
        "C /etc\nD /etc/group\nC /etc/passwd\nC /root\nA /root/new\n"
    );
    here.ok([
        "commit",
        "-m",
        "why",
        "-a",
        "who",
        "-c",
        "ENV A=b",
        "-c",
        "CMD cat /root/new",
        "box",
        "boxed",
    ]);
    assert_eq!(here.ok(["run", "--rm", "boxed"]), "new\n");
    let layers = |image: &str| {
        let json = here.ok(["inspect", "--format", "{{json .RootFS.Layers}}", image]);
        serde_json::from_str::<Vec<String>>(&json).unwrap()
    };
    let (base, committed) = (layers("busybox"), layers("boxed"));
    assert_eq!(base[..], committed[..base.len()]);
    assert_eq!(committed.len(), base.len() + 1);

    // It starts again, is listed, and goes.
    here.ok(["start", "-a", "box"]);
    assert!(here.ok(["ps", "-a"]).contains("box"));
    assert!(!here.ok(["ps"]).contains("box"));
    here.ok(["rm", "box"]);
    assert!(!here.ok(["ps", "-a"]).contains("box"));
}

#[test]
fn a_containers_status_is_the_commands() {
    let here = tierce();
    busybox(&here);
    for (args, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "sh -c 'kill -TERM $$'; exit $?"], 143),
        (&["/nowhere"], 127),
        (&["/etc/passwd"], 126),
    ] {
        let output = here.run(["run", "--rm", "busybox"].iter().chain(args));
        assert_eq!(output.code, code, "{args:?} {output:#?}");
    }
    assert_eq!(here.run(["run", "--rm", "no-such-image:1"]).code, 125);
}

#[test]
fn what_a_build_may_not_do_is_said_at_its_line() {
    let here = tierce();
    busybox(&here);
    for (line, message) in [
        ("RUN --security=insecure true", "security.insecure is not allowed"),
        ("RUN --mount=type=secret,id=x,required true", "secret \"x\": not found"),
    ] {
        here.scratch().write("context/Dockerfile", format!("FROM busybox\n{line}\n"));
        let output = here.run(["build", &here.scratch().join("context").display().to_string()]);
        assert_ne!(output.code, 0, "{line}");
        assert!(output.stderr.contains(message), "{line}: {}", output.stderr);
        assert!(output.stderr.contains("Dockerfile:2"), "{line}: {}", output.stderr);
    }
}

#[test]
fn findings_are_told_and_fail_a_build_that_asks_for_that() {
    let here = tierce();
    let context = here.scratch().join("context").display().to_string();
    let build = |directive: &str, arguments: &[&str]| {
        let text = format!("{directive}\nFROM scratch\nCOPY a /\nMAINTAINER me\n");
        here.scratch().write("context/Dockerfile", &text);
        here.scratch().write("context/a", "x");
        let arguments = arguments.iter().copied().chain([context.as_str()]);
        here.run(["build", "--progress", "plain"].into_iter().chain(arguments))
    };
    let told = build("# no directive", &[]);
    assert_eq!(told.code, 0, "{told:#?}");
    assert!(told.stderr.contains(" 1 warning found"), "{}", told.stderr);
    assert!(told.stderr.contains(" - MaintainerDeprecated: "), "{}", told.stderr);
    let failed = build("# check=error=true", &[]);
    assert_eq!(failed.code, 1, "{failed:#?}");
    assert!(failed.stderr.contains("error[MaintainerDeprecated]"), "{}", failed.stderr);
    let skipped = build("# check=skip=all;error=true", &["--check"]);
    assert_eq!(
        (skipped.code, skipped.stdout.as_str()),
        (0, "Check complete, no warnings found.\n")
    );
    let checked = build("# no directive", &["--call", "check"]);
    assert_eq!(checked.code, 1, "{checked:#?}");
    assert!(checked.stdout.contains("\n   4 | >>> MAINTAINER me\n"), "{}", checked.stdout);
}

#[test]
fn every_error_of_a_dockerfile_is_told_at_once() {
    let here = tierce();
    here.scratch().write("context/Dockerfile", "FROM scratch\nCOPPY a /\nUSER\n");
    let context = here.scratch().join("context").display().to_string();
    let built = here.run(["build", &context]);
    assert_eq!(built.code, 1, "{built:#?}");
    for place in ["Dockerfile:2:1", "Dockerfile:3:1"] {
        assert!(built.stderr.contains(place), "{place}: {}", built.stderr);
    }
    let asked = here.run(["build", "--call", "check,format=json", &context]);
    assert_eq!(asked.code, 1, "{asked:#?}");
    let answer: serde_json::Value = serde_json::from_str(&asked.stdout).unwrap();
    assert_eq!(answer["warnings"], serde_json::Value::Null);
    assert_eq!(answer["buildError"]["location"]["ranges"][0]["start"]["line"], 2);
}
