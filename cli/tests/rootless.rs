//! Everything as an ordinary user: with subordinate ids, with a single id, and as a root that may
//! not do what root may.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::path::Path;

use testutil::{
    EmbeddedRegistry, OrdinaryUser, SubordinateIds, Tierce, busybox, busybox_in, debian_in,
    processes_with, wait_until,
};

const BINARY: &str = env!("CARGO_BIN_EXE_tierce");

/// A directory in the program's home that its user can read.
fn readable(tierce: &Tierce, name: &str) -> String {
    let dir = tierce.scratch().join(name);
    std::fs::create_dir_all(&dir).unwrap();
    dir.display().to_string()
}

/// Builds a Dockerfile with a context in which there is the file `hello.sh`.
fn build(tierce: &Tierce, name: &str, dockerfile: &str) -> testutil::Output {
    let context = readable(tierce, "context");
    tierce.scratch().write("context/Dockerfile", dockerfile);
    tierce.scratch().write("context/hello.sh", "echo hello from $(hostname)\n");
    tierce.run(["build", "--progress", "plain", "-t", name, &context])
}

fn build_ok(tierce: &Tierce, name: &str, dockerfile: &str) {
    let output = build(tierce, name, dockerfile);
    assert_eq!(output.code, 0, "{output:#?}");
}

/// A user's program, with a busybox in its store.
fn with_busybox(user: &OrdinaryUser) -> Tierce {
    let tierce = user.tierce(BINARY);
    busybox_in(&tierce, Path::new(&readable(&tierce, "base")));
    tierce
}

/// From a Dockerfile to a registry and back, and all that can be done with a container.
fn main_job(here: &Tierce, there: &Tierce) {
    build_ok(
        here,
        "hello",
        "FROM busybox\nRUN mkdir /app\nCOPY --chown=7:8 hello.sh /app/\nWORKDIR /app\n\
         CMD [\"sh\", \"./hello.sh\"]\n",
    );
    assert!(here.ok(["run", "--rm", "hello"]).starts_with("hello from "));
    for (script, code) in [("exit 7", 7), ("sh -c 'kill -TERM $$'; exit $?", 143), ("nowhere", 127)]
    {
        let output = here.run(["run", "--rm", "busybox", "sh", "-c", script]);
        assert_eq!(output.code, code, "{script} {output:#?}");
    }
    let failed = build(here, "failed", "FROM busybox\nRUN exit 42\n");
    assert_eq!(failed.code, 42, "{failed:#?}");
    assert_eq!(
        here.ok(["run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net"]),
        "lo\n"
    );

    let script = "echo new > /root/new; rm /etc/group; echo more >> /etc/passwd";
    here.ok(["run", "--name", "box", "busybox", "sh", "-c", script]);
    let changes = "C /etc\nD /etc/group\nC /etc/passwd\nC /root\nA /root/new\n";
    assert_eq!(here.ok(["diff", "box"]), changes);
    here.ok(["commit", "-c", "CMD cat /root/new", "box", "boxed"]);
    assert_eq!(here.ok(["run", "--rm", "boxed"]), "new\n");
    here.ok(["start", "-a", "box"]);
    here.ok(["rm", "box"]);

    let registry = EmbeddedRegistry::in_memory(here);
    let name = format!("{}/hello", registry.address);
    here.ok(["push", "-q", "hello", &name]);
    there.ok(["pull", "-q", &name]);
    assert!(there.ok(["run", "--rm", &name]).starts_with("hello from "));
    let archive = here.scratch().join("boxed.tar").display().to_string();
    here.ok(["save", "-o", &archive, "boxed"]);
    there.ok(["load", "-q", "-i", &archive]);
    assert_eq!(there.ok(["run", "--rm", "boxed"]), "new\n");

    here.ok(["prune", "--all", "--force"]);
    for dir in ["layers", "blobs/sha256", "containers", "staging", "leases"] {
        let left: Vec<_> = std::fs::read_dir(here.root().join(dir)).unwrap().collect();
        assert!(left.is_empty(), "{dir}: {left:?}");
    }
}

#[test]
fn the_main_job_with_subordinate_ids() {
    let user = OrdinaryUser::new(SubordinateIds::Many);
    main_job(&with_busybox(&user), &user.tierce(BINARY));
}

#[test]
fn the_main_job_with_one_id() {
    let user = OrdinaryUser::new(SubordinateIds::None);
    main_job(&with_busybox(&user), &user.tierce(BINARY));
}

/// The life of a container that nobody waits for.
fn detached_life(tierce: &Tierce) {
    let script = "trap 'exit 3' TERM; echo begun; while :; do sleep 0.01; done";
    tierce.ok(["run", "-d", "--name", "web", "busybox", "sh", "-c", script]);
    wait_until("it has spoken", || tierce.ok(["logs", "web"]) == "begun\n");
    assert_eq!(tierce.ok(["exec", "web", "sh", "-c", "echo in; exit 0"]), "in\n");
    assert_eq!(tierce.run(["exec", "web", "sh", "-c", "exit 9"]).code, 9);
    assert!(tierce.ok(["top", "web", "-o", "args"]).contains("while :;"));
    tierce.ok(["pause", "web"]);
    assert!(tierce.ok(["ps"]).contains("(Paused)"));
    assert!(tierce.run(["exec", "web", "true"]).stderr.contains("is paused"));
    tierce.ok(["unpause", "web"]);
    assert_eq!(tierce.ok(["exec", "web", "echo", "on"]), "on\n");
    let usage = tierce.ok(["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", "web"]);
    assert!(usage.starts_with("web ") && !usage.starts_with("web 0B"), "{usage}");
    tierce.ok(["stop", "web"]);
    assert_eq!(tierce.ok(["inspect", "-f", "{{.State.ExitCode}}", "web"]), "3\n");
    tierce.ok(["start", "web"]);
    tierce.ok(["rm", "-f", "web"]);
    let mark = tierce.scratch().path().file_name().unwrap().to_string_lossy().into_owned();
    wait_until("all processes are gone", || processes_with(&mark).is_empty());
}

#[test]
fn a_detached_container_with_subordinate_ids() {
    detached_life(&with_busybox(&OrdinaryUser::new(SubordinateIds::Many)));
}

#[test]
fn a_detached_container_with_one_id() {
    detached_life(&with_busybox(&OrdinaryUser::new(SubordinateIds::None)));
}

#[test]
fn the_main_job_of_a_root_without_admin_rights() {
    let root = || {
        Tierce::new(BINARY).launched_by([
            "setpriv",
            "--bounding-set",
            "-sys_admin",
            "--inh-caps",
            "-all",
        ])
    };
    let here = root();
    busybox(&here);
    main_job(&here, &root());
}

#[test]
fn where_no_namespace_can_be_made_the_error_says_what_is_missing() {
    // A container of ours has docker's capabilities and docker's filter.
    let root = Tierce::new(BINARY);
    let context = readable(&root, "context");
    debian_in(&root, Path::new(&context));
    std::fs::copy(BINARY, Path::new(&context).join("tierce")).unwrap();
    root.scratch().write("context/Dockerfile", "FROM debian\nCOPY tierce /bin/\n");
    root.ok(["build", "-q", "-t", "inner", &context]);
    for (options, says, try_this) in [
        (["--cap-drop", "SYS_CHROOT"], "root has no CAP_SYS_ADMIN here", "SYS_CHROOT or SYS_ADMIN"),
        (["-u", "1000"], "cannot make a user namespace as user 1000", "its seccomp profile"),
    ] {
        let inner = ["inner", "tierce", "--root", "/tmp/x", "images"];
        let output = root.run(["run", "--rm"].into_iter().chain(options).chain(inner));
        assert_eq!(output.code, 1, "{output:#?}");
        for part in [says, "Operation not permitted", try_this] {
            assert!(output.stderr.contains(part), "no `{part}` in {}", output.stderr);
        }
    }
}

#[test]
fn the_store_is_in_the_home() {
    let user = OrdinaryUser::new(SubordinateIds::Many);
    let tierce = user.tierce(BINARY);
    let home = tierce.scratch().path();
    let output = {
        let mut command = std::process::Command::new("unshare");
        command.args(&user.launcher(BINARY)[1..]).arg(user.program()).arg("images");
        command.env("HOME", home).env_remove("XDG_DATA_HOME").output().unwrap()
    };
    assert!(output.status.success(), "{output:?}");
    assert!(home.join(".local/share/tierce/state.db").is_file());
}

/// Steps of several users, and files of several owners.
const OWNERS: &str = "\
FROM busybox
RUN echo somebody:x:1000:1000::/home:/bin/sh >> /etc/passwd && mkdir /home && chown 1000:1000 /home
COPY --chown=7:8 hello.sh /seven
COPY --chown=somebody --chmod=4755 hello.sh /named
USER 1000
RUN echo mine > /home/mine
USER root
RUN chown 12:34 /seven && chown 5:6 /home/mine && mkdir -m 700 /closed && chown 9:9 /closed
";

const LIST: [&str; 6] = ["stat", "-c", "%n %u:%g %a", "/seven", "/named", "/home/mine"];

const LISTED: &str = "/seven 12:34 644\n/named 1000:1000 4755\n/home/mine 5:6 644\n";

#[test]
fn with_subordinate_ids_files_have_many_owners() {
    let user = OrdinaryUser::new(SubordinateIds::Many);
    let tierce = with_busybox(&user);
    build_ok(&tierce, "owners", OWNERS);
    let args = ["run", "--rm", "owners"];
    assert_eq!(tierce.ok(args.into_iter().chain(LIST)), LISTED);
    assert_eq!(tierce.ok(["run", "--rm", "-u", "1000", "owners", "id", "-u"]), "1000\n");
}

#[test]
fn one_id_says_so_once_and_keeps_all_owners_in_what_it_hands_on() {
    let user = OrdinaryUser::new(SubordinateIds::None);
    let tierce = with_busybox(&user);
    let output = build(&tierce, "owners", OWNERS);
    assert_eq!(output.code, 0, "{output:#?}");
    let note = "one id stands for all owners";
    assert_eq!(output.stderr.matches(note).count(), 1, "{output:#?}");
    assert!(output.stderr.contains("no subordinate ids for user somebody"), "{output:#?}");
    let run = tierce.run(["run", "--rm", "owners", "true"]);
    assert_eq!((run.code, run.stderr.matches(note).count()), (0, 1), "{run:#?}");
    assert!(!tierce.run(["images"]).stderr.contains(note));

    let archive = tierce.scratch().join("owners.tar").display().to_string();
    tierce.ok(["save", "-o", &archive, "owners"]);
    let root = Tierce::new(BINARY);
    root.ok(["load", "-q", "-i", &archive]);
    // Owners that the context's files were given are there; changes in a RUN are pretended only.
    let listed = "/seven 7:8 644\n/named 1000:1000 4755\n/home/mine 0:0 644\n";
    let args = ["run", "--rm", "owners"];
    assert_eq!(root.ok(args.into_iter().chain(LIST)), listed);
}

#[test]
fn an_image_of_many_owners_goes_through_one_id_unchanged() {
    let root = Tierce::new(BINARY);
    busybox(&root);
    build_ok(&root, "owners", OWNERS);
    let registry = EmbeddedRegistry::in_memory(&root);
    let (first, second) =
        (format!("{}/owners", registry.address), format!("{}/again", registry.address));
    root.ok(["push", "-q", "owners", &first]);

    let user = OrdinaryUser::new(SubordinateIds::None);
    let tierce = user.tierce(BINARY);
    tierce.ok(["pull", "-q", &first]);
    tierce.ok(["run", "--rm", &first, "cat", "/seven"]);
    // A layer of its own on top, so that it is not the pulled bytes alone that go on.
    tierce.ok(["run", "--name", "box", &first, "touch", "/closed/file", "/home/new"]);
    tierce.ok(["commit", "box", "more"]);
    tierce.ok(["push", "-q", "more", &second]);
    let archive = tierce.scratch().join("owners.tar").display().to_string();
    tierce.ok(["save", "-o", &archive, &first]);

    let there = Tierce::new(BINARY);
    there.ok(["load", "-q", "-i", &archive]);
    let layers = |tierce: &Tierce, name: &str| {
        tierce.ok(["inspect", "--format", "{{json .RootFS.Layers}}", name])
    };
    assert_eq!(layers(&root, "owners"), layers(&there, &first));
    there.ok(["pull", "-q", &second]);
    for name in [&first, &second] {
        let args = ["run", "--rm", name];
        assert_eq!(there.ok(args.into_iter().chain(LIST)), LISTED, "{name}");
    }
    let closed = there.ok(["run", "--rm", &second, "stat", "-c", "%u:%g %a", "/closed"]);
    assert_eq!(closed, "9:9 700\n");
}

/// Installs packages whose files belong to groups of their own.
fn install_packages(ids: SubordinateIds) -> String {
    let user = OrdinaryUser::new(ids);
    let tierce = user.tierce(BINARY);
    debian_in(&tierce, Path::new(&readable(&tierce, "base")));
    build_ok(
        &tierce,
        "packages",
        "FROM debian\nRUN apt-get update && apt-get install -y --no-install-recommends file \
         openssh-client\n",
    );
    let said = tierce.ok(["run", "--rm", "packages", "file", "-b", "/usr/bin/ssh-agent"]);
    assert!(said.contains("ELF 64-bit"), "{said}");
    tierce.ok(["run", "--rm", "packages", "stat", "-c", "%U:%G %a", "/usr/bin/ssh-agent"])
}

#[test]
fn packages_are_installed_with_subordinate_ids() {
    assert_eq!(install_packages(SubordinateIds::Many), "root:_ssh 2755\n");
}

#[test]
fn packages_are_installed_with_one_id() {
    assert_eq!(install_packages(SubordinateIds::None), "root:root 2755\n");
}

#[test]
fn a_killed_program_leaves_nothing() {
    for ids in [SubordinateIds::Many, SubordinateIds::None] {
        let user = OrdinaryUser::new(ids);
        let tierce = with_busybox(&user);
        let mark = tierce.root().display().to_string();
        let mut run = tierce.command(["run", "--rm", "busybox", "sleep", "1004"]).spawn().unwrap();
        wait_until("it runs", || {
            processes_with(&mark).iter().any(|line| line.starts_with("sleep 1004"))
        });
        run.kill().unwrap();
        run.wait().unwrap();
        wait_until("all processes are gone", || processes_with(&mark).is_empty());
        let status = tierce.ok(["ps", "-a", "--format", "{{.Status}}"]);
        assert_eq!(status, "Exited (137)\n");
    }
}
