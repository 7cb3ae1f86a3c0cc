//! What containers have mounted, whoever runs them.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::path::Path;

use testutil::{OrdinaryUser, SubordinateIds, Tierce, busybox_in};

const BINARY: &str = env!("CARGO_BIN_EXE_tierce");

/// An image with files in place of its volume, those of another user.
const DOCKERFILE: &str = "\
FROM busybox
RUN mkdir -p /seeded/sub && echo made > /seeded/sub/f && chown 1000:1000 /seeded && chmod 750 /seeded
VOLUME /seeded
";

fn with_image(tierce: &Tierce) {
    let dir = |name: &str| {
        let dir = tierce.scratch().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        dir.display().to_string()
    };
    busybox_in(tierce, Path::new(&dir("base")));
    let context = dir("context");
    tierce.scratch().write("context/Dockerfile", DOCKERFILE);
    tierce.ok(["build", "-q", "-t", "seeded", &context]);
}

fn every_kind_of_mount(tierce: &Tierce) {
    with_image(tierce);
    tierce.scratch().write("host/f", "of the machine\n");
    let everybody = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(tierce.scratch().join("host"), everybody(0o777)).unwrap();
    std::fs::set_permissions(tierce.scratch().join("host/f"), everybody(0o666)).unwrap();
    let host = tierce.scratch().join("host").display().to_string();

    // Paths of the machine.
    let bind = format!("{host}:/h");
    assert_eq!(
        tierce.ok(["run", "--rm", "-v", &bind, "busybox", "cat", "/h/f"]),
        "of the machine\n"
    );
    tierce.ok(["run", "--rm", "-v", &bind, "busybox", "sh", "-c", "echo more >> /h/f"]);
    assert_eq!(
        std::fs::read_to_string(tierce.scratch().join("host/f")).unwrap(),
        "of the machine\nmore\n"
    );
    let read_only = format!("{host}:/h:ro");
    let refused = tierce.run(["run", "--rm", "-v", &read_only, "busybox", "touch", "/h/g"]);
    assert!(refused.stderr.contains("Read-only file system"), "{}", refused.stderr);
    let mount = format!("type=bind,source={host}/f,target=/one,readonly");
    assert_eq!(
        tierce.ok(["run", "--rm", "--mount", &mount, "busybox", "cat", "/one"]),
        "of the machine\nmore\n"
    );
    let missing = format!("type=bind,source={host}/nothing,target=/one");
    assert_eq!(tierce.run(["run", "--rm", "--mount", &missing, "busybox"]).code, 125);

    // A volume has what the image has there, once, and keeps what containers write.
    let script = "stat -c '%u %a' /v; cat /v/sub/f; echo kept > /v/sub/f";
    let volume = ["run", "--rm", "-v", "data:/v", "seeded", "sh", "-c"];
    let seeded = ["run", "--rm", "-v", "data:/seeded", "seeded", "sh", "-c"];
    let first = tierce.ok([&seeded[..], &["stat -c '%u %a' /seeded; cat /seeded/sub/f"]].concat());
    assert_eq!(first, "1000 750\nmade\n");
    assert_eq!(tierce.ok([&volume[..], &[script]].concat()), "1000 750\nmade\n");
    assert_eq!(tierce.ok([&seeded[..], &["cat /seeded/sub/f"]].concat()), "kept\n");
    let part = "type=volume,source=data,target=/v,volume-subpath=sub";
    assert_eq!(tierce.ok(["run", "--rm", "--mount", part, "busybox", "ls", "/v"]), "f\n");
    let none = ["run", "--rm", "-v", "empty:/seeded:nocopy", "seeded", "ls", "/seeded"];
    assert_eq!(tierce.ok(none), "");

    // A file system in memory.
    let script = "stat -c %a /t; grep ' /t ' /proc/mounts | cut -d' ' -f3,4";
    let options = "/t:size=64k,mode=700,exec";
    let shown = tierce.ok(["run", "--rm", "--tmpfs", options, "busybox", "sh", "-c", script]);
    assert!(shown.starts_with("700\ntmpfs rw,nosuid,nodev,relatime,size=64k"), "{shown}");

    tierce.ok(["volume", "rm", "data", "empty"]);
    assert_eq!(tierce.ok(["volume", "ls", "-q"]), "", "anonymous volumes go with --rm");
}

#[test]
fn every_kind_of_mount_as_root() {
    every_kind_of_mount(&Tierce::new(BINARY));
}

#[test]
fn every_kind_of_mount_with_subordinate_ids() {
    every_kind_of_mount(&OrdinaryUser::new(SubordinateIds::Many).tierce(BINARY));
}

#[test]
fn volumes_of_an_image_stay_until_they_are_removed_with_their_container() {
    let tierce = Tierce::new(BINARY);
    with_image(&tierce);
    tierce.ok(["run", "--name", "one", "seeded", "sh", "-c", "echo written > /seeded/g"]);
    let name = tierce.ok(["volume", "ls", "-q"]);
    assert_eq!(name.trim().len(), 64);
    let seen = tierce.ok([
        "run",
        "--name",
        "two",
        "--volumes-from",
        "one:ro",
        "seeded",
        "sh",
        "-c",
        "cat /seeded/g; ! touch /seeded/h 2> /dev/null",
    ]);
    assert_eq!(seen, "written\n");
    assert_eq!(tierce.run(["volume", "rm", name.trim()]).code, 1, "it is in use");
    tierce.ok(["rm", "-v", "one"]);
    assert_eq!(tierce.ok(["volume", "ls", "-q"]), name, "another one uses it");
    tierce.ok(["rm", "two"]);
    assert_eq!(tierce.ok(["volume", "ls", "-q", "--filter", "dangling=true"]), name);
    tierce.ok(["volume", "create", "--label", "a=b", "named"]);
    let pruned = tierce.ok(["volume", "prune", "-f"]);
    assert!(pruned.contains(name.trim()) && !pruned.contains("named"), "{pruned}");
    assert_eq!(
        tierce.ok(["volume", "ls", "--filter", "label=a", "--format", "{{.Driver}} {{.Name}}"]),
        "local named\n"
    );
    assert_eq!(tierce.ok(["volume", "inspect", "-f", "{{.Labels.a}}", "named"]), "b\n");
    assert!(tierce.ok(["volume", "prune", "-f", "-a"]).contains("named"));
    assert_eq!(tierce.ok(["volume", "ls"]), "DRIVER    VOLUME NAME\n");
}

#[test]
fn links_in_a_volume_do_not_lead_out_of_it() {
    let tierce = Tierce::new(BINARY);
    with_image(&tierce);
    tierce.ok(["run", "--rm", "-v", "links:/v", "busybox", "ln", "-s", "/etc", "/v/out"]);
    let part = "type=volume,source=links,target=/seen,volume-subpath=out";
    let refused = tierce.run(["run", "--rm", "--mount", part, "busybox", "ls", "/seen"]);
    assert_eq!(refused.code, 125, "{}{}", refused.stdout, refused.stderr);
}

#[test]
fn a_volume_can_be_a_directory_of_the_machine() {
    let tierce = Tierce::new(BINARY);
    testutil::busybox(&tierce);
    let place = tierce.scratch().join("place");
    std::fs::create_dir(&place).unwrap();
    let device = format!("device={}", place.display());
    let create = ["volume", "create", "--opt", "type=none", "-o", "o=bind", "--opt"];
    tierce.ok([&create[..], &[&device, "bound"]].concat());
    // As any volume that is empty, it begins with what the image has there.
    tierce.ok(["run", "--rm", "-v", "bound:/etc", "busybox", "touch", "/etc/new"]);
    assert!(place.join("passwd").exists() && place.join("new").exists());
    tierce.ok(["create", "--name", "one", "-v", "bound:/data", "busybox", "true"]);
    tierce.ok(["cp", "one:/data/passwd", place.join("copy").to_str().unwrap()]);
    let shown =
        tierce.ok(["volume", "inspect", "-f", "{{.Options.device}} {{.Options.o}}", "bound"]);
    assert_eq!(shown, format!("{} bind\n", place.display()));
    tierce.ok(["rm", "one"]);
    tierce.ok(["volume", "rm", "bound"]);
    assert!(place.join("new").exists(), "it outlives the volume");
    for options in
        [&["-o", "o=bind"][..], &["-o", "device=/nowhere", "-o", "o=bind"], &["-o", "size=1"]]
    {
        assert_eq!(tierce.run([&["volume", "create"], options].concat()).code, 1, "{options:?}");
    }
}
