//! Contexts that are no directory: what comes on standard input and from URLs, and named ones.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::process::Command;

use testutil::{OrdinaryUser, SubordinateIds, Tierce, WebAnswer, WebServer, run_ok};

const BINARY: &str = env!("CARGO_BIN_EXE_tierce");

/// A tar of the files given by name and content.
fn tar(tierce: &Tierce, name: &str, flags: &str, files: &[(&str, &str)]) -> Vec<u8> {
    for (path, content) in files {
        tierce.scratch().write(&format!("{name}/{path}"), content);
    }
    let (dir, file) = (tierce.scratch().join(name), tierce.scratch().join(&format!("{name}.tar")));
    let args = [flags, file.to_str().unwrap(), "-C", dir.to_str().unwrap(), "."];
    run_ok(&mut Command::new("tar"), args);
    std::fs::read(file).unwrap()
}

/// The files of an image, read out of what `save` writes.
fn files(tierce: &Tierce, image: &str) -> Vec<String> {
    let id = tierce.ok(["create", image, "/x"]);
    let archive = tierce.scratch().join("exported.tar");
    tierce.ok(["export", "-o", archive.to_str().unwrap(), id.trim()]);
    let list = run_ok(&mut Command::new("tar"), ["-tf", archive.to_str().unwrap()]);
    list.lines().filter(|line| !line.ends_with('/')).map(str::to_owned).collect()
}

const DOCKERFILE: &str = "FROM scratch\nCOPY . /c/\n";

#[test]
fn an_archive_on_standard_input_is_the_context_whole() {
    archive_on_standard_input(&Tierce::new(BINARY));
    for ids in [SubordinateIds::Many, SubordinateIds::None] {
        archive_on_standard_input(&OrdinaryUser::new(ids).tierce(BINARY));
    }
}

fn archive_on_standard_input(tierce: &Tierce) {
    let content = [("Dockerfile", DOCKERFILE), (".dockerignore", "kept\n"), ("kept", "x")];
    for flags in ["-cf", "-czf"] {
        let tar = tar(tierce, "plain", flags, &content);
        let built = tierce.run_with_input(["build", "-t", "made", "-"], &tar);
        assert_eq!(built.code, 0, "{}", built.stderr);
        // As with BuildKit, an ignore file is for directories.
        let names = files(tierce, "made");
        assert_eq!(names, ["c/.dockerignore", "c/Dockerfile", "c/kept"]);
    }
    let other = [("sub/Other", "FROM scratch\nLABEL a=b\nCOPY sub /\n")];
    let tar = tar(tierce, "other", "-cf", &other);
    let args = ["build", "-t", "made", "-f", "sub/Other", "-"];
    assert_eq!(tierce.run_with_input(args, &tar).code, 0);
    assert_eq!(files(tierce, "made"), ["Other"]);
    let none = tierce.run_with_input(["build", "-"], &tar);
    assert!(none.stderr.contains("there is no Dockerfile at Dockerfile"), "{}", none.stderr);
}

#[test]
fn a_link_in_an_archive_leads_to_no_file_of_the_machine() {
    let tierce = Tierce::new(BINARY);
    let dir = tierce.scratch().join("evil");
    std::fs::create_dir(&dir).unwrap();
    let outside = tierce.scratch().write("outside", "FROM scratch\n");
    std::os::unix::fs::symlink(outside, dir.join("Dockerfile")).unwrap();
    let tar = tar(&tierce, "evil", "-cf", &[]);
    let refused = tierce.run_with_input(["build", "-"], &tar);
    assert!(refused.stderr.contains("there is no Dockerfile"), "{}", refused.stderr);
}

#[test]
fn a_dockerfile_on_standard_input_has_a_context_or_none() {
    let tierce = Tierce::new(BINARY);
    let alone = tierce.run_with_input(["build", "-t", "made", "-"], b"FROM scratch\nLABEL a=b\n");
    assert_eq!(alone.code, 0, "{}", alone.stderr);
    tierce.scratch().write("dir/kept", "x");
    tierce.scratch().write("dir/left-out", "x");
    tierce.scratch().write("dir/.dockerignore", "left-out\n.dockerignore\n");
    let dir = tierce.scratch().join("dir").display().to_string();
    let args = ["build", "-t", "made", "-f", "-", &dir];
    assert_eq!(tierce.run_with_input(args, DOCKERFILE.as_bytes()).code, 0);
    assert_eq!(files(&tierce, "made"), ["c/kept"]);
    let both = tierce.run_with_input(["build", "-f", "-", "-"], b"");
    assert!(both.stderr.contains("cannot be both"), "{}", both.stderr);
}

#[test]
fn a_url_is_an_archive_or_a_dockerfile() {
    let tierce = Tierce::new(BINARY);
    let archive = tar(&tierce, "plain", "-czf", &[("Dockerfile", DOCKERFILE), ("a", "x")]);
    let server = WebServer::start(move |request| match request.target.as_str() {
        "/context.tar.gz" => WebAnswer::ok(archive.clone()),
        "/Dockerfile" => WebAnswer::ok("FROM scratch\nLABEL a=b\n"),
        "/copies" => WebAnswer::ok(DOCKERFILE),
        _ => WebAnswer::status(404),
    });
    tierce.ok(["build", "-t", "made", &server.url("/context.tar.gz")]);
    assert_eq!(files(&tierce, "made"), ["c/Dockerfile", "c/a"]);
    tierce.ok(["build", "-t", "made", &server.url("/Dockerfile")]);
    let dir = tierce.scratch().join("plain").display().to_string();
    tierce.ok(["build", "-t", "made", "-f", &server.url("/copies"), &dir]);
    assert_eq!(files(&tierce, "made"), ["c/Dockerfile", "c/a"]);
    let checked = tierce.run(["build", "--call", "targets", &server.url("/context.tar.gz")]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    let secret = server.url("/none").replace("http://", "http://me:hushed@");
    let missing = tierce.run(["build", &secret]);
    assert!(missing.stderr.contains("404") && !missing.stderr.contains("hushed"), "{missing:?}");
}

#[test]
fn a_named_context_is_a_directory_an_image_a_layout_or_a_url() {
    let tierce = Tierce::new(BINARY);
    let server = WebServer::start(|_| WebAnswer::ok("fetched\n"));
    let scratch = tierce.scratch();
    scratch.write("dir/Dockerfile", "FROM scratch\nCOPY a /a\n");
    scratch.write("dir/a", "x");
    let dir = scratch.join("dir").display().to_string();
    tierce.ok(["build", "-t", "one", &dir]);
    let layout = scratch.join("layout").display().to_string();
    let archive = format!("{layout}.tar");
    tierce.ok(["save", "--format", "oci-archive", "-o", &archive, "one"]);
    std::fs::create_dir(&layout).unwrap();
    run_ok(&mut Command::new("tar"), ["-xf", &archive, "-C", &layout]);
    let url = server.url("/file");
    scratch.write(
        "main/Dockerfile",
        "FROM dir AS local\nFROM any.example/base:1\nCOPY --from=x . /x/\n",
    );
    let main = scratch.join("main").display().to_string();
    for (value, expected) in [
        (dir.clone(), vec!["a", "x/Dockerfile", "x/a"]),
        ("docker-image://one".to_owned(), vec!["a", "x/a"]),
        (format!("oci-layout://{layout}"), vec!["a", "x/a"]),
        (format!("oci-layout://{layout}:latest"), vec!["a", "x/a"]),
        (url, vec!["a", "x/file"]),
    ] {
        let x = format!("x={value}");
        let contexts = ["--build-context", &x, "--build-context"];
        let base = ["any.example/base:1=docker-image://one", &main];
        tierce.ok([&["build", "-t", "made"][..], &contexts, &base].concat());
        assert_eq!(files(&tierce, "made"), expected, "{value}");
    }
    let wrong = format!("x=oci-layout://{layout}:none");
    let base = "any.example/base:1=docker-image://one";
    let args = ["build", "--build-context", &wrong, "--build-context", base, &main];
    let refused = tierce.run(args);
    assert!(refused.stderr.contains("oci-layout://"), "{}", refused.stderr);
}
