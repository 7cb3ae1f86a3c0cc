//! Files into containers and out of them: `cp`, `export`, `import`.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use testutil::{OrdinaryUser, SubordinateIds, Tierce, busybox_in};

const BINARY: &str = env!("CARGO_BIN_EXE_tierce");

fn with_container(tierce: &Tierce) {
    let base = tierce.scratch().join("base");
    std::fs::create_dir_all(&base).unwrap();
    busybox_in(tierce, Path::new(&base));
    tierce.scratch().write("in/f", "file\n");
    tierce.scratch().write("in/d/e/x", "deep\n");
    std::fs::create_dir_all(tierce.scratch().join("out")).unwrap();
    std::os::unix::fs::symlink("f", tierce.scratch().join("in/l")).unwrap();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(tierce.scratch().join("out"), everybody).unwrap();
    tierce.ok(["create", "--name", "box", "-v", "data:/vol", "busybox", "sleep", "1000"]);
}

/// What a directory of the container shows, links and ends of directories marked.
fn listed(tierce: &Tierce, path: &str) -> String {
    let tar = tierce.scratch().join("listed.tar");
    let output = tierce.command(["cp", &format!("box:{path}"), "-"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(&tar, output.stdout).unwrap();
    let listed = std::process::Command::new("tar").arg("-tf").arg(&tar).output().unwrap();
    String::from_utf8(listed.stdout).unwrap().replace('\n', " ")
}

fn both_ways(tierce: &Tierce) {
    with_container(tierce);
    let at = |name: &str| tierce.scratch().join(name).display().to_string();
    let cp = |from: &str, to: &str| tierce.run(["cp", from, to]).code;

    for (from, to, code) in [
        ("in/f", "box:/tmp/", 0),
        ("in/f", "box:/tmp/g", 0),
        ("in/d", "box:/new", 0),
        ("in/d", "box:/new", 0),
        ("in/d/.", "box:/plain", 0),
        ("in/l", "box:/link", 0),
        ("in/d", "box:/etc/passwd", 1),
        ("in/f", "box:/missing/f", 1),
        ("in/f", "box:/missing/", 1),
        ("in/f/", "box:/x", 1),
        ("in/nothing", "box:/x", 1),
        ("in/f", "box:/vol/f", 0),
        ("in/f", "nobox:/x", 1),
    ] {
        assert_eq!(cp(&at(from), to), code, "{from} to {to}");
    }
    assert_eq!(listed(tierce, "/new"), "new/ new/d/ new/d/e/ new/d/e/x new/e/ new/e/x ");
    assert_eq!(listed(tierce, "/plain/."), "./ e/ e/x ");
    assert_eq!(listed(tierce, "/tmp/f"), "f ");
    assert_eq!(listed(tierce, "/vol"), "vol/ vol/f ");
    assert_eq!(tierce.run(["cp", "box:/nothing", &at("out")]).code, 1);

    // A link inside the container leads inside the container.
    assert_eq!(cp(&at("in/f"), "box:/f"), 0);
    tierce.ok(["cp", "-L", "box:/link", &at("out/followed")]);
    tierce.ok(["cp", "box:/link", &at("out/link")]);
    tierce.ok(["cp", "box:/new", &at("out/new")]);
    let out = |name: &str| tierce.scratch().join("out").join(name);
    assert_eq!(std::fs::read_to_string(out("followed")).unwrap(), "file\n");
    assert_eq!(std::fs::read_link(out("link")).unwrap(), Path::new("f"));
    assert_eq!(std::fs::read_to_string(out("new/e/x")).unwrap(), "deep\n");
}

#[test]
fn both_ways_as_root() {
    both_ways(&Tierce::new(BINARY));
}

#[test]
fn both_ways_with_subordinate_ids() {
    both_ways(&OrdinaryUser::new(SubordinateIds::Many).tierce(BINARY));
}

#[test]
fn links_of_a_container_do_not_lead_out_of_it() {
    let tierce = Tierce::new(BINARY);
    with_container(&tierce);
    let outside = tierce.scratch().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    let shown = outside.display().to_string();
    tierce.ok(["run", "--name", "evil", "busybox", "ln", "-s", &shown, "/out"]);
    let at = |name: &str| tierce.scratch().join(name).display().to_string();
    assert_eq!(tierce.run(["cp", &at("in/f"), "evil:/out/f"]).code, 1);
    assert_eq!(tierce.run(["cp", "evil:/out/secret", &at("out/s")]).code, 1);
    assert_eq!(tierce.run(["cp", "-L", "evil:/out", &at("out/s")]).code, 1);
    assert!(!outside.join("f").exists());

    // Also while it runs.
    let script = format!("ln -s {shown} /out; ln -s /proc/1/root /back; echo; sleep 1000");
    tierce.ok(["run", "-d", "--name", "live", "busybox", "sh", "-c", &script]);
    testutil::wait_until("it has said so", || !tierce.ok(["logs", "live"]).is_empty());
    assert_eq!(tierce.run(["cp", &at("in/f"), "live:/out/f"]).code, 1);
    assert_eq!(tierce.run(["cp", &at("in/f"), &format!("live:/back{shown}/f")]).code, 1);
    assert!(!outside.join("f").exists());
    tierce.ok(["cp", &at("in/f"), "live:/tmp/g"]);
    tierce.ok(["cp", "live:/tmp/g", &at("out/g")]);
    assert_eq!(std::fs::read_to_string(tierce.scratch().join("out/g")).unwrap(), "file\n");
    tierce.ok(["rm", "-f", "live"]);
}

#[test]
fn what_is_exported_is_imported_again() {
    let tierce = Tierce::new(BINARY);
    with_container(&tierce);
    let at = |name: &str| tierce.scratch().join(name).display().to_string();
    tierce.ok(["cp", &at("in/f"), "box:/kept"]);
    tierce.ok(["export", "-o", &at("box.tar"), "box"]);
    tierce.ok(["import", "-c", "CMD [\"cat\", \"/kept\"]", "-m", "again", &at("box.tar"), "flat"]);
    assert_eq!(tierce.ok(["run", "--rm", "flat"]), "file\n");
    let layers = tierce.ok(["inspect", "-f", "{{json .RootFS.Layers}}", "flat"]);
    assert_eq!(layers.matches("sha256:").count(), 1);

    let mut import =
        tierce.command(["import", "-", "piped"]).stdin(Stdio::piped()).spawn().unwrap();
    let tar = std::fs::read(at("box.tar")).unwrap();
    import.stdin.take().unwrap().write_all(&tar).unwrap();
    assert!(import.wait().unwrap().success());
    assert_eq!(tierce.ok(["run", "--rm", "piped", "cat", "/kept"]), "file\n");
    tierce.scratch().write("none.tar", "nothing of the kind");
    assert_eq!(tierce.run(["import", &at("none.tar")]).code, 1);
}
