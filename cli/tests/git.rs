//! Git repositories as sources of ADD and as contexts. The repositories are made by the `git` of
//! the machine; Tierce needs none.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::path::PathBuf;
use std::process::Command;

use testutil::{COMMIT_TIME, GitServer, Tierce, WebAnswer, WebServer, git, run_ok};

const BINARY: &str = env!("CARGO_BIN_EXE_tierce");

fn public() -> GitServer {
    GitServer::start(|_| true)
}

/// Builds a Dockerfile with an empty context.
fn build(tierce: &Tierce, dockerfile: &str, args: &[&str]) -> testutil::Output {
    tierce.scratch().write("context/Dockerfile", dockerfile);
    let context = tierce.scratch().join("context").display().to_string();
    tierce.run([&["build", "--progress", "plain", "-t", "made"], args, &[&context]].concat())
}

fn built(tierce: &Tierce, dockerfile: &str, args: &[&str]) {
    let output = build(tierce, dockerfile, args);
    assert_eq!(output.code, 0, "{}", output.stderr);
}

/// The tree of the image, unpacked.
fn tree(tierce: &Tierce) -> PathBuf {
    let id = tierce.ok(["create", "made", "/x"]);
    let (archive, dir) = (tierce.scratch().join("made.tar"), tierce.scratch().join("made"));
    tierce.ok(["export", "-o", archive.to_str().unwrap(), id.trim()]);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir(&dir).unwrap();
    let args = ["-xpf", archive.to_str().unwrap(), "-C", dir.to_str().unwrap()];
    run_ok(&mut Command::new("tar"), args);
    dir
}

/// The files of the image below its directory `/r`, with modes and times.
fn listing(tierce: &Tierce) -> Vec<String> {
    let dir = tree(tierce).join("r");
    let args = [".", "-mindepth", "1", "-printf", "%P %y%m %Ts %l\\n"];
    let listed = run_ok(Command::new("find").current_dir(dir), args);
    let mut lines: Vec<String> = listed.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.sort();
    lines
}

fn content(tierce: &Tierce, path: &str) -> String {
    std::fs::read_to_string(tree(tierce).join(path)).unwrap()
}

#[test]
fn add_takes_the_files_of_a_commit_with_its_time_and_gits_modes() {
    let (tierce, server) = (Tierce::new(BINARY), public());
    server.repository("r.git", &[("plain", "x"), ("dir/script", "#!")]);
    server.git("r.git", &["update-index", "--chmod=+x", "dir/script"]);
    server.git("r.git", &["commit", "-q", "-m", "mode"]);
    server.git("r.git", &["config", "core.symlinks", "true"]);
    let dockerfile = format!("FROM scratch\nADD {} /r/\n", server.web.url("/r.git"));
    built(&tierce, &dockerfile, &[]);
    let time = COMMIT_TIME;
    let expected = [
        format!("dir d755 {time}"),
        format!("dir/script f755 {time}"),
        format!("plain f644 {time}"),
    ];
    assert_eq!(listing(&tierce), expected);
    let again = build(&tierce, &dockerfile, &[]);
    assert!(again.stderr.contains("CACHED"), "{}", again.stderr);
    server.commit("r.git", &[("new", "y")]);
    built(&tierce, &dockerfile, &[]);
    assert_eq!(listing(&tierce).len(), 4, "a new commit is another source");
}

#[test]
fn a_reference_is_a_branch_before_a_tag_or_a_commit() {
    let (tierce, server) = (Tierce::new(BINARY), public());
    let first = server.repository("r.git", &[("f", "first")]);
    server.git("r.git", &["tag", "-a", "-m", "x", "both"]);
    server.git("r.git", &["tag", "light"]);
    server.commit("r.git", &[("f", "second"), ("sub/g", "second")]);
    server.git("r.git", &["branch", "both"]);
    server.commit("r.git", &[("f", "third")]);
    let url = server.web.url("/r.git");
    for (part, expected) in [
        (String::new(), "third"),
        ("#main".to_owned(), "third"),
        ("#both".to_owned(), "second"),
        ("#refs/tags/both".to_owned(), "first"),
        ("?tag=both".to_owned(), "first"),
        ("#light".to_owned(), "first"),
        (format!("#{first}"), "first"),
    ] {
        let dockerfile = format!("FROM scratch\nADD {url}{part} /r/\n");
        let output = build(&tierce, &dockerfile, &[]);
        assert_eq!(output.code, 0, "{part}: {}", output.stderr);
        assert_eq!(content(&tierce, "r/f"), expected, "{part}");
    }
    built(&tierce, &format!("FROM scratch\nADD {url}#both:sub /r/\n"), &[]);
    assert_eq!(listing(&tierce).len(), 1);
    for (part, told) in [
        ("#nothing", "no branch, tag or other reference `nothing`"),
        ("#both:nothing", "has no directory `nothing`"),
        ("#0123456789012345678901234567890123456789", "cannot fetch the commit"),
    ] {
        let failed = build(&tierce, &format!("FROM scratch\nADD {url}{part} /r/\n"), &[]);
        assert!(failed.stderr.contains(told), "{part}: {}", failed.stderr);
    }
}

#[test]
fn a_checksum_names_the_commit() {
    let (tierce, server) = (Tierce::new(BINARY), public());
    let commit = server.repository("r.git", &[("f", "x")]);
    let url = server.web.url("/r.git");
    let add = |checksum: &str| format!("FROM scratch\nADD --checksum={checksum} {url}#main /r/\n");
    built(&tierce, &add(&commit[..10]), &[]);
    let other = build(&tierce, &add("0123456789"), &[]);
    assert!(other.code == 1 && other.stderr.contains(&commit), "{}", other.stderr);
}

#[test]
fn a_kept_git_dir_is_a_repository_that_git_reads() {
    let (tierce, server) = (Tierce::new(BINARY), public());
    server.repository("r.git", &[("f", "x")]);
    let commit = server.commit("r.git", &[("f", "y")]);
    server.git("r.git", &["tag", "-a", "-m", "x", "v1"]);
    let url = server.web.url("/r.git");
    let add = format!("FROM scratch\nADD --keep-git-dir=true {url}#v1 /r/\n");
    built(&tierce, &add, &[]);
    let repository = tree(&tierce).join("r");
    assert_eq!(git(&repository, &["rev-parse", "HEAD"]), commit);
    assert_eq!(git(&repository, &["rev-list", "--count", "HEAD"]), "1");
    assert_eq!(git(&repository, &["describe", "--tags"]), "v1");
    assert_eq!(git(&repository, &["status", "--porcelain"]), "");
    assert_eq!(git(&repository, &["config", "remote.origin.url"]), url);
    git(&repository, &["fsck"]);
}

#[test]
fn submodules_come_along_unless_they_are_not_wanted() {
    let (tierce, server) = (Tierce::new(BINARY), public());
    server.repository("inner.git", &[("deep", "inner")]);
    server.repository("r.git", &[("f", "x")]);
    let inner = "../inner.git";
    let source = server.web.url("/inner.git");
    server.git("r.git", &["submodule", "--quiet", "add", &source, "mods/inner"]);
    server.git("r.git", &["config", "-f", ".gitmodules", "submodule.mods/inner.url", inner]);
    server.commit("r.git", &[]);
    let url = server.web.url("/r.git");
    built(&tierce, &format!("FROM scratch\nADD {url} /r/\n"), &[]);
    assert_eq!(content(&tierce, "r/mods/inner/deep"), "inner");
    assert!(!tree(&tierce).join("r/mods/inner/.git").exists());
    built(&tierce, &format!("FROM scratch\nADD {url}?submodules=false /r/\n"), &[]);
    assert!(!tree(&tierce).join("r/mods/inner/deep").exists());
}

#[test]
fn a_private_repository_is_opened_by_a_secret_that_nobody_sees() {
    // x-access-token:hushed
    let admitted = "Basic eC1hY2Nlc3MtdG9rZW46aHVzaGVk";
    let server = GitServer::start(move |request| request.header("authorization") == Some(admitted));
    let tierce = Tierce::new(BINARY);
    server.repository("r.git", &[("f", "x"), ("Dockerfile", "FROM scratch\nCOPY f /r/\n")]);
    let token = tierce.scratch().write("token", "hushed\n").display().to_string();
    let dockerfile = format!("FROM scratch\nADD {} /r/\n", server.web.url("/r.git"));
    let refused = build(&tierce, &dockerfile, &[]);
    assert!(refused.stderr.contains("401"), "{}", refused.stderr);
    for id in ["GIT_AUTH_TOKEN".to_owned(), format!("GIT_AUTH_TOKEN.{}", server.web.host())] {
        let secret = format!("id={id},src={token}");
        built(&tierce, &dockerfile, &["--no-cache", "--secret", &secret]);
    }
    let other = format!("id=GIT_AUTH_TOKEN.else.example,src={token}");
    assert_eq!(build(&tierce, &dockerfile, &["--no-cache", "--secret", &other]).code, 1);
    let secret = format!("id=GIT_AUTH_TOKEN,src={token}");
    tierce.ok(["build", "--secret", &secret, &server.web.url("/r.git")]);
    let inside = server.web.url("/r.git").replace("http://", "http://x-access-token:hushed@");
    built(&tierce, &format!("FROM scratch\nADD {inside} /r/\n"), &["--no-cache"]);
    assert!(!tierce.ok(["history", "--no-trunc", "made"]).contains("hushed"));
    let wrong = inside.replace("hushed", "secretive");
    let failed = build(&tierce, &format!("FROM scratch\nADD {wrong} /r/\n"), &[]);
    let told = failed.stderr.lines().filter(|line| !line.contains("ADD "));
    assert!(failed.code == 1 && told.clone().count() > 0, "{}", failed.stderr);
    assert!(told.into_iter().all(|line| !line.contains("secretive")), "{}", failed.stderr);
}

#[test]
fn a_repository_is_a_context_and_a_named_one() {
    let (tierce, server) = (Tierce::new(BINARY), public());
    let dockerfile = "FROM scratch\nCOPY f /r/\n";
    server.repository("r.git", &[("f", "x"), ("sub/f", "y"), ("sub/Dockerfile", dockerfile)]);
    let url = server.web.url("/r.git");
    tierce.ok(["build", "-t", "made", &format!("{url}#main:sub")]);
    assert_eq!(content(&tierce, "r/f"), "y");
    tierce.ok(["build", "-t", "made", "-f", "sub/Dockerfile", &url]);
    assert_eq!(content(&tierce, "r/f"), "x");
    let keep = "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1";
    let args = ["build", "-t", "made", "--build-arg", keep, "-f", "-", &url];
    let kept = tierce.run_with_input(args, b"FROM scratch\nCOPY . /r/\n");
    assert_eq!(kept.code, 0, "{}", kept.stderr);
    assert!(tree(&tierce).join("r/.git/HEAD").exists());
    let wrong = tierce.run(["build", &format!("{url}?ref=main&checksum=0123456")]);
    assert!(wrong.stderr.contains("0123456 was asked for"), "{}", wrong.stderr);
    let named = format!("repo={url}#main:sub");
    built(&tierce, "FROM scratch\nCOPY --from=repo f /r/\n", &["--build-context", &named]);
    assert_eq!(content(&tierce, "r/f"), "y");
    built(&tierce, "FROM repo\n", &["--build-context", &format!("repo={url}")]);
    assert_eq!(content(&tierce, "sub/f"), "y");
}

#[test]
fn what_is_no_web_address_is_refused_in_words() {
    let tierce = Tierce::new(BINARY);
    for source in ["git@h.example:a/b.git", "ssh://h.example/a.git", "git://h.example/a.git"] {
        let failed = build(&tierce, &format!("FROM scratch\nADD {source} /r/\n"), &[]);
        assert!(failed.stderr.contains("over http and https"), "{}", failed.stderr);
    }
}

#[test]
fn a_server_that_gives_no_single_commits_gives_all_of_them() {
    let (tierce, server) = (Tierce::new(BINARY), GitServer::old());
    let first = server.repository("r.git", &[("f", "first")]);
    server.commit("r.git", &[("f", "second")]);
    let url = server.web.url("/r.git");
    for (part, expected) in [(String::new(), "second"), (format!("#{first}"), "first")] {
        built(&tierce, &format!("FROM scratch\nADD {url}{part} /r/\n"), &[]);
        assert_eq!(content(&tierce, "r/f"), expected, "{part}");
    }
}

#[test]
fn a_tree_that_leaves_its_place_is_written_nowhere() {
    let (tierce, server) = (Tierce::new(BINARY), public());
    server.repository("r.git", &[("f", "x")]);
    // Somebody else may have one there.
    let outside = || std::fs::metadata("/tmp/x").and_then(|file| file.modified()).ok();
    let before = outside();
    for (branch, entries) in [
        ("parent", "100644 blob BLOB\t..\n"),
        ("above", "040000 tree TREE\t..\n"),
        ("own", "040000 tree TREE\t.git\n"),
        ("case", "040000 tree TREE\t.GIT\n"),
        ("link", "120000 blob LINK\ta\n040000 tree TREE\ta\n"),
    ] {
        server.odd_branch("r.git", branch, entries);
        let url = server.web.url(&format!("/r.git#{branch}"));
        let refused = build(&tierce, &format!("FROM scratch\nADD {url} /r/\n"), &[]);
        assert!(refused.code == 1 && refused.stderr.contains("files"), "{}", refused.stderr);
        assert_eq!(outside(), before);
    }
}

#[test]
fn a_repository_that_moved_is_found_and_hears_no_credentials_of_the_old_place() {
    let server = GitServer::start(|request| request.header("authorization").is_none());
    let tierce = Tierce::new(BINARY);
    server.repository("r.git", &[("f", "x")]);
    let place = server.web.url("");
    let moved = WebServer::start(move |request| match request.header("authorization") {
        Some(_) => WebAnswer::status(302).with("Location", &format!("{place}{}", request.target)),
        None => WebAnswer::status(401),
    });
    let url = moved.url("/r.git").replace("http://", "http://me:hushed@");
    built(&tierce, &format!("FROM scratch\nADD {url} /r/\n"), &[]);
    assert_eq!(content(&tierce, "r/f"), "x");
}
