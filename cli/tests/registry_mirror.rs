//! `tierce registry serve` as a mirror of another registry.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use testutil::{EmbeddedRegistry, Tierce, busybox};

#[test]
fn images_are_pulled_through_a_mirror_and_stay_there() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let users = tierce.scratch().write("login", "me:secret\n");
    let guarded = format!(
        "tokens: {}\nrules: [{{who: [users], repositories: '**', actions: ['*']}}]\n",
        users.display()
    );
    let guarded = tierce.scratch().write("upstream.yaml", guarded);
    let upstream = EmbeddedRegistry::start(&tierce, &["--config", guarded.to_str().unwrap()]);
    let pushed = format!("docker://{}/team/box:1", upstream.address);
    tierce.ok(["copy", "--creds", "me:secret", "busybox", &pushed]);
    let settings = format!(
        "mirrors: [{{prefix: up, upstream: \"http://{}/team\", fresh: 1h, credentials: {}}}]\n",
        upstream.address,
        users.display()
    );
    let settings = tierce.scratch().write("registry.yaml", &settings);
    let mirror = EmbeddedRegistry::start(&tierce, &["--config", settings.to_str().unwrap()]);
    let image = format!("{}/up/box:1", mirror.address);
    // By a store that has none of its layers: only what is asked for comes to the mirror.
    let first = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    first.ok(["pull", &image]);
    // Beside what is mirrored, it is a registry as any other.
    tierce.ok(["copy", "busybox", &format!("docker://{}/ours:1", mirror.address)]);
    let mirrored = format!("docker://{}/up/other:1", mirror.address);
    let refused = tierce.run(["copy", "busybox", &mirrored]);
    assert!(
        refused.code == 1 && refused.stderr.contains("denied: up/other mirrors another registry"),
        "{refused:?}"
    );
    drop(upstream);
    let other = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    other.ok(["pull", &image]);
    let id = |tierce: &Tierce| tierce.ok(["inspect", "--format", "{{.Id}}", &image]);
    assert_eq!(id(&first), id(&other));
}

#[test]
fn a_mirror_is_found_by_the_files_of_containerd_and_knows_what_it_stands_in_for() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let upstream = EmbeddedRegistry::in_memory(&tierce);
    let image = format!("{}/team/box:1", upstream.address);
    tierce.ok(["copy", "busybox", &format!("docker://{image}")]);
    let settings = format!(
        "mirrors: [{{prefix: up, upstream: \"http://{}\", fresh: 1h}}]\n",
        upstream.address
    );
    let settings = tierce.scratch().write("registry.yaml", &settings);
    let mirror = EmbeddedRegistry::start(&tierce, &["--config", settings.to_str().unwrap()]);
    let machine = || {
        let machine = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
        let hosts = format!(".config/containerd/certs.d/{}/hosts.toml", upstream.address);
        let text =
            format!("[host.'http://{}']\ncapabilities = ['pull', 'resolve']\n", mirror.address);
        machine.scratch().write(&hosts, text);
        machine
    };
    machine().ok(["pull", &image]);
    assert_eq!(tierce.ok(["registry", "ls", &mirror.address]), "up/team/box\n");
    let kept = format!("{}/up/team/box:1", mirror.address);
    assert_eq!(tierce.ok(["registry", "digest", &kept]), tierce.ok(["registry", "digest", &image]));
    let (first, second) = (machine(), machine());
    drop(upstream);
    first.ok(["pull", &image]);
    let base = second.scratch().write("Dockerfile", format!("FROM {image}\nRUN true\n"));
    second.ok(["build", base.parent().unwrap().to_str().unwrap()]);

    // Who has another name for a place asks there, and podman's files say so, too.
    let third = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    let text = format!(
        "[[registry]]\nprefix = 'team.example'\nlocation = '{}/up/team'\n\
         [[registry]]\nprefix = 'bad.example'\nblocked = true\n",
        mirror.address
    );
    third.scratch().write(".config/containers/registries.conf", text);
    third.ok(["pull", "team.example/box:1"]);
    assert!(third.ok(["images"]).contains("team.example/box"));
    let blocked = third.run(["pull", "bad.example/x"]);
    assert!(blocked.code == 1 && blocked.stderr.contains("is blocked"), "{blocked:?}");
}
