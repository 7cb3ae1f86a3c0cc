//! `tierce build`: several platforms, `--output`, `--metadata-file`, and what RUN sees by choice.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use testutil::{EmbeddedRegistry, Tierce, busybox};

fn tierce() -> Tierce {
    Tierce::new(env!("CARGO_BIN_EXE_tierce"))
}

/// A context with this Dockerfile and a file.
fn context(tierce: &Tierce, dockerfile: &str) -> PathBuf {
    let directory = tierce.scratch().join("context");
    fs::create_dir_all(directory.join("sub")).unwrap();
    fs::write(directory.join("Dockerfile"), dockerfile).unwrap();
    fs::write(directory.join("sub/file"), "content").unwrap();
    directory
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The names in a tar.
fn names(tar: &Path) -> Vec<String> {
    let listed = std::process::Command::new("tar").arg("tf").arg(tar).output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn several_platforms_become_an_index() {
    let tierce = tierce();
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let text = "FROM scratch\nARG TARGETARCH\nCOPY sub/file /$TARGETARCH\n";
    let context = context(&tierce, text);
    let (name, metadata) = (format!("{}/app:1", registry.address), tierce.scratch().join("m.json"));
    let context = context.to_str().unwrap();
    let built = tierce.ok([
        "build",
        "--platform=linux/amd64,linux/arm64",
        "--platform=linux/arm/v7",
        "--annotation=index:org.example=all",
        "--annotation=one=each",
        "--provenance=false",
        "--sbom=false",
        "--metadata-file",
        metadata.to_str().unwrap(),
        "-q",
        "-t",
        &name,
        "--push",
        context,
    ]);
    let digest = tierce.ok(["registry", "digest", &name]);
    assert_eq!(built, digest, "the index is what was built");
    let index = json(&tierce.ok(["registry", "manifest", &name]));
    assert_eq!(index["annotations"]["org.example"], "all");
    let platforms: Vec<String> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let platform = &entry["platform"];
            let text = |key: &str| platform[key].as_str().unwrap_or_default().to_owned();
            format!("{}/{}{}", text("os"), text("architecture"), text("variant"))
        })
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64", "linux/armv7"]);
    let one = tierce.ok(["registry", "manifest", "--platform", "linux/arm64", &name]);
    assert_eq!(json(&one)["annotations"]["one"], "each");
    assert_eq!(tierce.ok(["images", "-aq"]), "", "the store has no part in it");
    // An index is edited with all that it lists.
    let noted = format!("{}/noted:1", registry.address);
    let notes = ["-a", "index:of=index", "-a", "of=each", "-a", "manifest-descriptor:of=entry"];
    let edit = ["image", "annotate", "-A", "-t", &noted];
    tierce.ok([&edit[..], &notes, &[&name]].concat());
    let edited = json(&tierce.ok(["registry", "manifest", &noted]));
    assert_eq!(edited["annotations"]["of"], "index");
    assert_eq!(edited["annotations"]["org.example"], "all");
    assert!(
        edited["manifests"].as_array().unwrap().iter().all(|m| m["annotations"]["of"] == "entry")
    );
    let one = tierce.ok(["registry", "manifest", "--platform", "linux/arm/v7", &noted]);
    assert_eq!(json(&one)["annotations"]["of"], "each");
    let metadata = json(&fs::read_to_string(metadata).unwrap());
    assert_eq!(metadata["containerimage.digest"], digest.trim());
    assert_eq!(metadata["containerimage.descriptor"]["digest"], digest.trim());
    assert_eq!(metadata["image.name"], name);

    for wrong in [&["-t", "x"][..], &["--load"], &["-o", "type=docker,dest=x.tar"]] {
        let args = [&["build", "--platform", "linux/amd64,linux/arm64"], wrong, &[context]];
        let refused = tierce.run(args.concat());
        assert!(
            refused.code == 1 && refused.stderr.contains("of one platform each"),
            "{refused:?}"
        );
    }
}

#[test]
fn files_and_archives_are_written_in_place_of_an_image() {
    let tierce = tierce();
    let text = "FROM scratch\nCOPY sub /sub\nENV A=b\n";
    let context = context(&tierce, text);
    let context = context.to_str().unwrap();
    let place = |name: &str| tierce.scratch().join(name);
    let build = |output: &str| tierce.ok(["build", "-t", "app:1", "-o", output, context]);

    fs::create_dir_all(place("out/sub")).unwrap();
    fs::write(place("out/kept"), "").unwrap();
    let out = place("out");
    build(out.to_str().unwrap());
    assert_eq!(fs::read_to_string(out.join("sub/file")).unwrap(), "content");
    assert!(out.join("kept").exists());
    assert_eq!(tierce.ok(["images", "-aq"]), "");

    let both = place("both");
    tierce.ok([
        "build",
        "--platform=linux/amd64,linux/arm64",
        "-o",
        &format!("type=local,dest={}", both.display()),
        context,
    ]);
    assert!(both.join("linux_amd64/sub/file").exists() && both.join("linux_arm64/sub").exists());

    let tar = place("files.tar");
    build(&format!("type=tar,dest={}", tar.display()));
    assert_eq!(names(&tar), ["./", "sub/", "sub/file"]);
    let streamed = tierce.command(["build", "-o", "-", context]).output().unwrap();
    assert!(streamed.status.success() && streamed.stdout == fs::read(&tar).unwrap());

    let oci = place("oci.tar");
    let output = format!("type=oci,dest={},compression=zstd,force-compression=true", oci.display());
    build(&output);
    tierce.ok(["load", "-i", oci.to_str().unwrap()]);
    let config = json(&tierce.ok(["inspect", "app:1"]));
    assert_eq!(config[0]["Config"]["Env"][1], "A=b");
    tierce.ok(["rmi", "app:1"]);
    let docker = place("docker.tar");
    build(&format!("type=docker,dest={},name=other:2", docker.display()));
    tierce.ok(["load", "-i", docker.to_str().unwrap()]);
    tierce.ok(["inspect", "other:2"]);
    let layout = place("layout");
    build(&format!("type=oci,tar=false,dest={}", layout.display()));
    assert!(layout.join("index.json").exists());
    assert!(names(&oci).contains(&"index.json".to_owned()));
}

#[test]
fn images_are_pushed_by_digest_and_in_dockers_types() {
    let tierce = tierce();
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let context = context(&tierce, "FROM scratch\nCOPY sub /sub\n");
    let context = context.to_str().unwrap();
    let (repository, metadata) =
        (format!("{}/app", registry.address), tierce.scratch().join("m.json"));
    let output =
        format!("type=image,name={repository},push-by-digest=true,name-canonical=true,push=true");
    let metadata_file = metadata.to_str().unwrap();
    tierce.ok(["build", "--metadata-file", metadata_file, "-o", &output, context]);
    let digest = json(&fs::read_to_string(&metadata).unwrap())["containerimage.digest"].clone();
    let by_digest = format!("{repository}@{}", digest.as_str().unwrap());
    tierce.ok(["registry", "manifest", &by_digest]);
    assert_eq!(tierce.run(["registry", "digest", &format!("{repository}:latest")]).code, 1);

    let output = format!("type=registry,name={repository}:2,oci-mediatypes=false,annotation.a=b");
    assert_ne!(tierce.run(["build", "-o", &output, context]).code, 0, "those types have no notes");
    let output = format!("type=registry,name={repository}:2,oci-mediatypes=false");
    tierce.ok(["build", "-o", &output, context]);
    let manifest = json(&tierce.ok(["registry", "manifest", &format!("{repository}:2")]));
    assert_eq!(manifest["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
}

#[test]
fn steps_see_what_was_chosen_and_depend_on_it() {
    let tierce = tierce();
    busybox(&tierce);
    let text = "FROM busybox AS seen\n\
                RUN grep -P '^10.1.2.3\\tthere$' /etc/hosts || grep '10.1.2.3.there' /etc/hosts\n\
                RUN df -k /dev/shm | grep ' 2048 ' && ulimit -n | grep 77\n\
                FROM seen\nRUN echo last\n";
    let context = context(&tierce, text);
    let context = context.to_str().unwrap();
    let chosen = ["--add-host", "there:10.1.2.3", "--shm-size", "2m", "--ulimit", "nofile=77"];
    let build = |more: &[&str]| {
        let ended = tierce.run([&["build", "--progress=plain"], more, &[context]].concat());
        (ended.code, ended.stderr.matches("CACHED").count())
    };
    assert_eq!(build(&chosen).0, 0);
    let all = build(&chosen);
    assert_eq!(all.0, 0);
    assert_ne!(build(&[]).0, 0, "that is another step");
    let run = ["run", "--rm", "--shm-size=3m", "busybox", "df", "-k", "/dev/shm"];
    assert!(tierce.ok(run).contains(" 3072 "), "a container has it, too");
    let again = build(&[&chosen[..], &["--no-cache-filter", "SEEN"]].concat());
    assert_eq!((again.0, all.1 - again.1), (0, 2), "two steps ran, and the last one is as it was");
}

/// As BuildKit has it: the name is known to `/etc/hosts`, too.
#[test]
fn steps_run_on_a_machine_of_a_chosen_name() {
    let tierce = tierce();
    busybox(&tierce);
    let text = "FROM busybox\nRUN test $(hostname) = chosen && grep -w chosen /etc/hosts\n";
    let context = context(&tierce, text);
    let context = context.to_str().unwrap();
    tierce.ok(["build", "--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=chosen", context]);
    assert_ne!(tierce.run(["build", context]).code, 0);
}

/// What scripts written for docker say, and what changes nothing here.
#[test]
fn switches_are_written_as_docker_lets_them_be() {
    let tierce = tierce();
    let context = context(&tierce, "FROM scratch\nLABEL a=b\n");
    let context = context.to_str().unwrap();
    for more in [
        &["--rm=true", "--force-rm=true", "--compress=false", "--compress"][..],
        &["--pull=false", "--no-cache=true", "--load=true", "--push=false"],
        &["-q", "--quiet=true", "--progress=none"],
        &["--target=nothing", "--target", "", "--progress=tty", "--progress=plain"],
    ] {
        let output = tierce.run([&["build"], more, &[context]].concat());
        assert_eq!(output.code, 0, "{more:?}: {}", output.stderr);
    }
    let output = tierce.run(["build", "--pull=perhaps", context]);
    assert!(output.code != 0 && output.stderr.contains("perhaps"), "{}", output.stderr);
}
