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
        (&[][..], &["<none>:<none>", "busybox:latest", "team/app:1", "team/app:2"][..]),
        (&["dangling=true"], &["<none>:<none>"]),
        (&["dangling=false", "label=app"], &["team/app:1", "team/app:2"]),
        (&["label=is=newest"], &["team/app:2"]),
        (&["reference=team/*:2"], &["team/app:2"]),
        (&["reference=team/app"], &["team/app:1", "team/app:2"]),
        (&["reference=bus*", "reference=*/*:1"], &["busybox:latest", "team/app:1"]),
        (&["reference=app"], &[]),
        (&["before=busybox"], &[]),
        (&["until=1h"], &[]),
        (&["until=0s", "label=is=newest"], &["team/app:2"]),
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
    let prune = ["image", "prune", "-f", "--filter"];
    assert_eq!(tierce.ok([&prune[..], &["until=1h"]].concat()), "Total reclaimed space: 0B\n");
    assert_eq!(tierce.ok([&prune[..], &["label!=app"]].concat()), "Total reclaimed space: 0B\n");
    let said = tierce.ok([&prune[..], &["label=is=old"]].concat());
    assert!(said.starts_with("Deleted Images:\ndeleted: sha256:"), "{said}");
    assert!(said.contains("\n\nTotal reclaimed space: "), "{said}");
    assert!(images(&tierce, &["dangling=true"]).is_empty());
    // Containers are another command's.
    assert_eq!(tierce.ok(["container", "ls", "-aq"]).lines().count(), 1);
    assert!(tierce.ok(["builder", "prune", "-f"]).contains("Total:\t"));
    tierce.ok(["image", "prune", "-af"]);
    assert_eq!(images(&tierce, &[]), ["busybox:latest"]);
    tierce.ok(["network", "create", "lan"]);
    tierce.ok(["run", "--name", "again", "-v", "/anonymous", "busybox", "true"]);
    assert_eq!(
        tierce.ok(["system", "prune", "-f", "--filter", "label=x"]),
        "Total reclaimed space: 0B\n"
    );
    let said = tierce.ok(["system", "prune", "-af", "--volumes"]);
    for kind in ["Containers", "Networks", "Images", "Volumes"] {
        assert!(said.contains(&format!("Deleted {kind}:\n")), "{said}");
    }
    assert!(images(&tierce, &[]).is_empty());
}
