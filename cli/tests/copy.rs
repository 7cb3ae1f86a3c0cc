//! `tierce copy`: between registries, folders, archives and the store, byte for byte.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::path::Path;

use testutil::{EmbeddedRegistry, Peer, Tierce, busybox, run_ok};

/// A store with `app`: busybox and a layer of its own.
fn tierce() -> Tierce {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let dockerfile = "FROM busybox\nRUN echo hello > /said\nCMD [\"cat\", \"/said\"]\n";
    tierce.scratch().write("context/Dockerfile", dockerfile);
    let context = tierce.scratch().join("context");
    tierce.ok(["build", "-q", "-t", "app", context.to_str().unwrap()]);
    tierce
}

fn copy(tierce: &Tierce, from: &str, to: &str) -> String {
    tierce.ok(["copy", from, to]).trim().to_owned()
}

fn id(tierce: &Tierce, name: &str) -> String {
    tierce.ok(["inspect", "-f", "{{.Id}}", name]).trim().to_owned()
}

/// A path below the scratch folder, written as a place.
fn place(tierce: &Tierce, transport: &str, name: &str) -> String {
    format!("{transport}:{}", tierce.scratch().join(name).display())
}

fn skopeo<const N: usize>(args: [&str; N]) -> String {
    run_ok(&mut Peer::command("skopeo"), args)
}

#[test]
fn a_digest_survives_every_place() {
    let tierce = tierce();
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let first = format!("docker://{}/one/app:1", registry.address);
    let second = format!("docker://{}/two/app:1", registry.address);
    let oci = place(&tierce, "oci", "layout:tag");
    let dir = place(&tierce, "dir", "folder");
    let archive = place(&tierce, "oci-archive", "archive.tar:a/b:1");
    let way = ["store:app", &oci, &first, &second, &dir, &archive];
    let mut digests: Vec<String> =
        way.windows(2).map(|pair| copy(&tierce, pair[0], pair[1])).collect();
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
    let before = id(&tierce, "app");
    tierce.ok(["rmi", "-f", "app"]);
    assert_eq!(copy(&tierce, &archive, "back"), digests[0]);
    assert_eq!(id(&tierce, "back"), before);
    assert_eq!(tierce.ok(["run", "--rm", "back"]), "hello\n");
}

#[test]
fn a_docker_archive_keeps_the_configuration() {
    let tierce = tierce();
    let archive = place(&tierce, "docker-archive", "docker.tar:team/app:7");
    copy(&tierce, "app", &archive);
    let file = tierce.scratch().join("docker.tar");
    let loaded = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    loaded.ok(["load", "-i", file.to_str().unwrap()]);
    assert_eq!(id(&loaded, "team/app:7"), id(&tierce, "app"));
    copy(&tierce, &archive, "store:again");
    assert_eq!(id(&tierce, "again"), id(&tierce, "app"));
}

#[test]
fn copies_are_those_of_skopeo() {
    let tierce = tierce();
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let name = |name: &str| format!("docker://{}/{name}", registry.address);
    let digest = copy(&tierce, "app", &name("ours:1"));
    let inspect = |name: &str| {
        skopeo(["inspect", "--tls-verify=false", "--format", "{{.Digest}}", name]).trim().to_owned()
    };
    assert_eq!(inspect(&name("ours:1")), digest);
    let (from, to) = (name("ours:1"), name("theirs:1"));
    skopeo(["copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", &from, &to]);
    assert_eq!(copy(&tierce, &to, &name("ours:2")), digest);

    // Each reads what the other wrote.
    for transport in ["dir", "oci", "oci-archive", "docker-archive"] {
        let suffix = if transport == "dir" { "" } else { ":app:1" };
        let ours = place(&tierce, transport, &format!("{transport}-ours{suffix}"));
        let theirs = place(&tierce, transport, &format!("{transport}-theirs{suffix}"));
        let written = copy(&tierce, &from, &ours);
        let back = name(&format!("back-{transport}:1"));
        skopeo(["copy", "-q", "--dest-tls-verify=false", &ours, &back]);
        skopeo(["copy", "-q", "--src-tls-verify=false", &from, &theirs]);
        let read = copy(&tierce, &theirs, &name(&format!("read-{transport}:1")));
        if transport != "docker-archive" {
            assert_eq!([&written, &inspect(&back), &read], [&digest; 3], "{transport}");
        }
        let config = |name: &str| skopeo(["inspect", "--tls-verify=false", "--config", name]);
        assert_eq!(config(&back), config(&from), "{transport}");
    }
}

#[test]
fn formats_and_compression_are_changed_on_the_way() {
    let tierce = tierce();
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let name = |name: &str| format!("docker://{}/{name}", registry.address);
    let manifest = |name: &str| skopeo(["inspect", "--tls-verify=false", "--raw", name]);
    copy(&tierce, "app", &name("app:oci"));
    tierce.ok(["copy", "--format", "v2s2", &name("app:oci"), &name("app:docker")]);
    let docker = manifest(&name("app:docker"));
    assert!(docker.contains("vnd.docker.distribution.manifest.v2+json"), "{docker}");
    assert!(!docker.contains("vnd.oci"), "{docker}");
    tierce.ok(["copy", "--format", "oci", &name("app:docker"), &name("app:again")]);
    assert_eq!(manifest(&name("app:again")), manifest(&name("app:oci")));

    tierce.ok(["copy", "--compression", "zstd", &name("app:oci"), &name("app:zstd")]);
    let zstd = manifest(&name("app:zstd"));
    assert!(zstd.contains("tar+zstd") && !zstd.contains("tar+gzip"), "{zstd}");
    copy(&tierce, &name("app:zstd"), "store:from-zstd");
    assert_eq!(id(&tierce, "from-zstd"), id(&tierce, "app"));
    let refused = tierce.run([
        "copy",
        "--preserve-digests",
        "--compression",
        "zstd",
        &name("app:oci"),
        &name("app:no"),
    ]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("its digest would change"), "{}", refused.stderr);
}

#[test]
fn what_is_not_there_is_said() {
    let tierce = tierce();
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let nowhere = format!("docker://{}/no/where:1", registry.address);
    let folder = place(&tierce, "dir", "none");
    for (from, to, words) in [
        (nowhere.as_str(), folder.as_str(), "where:1"),
        ("store:nothing", &nowhere, "nothing"),
        (&place(&tierce, "oci", "missing"), &nowhere, "missing"),
        ("docker-daemon:x", &nowhere, "docker-daemon"),
    ] {
        let output = tierce.run(["copy", from, to]);
        assert_eq!(output.code, 1, "{from}");
        assert!(output.stderr.contains(words), "{from}: {}", output.stderr);
    }
    assert!(!Path::new(folder.trim_start_matches("dir:")).join("manifest.json").exists());
}

#[test]
fn no_namespace_is_needed_where_the_store_is_no_end() {
    // A container of ours has docker's capabilities and docker's filter.
    let tierce = tierce();
    let context = tierce.scratch().join("inner");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_tierce"), context.join("tierce")).unwrap();
    tierce.scratch().write("inner/Dockerfile", "FROM busybox\nCOPY tierce /bin/\n");
    tierce.ok(["build", "-q", "-t", "inner", context.to_str().unwrap()]);
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let name = |name: &str| format!("docker://{}/{name}", registry.address);
    let digest = copy(&tierce, "app", &name("app:1"));
    for user in ["0", "1000"] {
        let (from, to) = (name("app:1"), name(&format!("app:{user}")));
        let script = format!(
            "set -e; copy='tierce --root /tmp/store copy'; $copy {from} oci:/tmp/layout:x;
             $copy oci:/tmp/layout:x dir:/tmp/dir; $copy --compression zstd {from} dir:/tmp/zstd;
             $copy dir:/tmp/dir {to}"
        );
        let run = ["run", "--rm", "-u", user, "--tmpfs", "/tmp", "inner", "sh", "-c", &script];
        let digests: Vec<String> = tierce.ok(run).lines().map(str::to_owned).collect();
        assert_eq!([&digests[0], &digests[1], &digests[3]], [&digest; 3], "{digests:?}");
        assert_eq!(
            tierce.ok(["registry", "digest", to.trim_start_matches("docker://")]).trim(),
            digest
        );
    }
}

#[test]
fn copies_into_files_and_the_store_show_what_moves() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let archive = tierce.scratch().join("a.tar");
    let archive = format!("oci-archive:{}:x", archive.display());
    // Four layers and the config.
    let copied = tierce.run(["copy", "busybox", &archive]);
    assert_eq!(copied.stderr.matches(": copied").count(), 5, "{copied:?}");
    let other = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    let copied = other.run(["copy", &archive, "store:busybox"]);
    assert_eq!(copied.stderr.matches(": copied").count(), 5, "{copied:?}");
}
