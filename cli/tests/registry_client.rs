//! `tierce registry …`: what registries have, asked for piece by piece.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use testutil::{DockerRegistry, EmbeddedRegistry, Peer, Tierce, busybox, run_ok};

fn tierce() -> Tierce {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    tierce
}

/// Asks, and cuts the end of the last line off.
fn ask<const N: usize>(tierce: &Tierce, args: [&str; N]) -> String {
    let all = ["registry"].into_iter().chain(args);
    tierce.ok(all.collect::<Vec<_>>()).trim_end().to_owned()
}

#[test]
fn lists_documents_and_blobs_are_printed() {
    let tierce = tierce();
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let host = registry.address.as_str();
    let name = |name: &str| format!("{host}/{name}");
    for one in ["team/app:1", "team/app:2", "other:1"] {
        tierce.ok(["copy", "busybox", &format!("docker://{}", name(one))]);
    }
    assert_eq!(ask(&tierce, ["ping", host]), format!("{host} answers"));
    assert_eq!(ask(&tierce, ["ls", host]), "other\nteam/app");
    assert_eq!(ask(&tierce, ["ls", &name("team/")]), "team/app");
    assert_eq!(ask(&tierce, ["ls", "--format", "json", host]), r#"["other","team/app"]"#);
    assert_eq!(ask(&tierce, ["tags", &name("team/app")]), "1\n2");

    let image = name("team/app:1");
    let manifest = ask(&tierce, ["manifest", &image]);
    let inspected = |args: &[&str]| {
        let place = format!("docker://{image}");
        let all = [&["inspect", "--tls-verify=false"], args, &[&place]].concat();
        run_ok(&mut Peer::command("skopeo"), all).trim_end().to_owned()
    };
    assert_eq!(manifest, inspected(&["--raw"]));
    assert_eq!(ask(&tierce, ["config", &image]), inspected(&["--config", "--raw"]));
    let digest = ask(&tierce, ["digest", &image]);
    assert_eq!(digest, inspected(&["--format", "{{.Digest}}"]));
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let (ours, theirs) = (read(&ask(&tierce, ["inspect", &image])), read(&inspected(&[])));
    // Older ones say less.
    for (key, value) in theirs.as_object().unwrap() {
        assert_eq!(ours[key], *value, "{key}");
    }
    let fast = ["inspect", "--no-tags", "--format", "{{.RepoTags}} {{.Architecture}}", &image];
    assert_eq!(ask(&tierce, fast), "[] amd64");
    let read = read(&manifest);
    let config = read["config"]["digest"].as_str().unwrap();
    let blob = name(&format!("team/app@{config}"));
    assert_eq!(ask(&tierce, ["blob", &blob]), ask(&tierce, ["config", &image]));
    let file = tierce.scratch().join("blob");
    ask(&tierce, ["blob", "-o", file.to_str().unwrap(), &blob]);
    let length = std::fs::metadata(file).unwrap().len();
    assert_eq!(Some(length), read["config"]["size"].as_u64());
}

#[test]
fn what_is_deleted_is_gone() {
    let tierce = tierce();
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let app = |tag: &str| format!("{}/app:{tag}", registry.address);
    for tag in ["1", "2", "3"] {
        tierce.ok(["copy", "busybox", &format!("docker://{}", app(tag))]);
    }
    let digest = ask(&tierce, ["digest", &app("1")]);
    let deleted = ask(&tierce, ["delete", &app("1")]);
    assert_eq!(deleted, format!("deleted {}", app("1")));
    assert_eq!(ask(&tierce, ["tags", &app("1")]), "2\n3");
    // The manifest, with the tags that are left.
    ask(&tierce, ["delete", "--manifest", &app("2")]);
    for gone in [app("3"), format!("{}/app@{digest}", registry.address)] {
        let output = tierce.run(["registry", "manifest", &gone]);
        assert!(output.code == 1 && output.stderr.contains("404"), "{output:?}");
    }
}

/// Attaches two artifacts, one to the other, and lists them.
fn attach_and_list(host: &str) {
    let tierce = tierce();
    let image = format!("{host}/app:1");
    tierce.ok(["copy", "busybox", &format!("docker://{image}")]);
    let sbom = tierce.scratch().write("sbom.json", r#"{"packages":[]}"#);
    let sbom = format!("{}:application/json", sbom.display());
    let kind = "application/spdx+json";
    let first = ask(&tierce, ["attach", "--artifact-type", kind, "-a", "by=us", &image, &sbom]);
    let on_first = format!("{host}/app@{first}");
    let second = ask(&tierce, ["attach", "--artifact-type", "example/signature", &on_first]);

    let listed = ask(&tierce, ["referrers", "--format", "json", &image]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["digest"], first);
    assert_eq!(listed[0]["artifactType"], kind);
    assert_eq!(listed[0]["annotations"]["by"], "us");
    assert!(
        ask(&tierce, ["referrers", "--artifact-type", "example/none", &image])
            .lines()
            .nth(1)
            .is_none()
    );
    let tree = ask(&tierce, ["discover", &image]);
    let lines: Vec<&str> = tree.lines().skip(1).collect();
    assert_eq!(
        lines,
        [format!("└── {kind} {first}"), format!("    └── example/signature {second}")]
    );
    let manifest = ask(&tierce, ["manifest", &on_first]);
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.empty.v1+json");
    let layer = &manifest["layers"][0];
    assert_eq!(layer["annotations"]["org.opencontainers.image.title"], "sbom.json");
    let blob = format!("{host}/app@{}", layer["digest"].as_str().unwrap());
    assert_eq!(ask(&tierce, ["blob", &blob]), r#"{"packages":[]}"#);

    // A copy takes them along when asked.
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let (from, to) = (format!("docker://{image}"), format!("docker://{}/copy:1", registry.address));
    tierce.ok(["copy", "--referrers", &from, &to]);
    let tree = ask(&tierce, ["discover", to.trim_start_matches("docker://")]);
    assert_eq!(tree.lines().skip(1).collect::<Vec<_>>(), lines);
}

#[test]
fn artifacts_refer_to_images_in_a_registry_that_lists_them() {
    let tierce = tierce();
    attach_and_list(&EmbeddedRegistry::in_memory(&tierce).address);
}

#[test]
fn artifacts_refer_to_images_in_a_registry_that_does_not() {
    attach_and_list(&DockerRegistry::start().address);
}

#[test]
fn who_may_soon_pull_no_more_is_told_so() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    testutil::busybox(&tierce);
    let registry = EmbeddedRegistry::in_memory(&tierce);
    tierce.ok(["copy", "-q", "busybox", &format!("docker://{}/b:1", registry.address)]);
    let behind = registry.address.clone();
    let hub = testutil::WebServer::start(move |asked| {
        let limited = match asked.target.contains("/none/") {
            true => testutil::WebAnswer::status(429)
                .with("Retry-After", "3600")
                .with("RateLimit-Remaining", "0;w=21600"),
            false => testutil::WebAnswer::status(307)
                .with("Location", &format!("http://{behind}{}", asked.target))
                .with("RateLimit-Remaining", "7;w=21600"),
        };
        limited.with("RateLimit-Limit", "100;w=21600")
    });
    let pulled = tierce.run(["pull", &format!("{}/b:1", hub.host())]);
    assert!(pulled.code == 0, "{pulled:?}");
    assert!(pulled.stderr.contains("has 7 pulls left for you, of 100 in 6 hours"), "{pulled:?}");
    let failed = tierce.run(["pull", &format!("{}/none/b:1", hub.host())]);
    assert!(failed.stderr.contains("has 0 pulls left for you"), "{failed:?}");
}
