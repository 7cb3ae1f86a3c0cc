//! Lists of what is in the store, narrowed, and what is cleared away of it.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use testutil::{Tierce, busybox};

/// A store with busybox, `team/app` in two versions, and what was `team/app:1` before.
fn tierce() -> Tierce {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    for (name, label) in [("team/app:1", "old"), ("team/app:1", "new"), ("team/app:2", "newest")] {
        let context = tierce.scratch().join("context");
        std::fs::create_dir_all(&context).unwrap();
        let dockerfile = format!("FROM busybox\nLABEL is={label} app=yes\n");
        tierce.scratch().write("context/Dockerfile", dockerfile);
        tierce.ok(["image", "build", "-q", "-t", name, context.to_str().unwrap()]);
    }
    tierce
}

fn images(tierce: &Tierce, filters: &[&str]) -> Vec<String> {
    let mut args = vec!["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"];
    filters.iter().for_each(|filter| args.extend(["--filter", filter]));
    let mut names: Vec<String> = tierce.ok(args).lines().map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn images_are_narrowed_as_docker_does() {
    let tierce = tierce();
    for (filters, expected) in [
        (&[][..], &["busybox:latest", "team/app:1", "team/app:2"][..]),
        (&["dangling=true"], &["<none>:<none>"]),
        (&["dangling=false", "label=app"], &["team/app:1", "team/app:2"]),
        (&["label=is=newest"], &["team/app:2"]),
        (&["reference=team/*:2"], &["team/app:2"]),
        (&["reference=team/app"], &["team/app:1", "team/app:2"]),
        (&["reference=bus*", "reference=*/*:1"], &["busybox:latest", "team/app:1"]),
        (&["reference=app"], &[]),
        (&["before=busybox"], &[]),
    ] {
        assert_eq!(images(&tierce, filters), expected, "{filters:?}");
    }
    assert_eq!(tierce.run(["images", "--filter", "colour=red"]).code, 1);
    assert_eq!(tierce.run(["images", "--filter", "before=nothing"]).code, 1);
}

#[test]
fn images_without_a_name_are_cleared_away_by_their_own_command() {
    let tierce = tierce();
    tierce.ok(["run", "--name", "over", "busybox", "true"]);
    assert!(tierce.ok(["image", "prune", "-f"]).starts_with("removed images: 1\n"));
    assert!(images(&tierce, &["dangling=true"]).is_empty());
    // Containers are another command's.
    assert_eq!(tierce.ok(["container", "ls", "-aq"]).lines().count(), 1);
    assert!(tierce.ok(["builder", "prune", "-f"]).contains("reclaimed: "));
    tierce.ok(["image", "prune", "-af"]);
    assert_eq!(images(&tierce, &[]), ["busybox:latest"]);
    tierce.ok(["system", "prune", "-af"]);
    assert!(images(&tierce, &[]).is_empty());
}
