//! `tierce sync`: repositories brought from one registry to another, and kept alike.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::fs;

use testutil::{EmbeddedRegistry, Tierce, busybox};

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
