//! `tierce sync`: repositories brought from one registry to another, and kept alike.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::fs;

use testutil::{EmbeddedRegistry, Tierce, WebAnswer, WebServer, busybox};

/// A registry with `app:1`, `app:2`, `app:2-rc1` and `tool:1`, and one with nothing.
fn two(tierce: &Tierce) -> (EmbeddedRegistry, EmbeddedRegistry) {
    busybox(tierce);
    let (full, empty) = (EmbeddedRegistry::in_memory(tierce), EmbeddedRegistry::in_memory(tierce));
    for name in ["app:1", "app:2", "app:2-rc1", "tool:1"] {
        tierce.ok(["copy", "busybox", &format!("docker://{}/{name}", full.address)]);
    }
    (full, empty)
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn the_tags_of_a_repository_are_brought_and_only_what_changed_again() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    let (full, empty) = two(&tierce);
    let (from, to) = (format!("{}/app", full.address), format!("{}/mirror/app", empty.address));
    let line = |word: &str, tag: &str| format!("{word} {from}:{tag} {to}:{tag}");
    let sync = ["sync", "--skip-tag", ".*-rc.*", &from, &to];
    let would = tierce.ok([&sync[..], &["--dry-run"]].concat());
    assert_eq!(sorted(&would), [line("would copy", "1"), line("would copy", "2")]);
    assert_eq!(tierce.run(["registry", "tags", &to]).code, 1, "nothing was copied");

    let copied = tierce.ok(sync);
    assert_eq!(sorted(&copied), [line("copied", "1"), line("copied", "2")]);
    assert_eq!(tierce.ok(["registry", "tags", &to]), "1\n2\n");
    let digest = |name: &str| tierce.ok(["registry", "digest", &format!("{name}:2")]);
    assert_eq!(digest(&from), digest(&to));

    tierce.ok([
        "image",
        "mutate",
        "--label",
        "a=b",
        "-t",
        &format!("{from}:2"),
        &format!("{from}:2"),
    ]);
    assert_eq!(sorted(&tierce.ok(sync)), [line("copied", "2"), line("unchanged", "1")]);
    assert_eq!(digest(&from), digest(&to));
}

#[test]
fn a_file_says_what_goes_where_and_what_fails_holds_nothing_up() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    let (full, empty) = two(&tierce);
    let file = tierce.scratch().join("sync.yaml");
    let (from, to) = (&full.address, &empty.address);
    let text = format!(
        "version: 1\ndefaults: {{parallel: 2}}\nsync:\n\
         - {{source: '{from}/nothing', target: '{to}/nothing'}}\n\
         - {{source: '{from}/app:9', target: '{to}/app:9'}}\n\
         - {{source: '{from}', target: '{to}/all', type: registry, tags: {{allow: ['1']}}}}\n"
    );
    fs::write(&file, text).unwrap();
    let ended = tierce.run(["sync", "--config", file.to_str().unwrap()]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("/nothing") && ended.stderr.contains("/app:9"), "{ended:?}");
    assert_eq!(tierce.ok(["registry", "ls", to]), "all/app\nall/tool\n");
    assert_eq!(tierce.ok(["registry", "tags", &format!("{to}/all/app")]), "1\n");

    fs::write(&file, "sync: [{source: a, target: b, colour: red}]").unwrap();
    let refused = tierce.run(["sync", "--config", file.to_str().unwrap()]);
    assert!(refused.code == 1 && refused.stderr.contains("colour"), "{refused:?}");
}

#[test]
fn a_repository_that_cannot_be_listed_holds_the_others_of_its_registry_not_up() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    let (full, empty) = two(&tierce);
    let behind = full.address.clone();
    let front = WebServer::start(move |asked| {
        if asked.target.starts_with("/v2/app/tags/list") {
            return WebAnswer::status(403);
        }
        WebAnswer::status(307).with("Location", &format!("http://{behind}{}", asked.target))
    });
    let file = tierce.scratch().join("sync.yaml");
    let text = format!(
        "sync: [{{source: '{}', target: '{}', type: registry}}]",
        front.host(),
        empty.address
    );
    fs::write(&file, text).unwrap();
    let ended = tierce.run(["sync", "--config", file.to_str().unwrap()]);
    assert!(ended.code == 1 && ended.stderr.contains("/app"), "{ended:?}");
    assert_eq!(tierce.ok(["registry", "ls", &empty.address]), "tool\n");
}

#[test]
fn platforms_and_what_refers_to_an_image_are_brought_and_told_before() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    let (full, empty) = two(&tierce);
    let dockerfile = tierce.scratch().write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let (from, to) = (format!("{}/multi:1", full.address), format!("{}/multi:1", empty.address));
    let context = dockerfile.parent().unwrap().to_str().unwrap();
    let platforms = "linux/amd64,linux/arm64,linux/s390x";
    tierce.ok(["build", "--platform", platforms, "-t", &from, "--push", context]);
    let sbom = tierce.scratch().write("sbom.json", "{}");
    let attach = |what: &str| {
        let sbom = sbom.to_str().unwrap();
        tierce.ok(["registry", "attach", "--artifact-type", what, &from, sbom]);
    };
    attach("example/sbom");

    let sync = |more: &[&str]| {
        tierce.ok([&["sync", "--jobs", "1"], more, &[&from, &to]].concat()).trim().to_owned()
    };
    let word = |word: &str| format!("{word} {from} {to}");
    let two = ["--platform", "linux/amd64,linux/arm64"];
    let dry = ["--dry-run", "--platform", "linux/amd64,linux/arm64"];
    assert_eq!(sync(&dry), word("would copy"));
    assert_eq!(sync(&two), word("copied"));
    assert_eq!(sync(&two), word("unchanged"));
    assert_eq!(sync(&dry), word("unchanged"));
    let index = tierce.ok(["registry", "manifest", &to]);
    assert!(index.contains("arm64") && !index.contains("s390x"), "{index}");

    let listed = || tierce.ok(["registry", "referrers", &to]).lines().count();
    assert_eq!(sync(&["--referrers", "--dry-run"]), word("would copy"));
    assert_eq!(sync(&["--referrers"]), word("copied"));
    let before = listed();
    assert!(before > 0);
    assert_eq!(sync(&["--referrers", "--dry-run"]), word("unchanged"));
    attach("example/signature");
    assert_eq!(sync(&[]), word("unchanged"), "the image is as it was");
    assert_eq!(sync(&["--referrers", "--dry-run"]), word("would copy"));
    assert_eq!(sync(&["--referrers"]), word("copied"));
    assert_eq!(listed(), before + 1);
}

#[test]
fn each_side_has_credentials_of_its_own() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    let (full, _) = two(&tierce);
    // `user:secret`, by bcrypt.
    let users = tierce
        .scratch()
        .write("htpasswd", "user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n");
    let closed = EmbeddedRegistry::start(&tierce, &["--htpasswd", users.to_str().unwrap()]);
    let (from, to) = (format!("{}/app", full.address), format!("{}/app", closed.address));
    assert_eq!(tierce.run(["sync", &from, &to]).code, 1);
    let there = tierce.ok(["sync", "--dest-creds", "user:secret", &from, &to]);
    assert_eq!(there.lines().count(), 3);
    assert_eq!(tierce.run(["sync", &to, &from]).code, 1);
    let back = tierce.ok(["sync", "--src-creds", "user:secret", &to, &format!("{from}-back")]);
    assert_eq!(back.lines().count(), 3);
}
