//! Independent peers at the other end: skopeo, podman, umoci, docker-registry.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::path::Path;
use std::process::Command;

use testutil::{
    DockerRegistry, EmbeddedRegistry, Peer, PodmanStorage, Scratch, Tierce, busybox, run_ok,
};

fn tierce() -> Tierce {
    Tierce::new(env!("CARGO_BIN_EXE_tierce"))
}

fn podman(home: &Scratch) -> Command {
    testutil::podman(home, PodmanStorage::Directories)
}

fn id(tierce: &Tierce, name: &str) -> String {
    tierce.ok(["inspect", "--format", "{{.Id}}", name]).trim().to_owned()
}

#[test]
fn skopeo_copies_to_and_from_our_registry() {
    let (here, there) = (tierce(), tierce());
    busybox(&here);
    let registry = EmbeddedRegistry::in_memory(&here);
    let (ours, theirs) =
        (format!("{}/ours:1", registry.address), format!("{}/theirs:1", registry.address));
    here.ok(["tag", "busybox", &ours]);
    here.ok(["push", &ours]);

    let inspected = run_ok(
        &mut Peer::command("skopeo"),
        ["inspect", "--tls-verify=false", &format!("docker://{ours}")],
    );
    assert!(inspected.contains("\"Layers\""), "{inspected}");
    run_ok(
        &mut Peer::command("skopeo"),
        [
            "copy",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            &format!("docker://{ours}"),
            &format!("docker://{theirs}"),
        ],
    );
    there.ok(["pull", &theirs]);
    assert_eq!(id(&here, "busybox"), id(&there, &theirs));
    assert_eq!(there.ok(["run", "--rm", &theirs, "echo", "ran"]), "ran\n");
}

#[test]
fn our_client_pushes_to_and_pulls_from_docker_registry() {
    let (here, there) = (tierce(), tierce());
    busybox(&here);
    let registry = DockerRegistry::start();
    let name = format!("{}/deep/path/busybox:1", registry.address);
    here.ok(["tag", "busybox", &name]);
    here.ok(["push", &name]);
    there.ok(["pull", &name]);
    assert_eq!(id(&here, &name), id(&there, &name));
    // Nothing is sent twice.
    let again = here.run(["push", &name]);
    assert_eq!(again.code, 0, "{again:#?}");
}

#[test]
fn what_podman_pushes_we_pull_and_what_we_push_podman_runs() {
    let (here, there) = (tierce(), tierce());
    busybox(&here);
    let registry = EmbeddedRegistry::in_memory(&here);
    let ours = format!("{}/ours:1", registry.address);
    here.ok(["tag", "busybox", &ours]);
    here.ok(["push", &ours]);
    let home = here.scratch();
    run_ok(&mut podman(home), ["pull", "-q", "--tls-verify=false", &ours]);
    let theirs = format!("{}/theirs:1", registry.address);
    run_ok(&mut podman(home), ["tag", &ours, &theirs]);
    run_ok(&mut podman(home), ["push", "-q", "--tls-verify=false", &theirs]);
    there.ok(["pull", &theirs]);
    assert_eq!(there.ok(["run", "--rm", &theirs, "echo", "ran"]), "ran\n");
}

#[test]
fn peers_load_what_we_save_and_we_load_what_they_save() {
    let here = tierce();
    busybox(&here);
    let home = here.scratch();
    let archive = |name: &str| home.join(name).display().to_string();
    here.ok(["save", "--format", "docker-archive", "-o", &archive("docker.tar"), "busybox"]);
    here.ok(["save", "--format", "oci-archive", "-o", &archive("oci.tar"), "busybox"]);
    for tar in ["docker.tar", "oci.tar"] {
        run_ok(&mut podman(home), ["load", "-q", "-i", &archive(tar)]);
        let there = tierce();
        there.ok(["load", "-i", &archive(tar)]);
        assert_eq!(id(&here, "busybox"), id(&there, "busybox"), "{tar}");
        assert_eq!(there.ok(["run", "--rm", "busybox", "echo", "ran"]), "ran\n");
    }
    for (transport, tar) in [("docker-archive", "docker.tar"), ("oci-archive", "oci.tar")] {
        let source = format!("{transport}:{}", archive(tar));
        run_ok(&mut Peer::command("skopeo"), ["inspect", &source]);
        // And back from skopeo, in both forms.
        for form in ["docker-archive", "oci-archive"] {
            let copied = archive(&format!("{form}-of-{tar}"));
            run_ok(
                &mut Peer::command("skopeo"),
                ["copy", &source, &format!("{form}:{copied}:copied:1")],
            );
            let there = tierce();
            there.ok(["load", "-i", &copied]);
            assert_eq!(there.ok(["run", "--rm", "copied:1", "echo", "ran"]), "ran\n");
        }
    }
    let saved = archive("podman.tar");
    run_ok(&mut podman(home), ["save", "-q", "-o", &saved, "docker.io/library/busybox:latest"]);
    let there = tierce();
    there.ok(["load", "-i", &saved]);
    assert_eq!(there.ok(["run", "--rm", "busybox", "echo", "ran"]), "ran\n");

    // Archives hold plain tars; a registry gets them compressed.
    let registry = EmbeddedRegistry::in_memory(&there);
    let name = format!("{}/loaded:1", registry.address);
    there.ok(["tag", "busybox", &name]);
    there.ok(["push", &name]);
    let manifest = run_ok(
        &mut Peer::command("skopeo"),
        ["inspect", "--raw", "--tls-verify=false", &format!("docker://{name}")],
    );
    assert!(manifest.contains("tar+gzip") && !manifest.contains("tar\""), "{manifest}");
}

#[test]
fn archives_are_the_same_bytes_every_time() {
    let here = tierce();
    busybox(&here);
    for format in ["docker-archive", "oci-archive"] {
        let save = |name: &str| {
            let file = here.scratch().join(name);
            here.ok(["save", "--format", format, "-o", &file.display().to_string(), "busybox"]);
            std::fs::read(Path::new(&file)).unwrap()
        };
        assert!(save("one.tar") == save("two.tar"), "{format}");
    }
}
