//! `tierce image index`, `buildx imagetools` and `manifest`: one index of images that several jobs
//! made.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use serde_json::Value;
use testutil::{EmbeddedRegistry, Tierce};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry with an image of one small layer for each of two platforms.
fn registry() -> (Tierce, EmbeddedRegistry) {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    let registry = EmbeddedRegistry::in_memory(&tierce);
    tierce.scratch().write("context/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let context = tierce.scratch().join("context");
    for platform in ["amd64", "arm64"] {
        let name = format!("{}/job/{platform}:1", registry.address);
        let platform = format!("linux/{platform}");
        let context = context.to_str().unwrap();
        tierce.ok(["build", "-q", "--platform", &platform, "-t", &name, "--push", context]);
    }
    (tierce, registry)
}

fn manifest(tierce: &Tierce, name: &str) -> Value {
    serde_json::from_str(&tierce.ok(["registry", "manifest", name])).unwrap()
}

/// The platforms and digests that an index lists.
fn listed(index: &Value) -> Vec<(String, String)> {
    let entries = index["manifests"].as_array().unwrap().iter();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    entries.map(|e| (word(&e["platform"]["architecture"]), word(&e["digest"]))).collect()
}

#[test]
fn an_index_lists_the_images_of_several_jobs() {
    let (tierce, registry) = registry();
    let name = |name: &str| format!("{}/{name}", registry.address);
    let digest = |name: &str| tierce.ok(["registry", "digest", name]).trim().to_owned();
    let (amd, arm, app) = (name("job/amd64:1"), name("job/arm64:1"), name("app:1"));
    let output = tierce.run(["image", "index", "-t", &app, &amd, &arm]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(output.stdout, format!("{}@{}\n", name("app"), digest(&app)));
    // Their blobs are in other repositories of the same registry.
    assert!(!output.stderr.contains(": copied"), "{}", output.stderr);
    let index = manifest(&tierce, &app);
    assert_eq!(index["mediaType"], INDEX);
    let expected = [("amd64".to_owned(), digest(&amd)), ("arm64".to_owned(), digest(&arm))];
    assert_eq!(listed(&index), expected);
    // An index is as good as what it lists, and what comes twice is listed once.
    let again = name("again:1");
    let by_digest = format!("{}@{}", name("job/amd64"), digest(&amd));
    tierce.ok(["buildx", "imagetools", "create", "-t", &again, &by_digest, &app]);
    assert_eq!(digest(&again), digest(&app));
    // Alone it keeps its bytes, under all names that are given.
    let (one, two) = (name("one:1"), name("two:2"));
    tierce.ok(["image", "index", "-q", "-t", &one, "-t", &two, &app]);
    assert_eq!([digest(&one), digest(&two)], [digest(&app), digest(&app)]);
}

#[test]
fn an_index_grows_and_has_notes() {
    let (tierce, registry) = registry();
    let name = |name: &str| format!("{}/{name}", registry.address);
    let (amd, arm, app) = (name("job/amd64:1"), name("job/arm64:1"), name("app:1"));
    let plain = tierce.ok(["image", "index", "--prefer-index=false", "-t", &app, &amd]);
    assert!(plain.contains(tierce.ok(["registry", "digest", &amd]).trim()), "{plain}");
    tierce.ok(["image", "index", "-t", &app, &amd]);
    let notes = ["--annotation", "index:a=b", "--annotation", "manifest-descriptor:c=d"];
    tierce.ok([&["image", "index", "--append", "-t", &app][..], &notes, &[&arm]].concat());
    let index = manifest(&tierce, &app);
    assert_eq!(listed(&index).len(), 2);
    assert_eq!(index["annotations"]["a"], "b");
    assert_eq!(index["manifests"][1]["annotations"]["c"], "d");
    let before = tierce.ok(["registry", "digest", &app]);
    let dry = tierce.ok(["image", "index", "--dry-run", "--append", "-t", &app, &arm]);
    let dry: Value = serde_json::from_str(&dry).unwrap();
    assert_eq!(listed(&dry), listed(&index));
    assert_eq!(tierce.ok(["registry", "digest", &app]), before, "it was only shown");
    for (args, expected) in [
        (&["image", "index", &amd][..], "the index has no place"),
        (&["image", "index", "-t", &app, &name("none:1")], "none"),
        (&["image", "index", "-t", &app, "--annotation", "manifest:a=b", &amd], "stay as they are"),
    ] {
        let output = tierce.run(args);
        assert!(output.code == 1 && output.stderr.contains(expected), "{args:?}: {output:?}");
    }
}

#[test]
fn an_index_is_shown_as_buildx_shows_it() {
    let (tierce, registry) = registry();
    let name = |name: &str| format!("{}/{name}", registry.address);
    let (amd, arm, app) = (name("job/amd64:1"), name("job/arm64:1"), name("app:1"));
    tierce.ok(["image", "index", "-q", "-t", &app, &amd, &arm]);
    let inspect = |args: &[&str]| tierce.ok([&["buildx", "imagetools", "inspect"], args].concat());
    let [digest, of_amd, of_arm] =
        [&app, &amd, &arm].map(|name| tierce.ok(["registry", "digest", name]).trim().to_owned());
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let blank = |width: usize| " ".repeat(width);
    assert_eq!(
        inspect(&[&app]),
        format!(
            "Name:      {app}\nMediaType: {INDEX}\nDigest:    {digest}\n{}\nManifests: \n  \
             Name:      {app}@{of_amd}\n  MediaType: {kind}\n  Platform:  linux/amd64\n{}\n  \
             Name:      {app}@{of_arm}\n  MediaType: {kind}\n  Platform:  linux/arm64\n",
            blank(11),
            blank(13)
        )
    );
    assert_eq!(inspect(&["--raw", &app]), tierce.ok(["registry", "manifest", &app]));
    for (format, expected) in [
        ("{{.Name}} {{.Manifest.Digest}}", format!("{app} {digest}\n")),
        ("{{json .Manifest.Digest}}", format!("\"{digest}\"\n")),
        ("{{range .Manifest.Manifests}}{{.Digest}} {{end}}", format!("{of_amd} {of_arm} \n")),
        ("{{(index .Image \"linux/arm64\").Architecture}}", "arm64\n".to_owned()),
    ] {
        assert_eq!(inspect(&["--format", format, &app]), expected, "{format}");
    }
    assert_eq!(inspect(&["--format", "{{.Image.Os}}", &amd]), "linux\n");
}

#[test]
fn a_list_is_made_step_by_step() {
    let (tierce, registry) = registry();
    let name = |name: &str| format!("{}/{name}", registry.address);
    let (amd, arm, list) = (name("job/amd64:1"), name("job/arm64:1"), name("list:1"));
    let show =
        || serde_json::from_str::<Value>(&tierce.ok(["manifest", "inspect", &list])).unwrap();
    let created = tierce.ok(["manifest", "create", &list, &amd]);
    assert_eq!(created, format!("Created manifest list {list}\n"));
    let refused = tierce.run(["manifest", "create", &list, &arm]);
    assert!(refused.code == 1 && refused.stderr.contains("begun before"), "{refused:?}");
    tierce.ok(["manifest", "create", "--amend", &list, &arm]);
    tierce.ok(["manifest", "annotate", "--arch", "arm", "--variant", "v7", &list, &arm]);
    tierce.ok(["manifest", "annotate", "--os-version", "1.2", &list, &arm]);
    let platform = show()["manifests"][1]["platform"].clone();
    assert_eq!(
        platform,
        serde_json::json!({"architecture": "arm", "os": "linux", "os.version": "1.2", "variant": "v7"})
    );
    // What a name means later is no concern of a list.
    let pinned = show();
    tierce.ok(["copy", "-q", &format!("docker://{amd}"), &format!("docker://{arm}")]);
    assert_eq!(show(), pinned);
    let pushed = tierce.ok(["manifest", "push", "--purge", &list]);
    assert_eq!(pushed, tierce.ok(["registry", "digest", &list]));
    assert_eq!(manifest(&tierce, &list), pinned);
    assert_eq!(show(), pinned, "it is in the registry now");
    for words in [&["push", &list][..], &["rm", &list], &["annotate", &list, &amd]] {
        let output = tierce.run([&["manifest"], words].concat());
        assert!(output.code == 1 && output.stderr.contains("begun here"), "{output:?}");
    }
    // As podman has it: an empty list first, and another place at the end.
    let (begun, place) = (name("begun:1"), name("elsewhere:2"));
    tierce.ok(["manifest", "create", &begun]);
    tierce.ok(["manifest", "add", "--variant", "v9", &begun, &amd]);
    tierce.ok(["manifest", "push", &begun, &format!("docker://{place}")]);
    assert_eq!(manifest(&tierce, &place)["manifests"][0]["platform"]["variant"], "v9");
    tierce.ok(["manifest", "rm", &begun]);
}
