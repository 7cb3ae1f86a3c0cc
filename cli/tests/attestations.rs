//! `tierce build --provenance`: what is said about an image stands beside it.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use testutil::{EmbeddedRegistry, Tierce, busybox};

const STATEMENT: &str = "https://in-toto.io/Statement/v0.1";

fn tierce() -> Tierce {
    Tierce::new(env!("CARGO_BIN_EXE_tierce"))
}

fn context(tierce: &Tierce, dockerfile: &str) -> String {
    let directory = tierce.scratch().join("context");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("Dockerfile"), dockerfile).unwrap();
    fs::write(directory.join("file"), "content").unwrap();
    directory.to_str().unwrap().to_owned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn blob(layout: &Path, digest: &Value) -> Value {
    let (algorithm, hex) = digest.as_str().unwrap().split_once(':').unwrap();
    json(&fs::read_to_string(layout.join("blobs").join(algorithm).join(hex)).unwrap())
}

/// The index that a layout names.
fn index(layout: &Path) -> Value {
    let outer = json(&fs::read_to_string(layout.join("index.json")).unwrap());
    blob(layout, &outer["manifests"][0]["digest"])
}

/// What an entry of an index says as an attestation.
fn statement(layout: &Path, entry: &Value) -> Value {
    let manifest = blob(layout, &entry["digest"]);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.in-toto+json");
    blob(layout, &manifest["layers"][0]["digest"])
}

/// A build into a layout.
fn build(tierce: &Tierce, name: &str, options: &[&str], context: &str) -> PathBuf {
    let layout = tierce.scratch().join(name);
    let output = format!("type=oci,tar=false,dest={}", layout.display());
    tierce.ok([&["build", "-q", "-o", &output][..], options, &[context]].concat());
    layout
}

#[test]
fn a_provenance_stands_beside_the_image_in_an_index() {
    let tierce = tierce();
    let context = context(&tierce, "FROM scratch\nARG V=1\nCOPY file /$V\n");
    let options = ["--provenance=mode=max", "--build-arg=V=2", "-t", "r.io/app:1", "-t", "other"];
    let layout = build(&tierce, "layout", &options, &context);
    let index = index(&layout);
    let [image, attestation] = &index["manifests"].as_array().unwrap()[..] else {
        panic!("{index}");
    };
    assert_eq!(attestation["platform"]["os"], "unknown");
    assert_eq!(attestation["platform"]["architecture"], "unknown");
    let notes = &attestation["annotations"];
    assert_eq!(notes["vnd.docker.reference.type"], "attestation-manifest");
    assert_eq!(notes["vnd.docker.reference.digest"], image["digest"]);

    let said = statement(&layout, attestation);
    assert_eq!(said["_type"], STATEMENT);
    assert_eq!(said["predicateType"], "https://slsa.dev/provenance/v0.2");
    let digest = image["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let names: Vec<&str> = said["subject"]
        .as_array()
        .unwrap()
        .iter()
        .inspect(|subject| assert_eq!(subject["digest"]["sha256"], digest))
        .map(|subject| subject["name"].as_str().unwrap())
        .collect();
    let platform = format!("linux%2F{}", image["platform"]["architecture"].as_str().unwrap());
    let named = |name: &str| format!("pkg:docker/{name}?platform={platform}");
    assert_eq!(names, [named("r.io/app@1"), named("other@latest")]);

    let predicate = &said["predicate"];
    let parameters = &predicate["invocation"]["parameters"];
    assert_eq!(parameters["args"]["build-arg:V"], "2");
    assert_eq!(predicate["metadata"]["completeness"]["parameters"], true);
    assert_eq!(predicate["metadata"]["completeness"]["materials"], false, "the context is ours");
    let steps = predicate["buildConfig"]["llbDefinition"].as_array().unwrap();
    assert_eq!(steps[0]["op"]["Op"]["source"]["identifier"], "local://context");
    let copy = &steps[1]["op"]["Op"]["file"]["actions"][0]["Action"]["copy"];
    assert_eq!((&copy["src"], &copy["dest"]), (&"/file".into(), &"/2".into()));
    let more = &predicate["metadata"]["https://mobyproject.org/buildkit@v1#metadata"];
    assert_eq!(more["source"]["infos"][0]["filename"], "Dockerfile");
    let line = &more["source"]["locations"]["step1"]["locations"][0]["ranges"][0]["start"]["line"];
    assert_eq!(*line, 3);
}

#[test]
fn the_shorter_form_keeps_arguments_and_steps_to_itself() {
    let tierce = tierce();
    let context = context(&tierce, "FROM scratch\nARG V=1\nCOPY file /$V\n");
    for (version, options) in [("v0.2", ""), ("v1", ",version=v1")] {
        let option = format!("--provenance=mode=min{options}");
        let args = [option.as_str(), "--build-arg=V=secret", "--label=l=secret"];
        let layout = build(&tierce, version, &args, &context);
        let said = statement(&layout, &index(&layout)["manifests"][1]);
        assert_eq!(said["predicateType"], format!("https://slsa.dev/provenance/{version}"));
        assert!(!said.to_string().contains("secret"), "{said}");
    }
}

#[test]
fn whoever_asks_for_the_image_gets_the_image() {
    let tierce = tierce();
    let registry = EmbeddedRegistry::in_memory(&tierce);
    busybox(&tierce);
    let context = context(&tierce, "FROM busybox\nCOPY file /file\nCMD [\"cat\", \"/file\"]\n");
    let (name, copy) = (format!("{}/app:1", registry.address), format!("{}/b:1", registry.address));
    let metadata = tierce.scratch().join("metadata.json");
    tierce.ok([
        "build",
        "--provenance=true",
        "--push",
        "-q",
        "-t",
        &name,
        "--metadata-file",
        metadata.to_str().unwrap(),
        &context,
    ]);
    let index = json(&tierce.ok(["registry", "manifest", &name]));
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    let metadata = json(&fs::read_to_string(metadata).unwrap());
    let digest = tierce.ok(["registry", "digest", &name]);
    assert_eq!(metadata["containerimage.digest"], digest.trim());
    assert_eq!(
        metadata["buildx.build.provenance"]["invocation"]["configSource"]["entryPoint"],
        "Dockerfile"
    );

    let listed = tierce.ok(["buildx", "imagetools", "inspect", &name]);
    let format = "{{json .Provenance.SLSA.invocation.configSource}}";
    let source = tierce.ok(["buildx", "imagetools", "inspect", "--format", format, &name]);
    assert_eq!(json(&source)["entryPoint"], "Dockerfile");
    assert!(
        listed.contains("unknown/unknown") && listed.contains("attestation-manifest"),
        "{listed}"
    );
    tierce.ok(["copy", &name, &copy]);
    assert_eq!(tierce.ok(["registry", "digest", &copy]).trim(), index["manifests"][0]["digest"]);
    tierce.ok(["copy", "--all", &name, &copy]);
    assert_eq!(tierce.ok(["registry", "digest", &copy]), digest);
    tierce.ok(["rmi", &name]);
    tierce.ok(["pull", "-q", &copy]);
    assert_eq!(tierce.ok(["run", "--rm", &copy]), "content");
}

#[test]
fn every_platform_has_its_own() {
    let tierce = tierce();
    let context = context(&tierce, "FROM scratch\nARG TARGETARCH\nCOPY file /$TARGETARCH\n");
    let options = ["--attest=type=provenance,mode=min", "--platform=linux/amd64,linux/arm64"];
    let layout = build(&tierce, "layout", &options, &context);
    let index = index(&layout);
    let entries = index["manifests"].as_array().unwrap();
    let platforms: Vec<&str> =
        entries.iter().map(|entry| entry["platform"]["architecture"].as_str().unwrap()).collect();
    assert_eq!(platforms, ["amd64", "arm64", "unknown", "unknown"]);
    for (image, attestation) in [(0, 2), (1, 3)] {
        let about = &entries[attestation]["annotations"]["vnd.docker.reference.digest"];
        assert_eq!(*about, entries[image]["digest"]);
    }
}

#[test]
fn with_a_time_given_the_same_is_said_again() {
    let tierce = tierce();
    let context = context(&tierce, "FROM scratch\nCOPY file /\n");
    let build = |name: &str| {
        let options = ["--provenance=true", "--no-cache", "--build-arg=SOURCE_DATE_EPOCH=1000"];
        let layout = build(&tierce, name, &options, &context);
        fs::read_to_string(layout.join("index.json")).unwrap()
    };
    assert_eq!(build("one"), build("two"));
    let layout = tierce.scratch().join("one");
    let said = statement(&layout, &index(&layout)["manifests"][1]);
    assert_eq!(said["predicate"]["metadata"]["buildStartedOn"], "1970-01-01T00:16:40Z");
    assert_eq!(said["predicate"]["metadata"]["buildFinishedOn"], "1970-01-01T00:16:40Z");
}

#[test]
fn materials_are_named_by_what_they_were() {
    let tierce = tierce();
    let registry = EmbeddedRegistry::in_memory(&tierce);
    busybox(&tierce);
    let base = format!("{}/base:1", registry.address);
    tierce.ok(["tag", "busybox", &base]);
    tierce.ok(["push", "-q", &base]);
    let digest = tierce.ok(["registry", "digest", &base]);
    let digest = digest.trim().strip_prefix("sha256:").unwrap();
    tierce.ok(["rmi", &base]);
    let context = context(&tierce, &format!("FROM {base}\nRUN echo hi > /hi\n"));
    let layout = build(&tierce, "layout", &["--provenance=true"], &context);
    let index = index(&layout);
    let material = &statement(&layout, &index["manifests"][1])["predicate"]["materials"][0];
    assert_eq!(material["digest"]["sha256"], digest);
    let uri = material["uri"].as_str().unwrap();
    assert!(
        uri.starts_with(&format!("pkg:docker/{}/base@1?platform=linux%2F", registry.address)),
        "{uri}"
    );
    // An image that was built here has no digest that others know.
    fs::write(Path::new(&context).join("Dockerfile"), "FROM busybox\n").unwrap();
    let layout = build(&tierce, "local", &["--provenance=true"], &context);
    let said = statement(&layout, &self::index(&layout)["manifests"][1]);
    assert!(
        said["predicate"]["materials"][0]["uri"].as_str().unwrap().contains("/busybox@latest?")
    );
}

#[test]
fn files_have_it_in_a_file_beside_them() {
    let tierce = tierce();
    let context = context(&tierce, "FROM scratch\nCOPY file /d/file\nCOPY file /provenance.json\n");
    let out = tierce.scratch().join("out");
    let local = format!("type=local,dest={}", out.display());
    tierce.ok(["build", "-q", "--provenance=mode=min", "-o", &local, &context]);
    let said = json(&fs::read_to_string(out.join("provenance.json")).unwrap());
    assert_eq!(said["subject"][0]["name"], "d/file");
    let digest = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";
    assert_eq!(said["subject"][0]["digest"]["sha256"], digest);

    for (option, name) in [("filename=p.json", Some("p.json")), ("inline-only=true", None)] {
        let tar = tierce.scratch().join("files.tar");
        let output = format!("type=tar,dest={}", tar.display());
        let option = format!("--provenance=mode=min,{option}");
        let platforms = "--platform=linux/amd64,linux/arm64";
        tierce.ok(["build", "-q", &option, platforms, "-o", &output, &context]);
        let listed = std::process::Command::new("tar").arg("tf").arg(&tar).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        for platform in ["linux_amd64", "linux_arm64"] {
            assert!(listed.contains(&format!("{platform}/d/file\n")), "{listed}");
            let stands = name.is_some_and(|name| listed.contains(&format!("{platform}/{name}\n")));
            assert_eq!(stands, name.is_some(), "{listed}");
        }
    }
}

#[test]
fn what_has_no_place_for_it_refuses_it() {
    let tierce = tierce();
    let context = context(&tierce, "FROM scratch\nCOPY file /\n");
    let refused = |options: &[&str], reason: &str| {
        let refused = tierce.run([&["build"][..], options, &[&context]].concat());
        assert_ne!(refused.code, 0, "{refused:?}");
        assert!(refused.stderr.contains(reason), "{refused:?}");
    };
    refused(&["--provenance=true"], "no attestations");
    refused(&["--provenance=true", "-o", "type=docker,dest=x.tar"], "no attestations");
    refused(
        &["--provenance=true", "-o", "type=oci,dest=x,oci-mediatypes=false"],
        "no attestations",
    );
    refused(&["--provenance=mode=most", "-o", "out"], "there is no mode `most`");
    refused(&["--sbom=true", "-o", "out"], "no bills of materials");
    refused(&["--attest=type=sbom,generator=scan", "-o", "out"], "are not run");
    tierce.ok(["build", "-q", "--provenance=false", "--sbom=false", &context]);
}

#[test]
fn notes_on_a_pushed_image_are_no_matter_of_the_store() {
    let tierce = tierce();
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let context = context(&tierce, "FROM scratch\nCOPY file /\n");
    let name = format!("{}/app:1", registry.address);
    tierce.ok(["build", "-q", "--annotation=a=b", "--push", "-t", &name, &context]);
    assert_eq!(json(&tierce.ok(["registry", "manifest", &name]))["annotations"]["a"], "b");
}
