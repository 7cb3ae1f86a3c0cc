//! Where neither namespaces nor mounts can be made, as in containers that others start: commands
//! are confined by chroot alone, on copied snapshots.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::path::PathBuf;

use testutil::{EmbeddedRegistry, Tierce, busybox, processes_with, wait_until};

const BINARY: &str = env!("CARGO_BIN_EXE_tierce");

/// A program that is told to work so, with a busybox in its store.
fn confined() -> Tierce {
    let tierce = Tierce::new(BINARY).launched_by(["env", "TIERCE_ISOLATION=chroot"]);
    busybox(&tierce);
    tierce
}

/// A Dockerfile, and how to build it.
fn build(tierce: &Tierce, name: &str, dockerfile: &str, more: &[&str]) -> testutil::Output {
    tierce.scratch().write("context/Dockerfile", dockerfile);
    tierce.scratch().write("context/file", "from the context\n");
    let context = tierce.scratch().join("context").display().to_string();
    let args = ["build", "--progress", "plain", "-t", name];
    tierce.run(args.iter().chain(more).copied().chain([context.as_str()]))
}

fn built(tierce: &Tierce, name: &str, dockerfile: &str, more: &[&str]) {
    let output = build(tierce, name, dockerfile, more);
    assert_eq!(output.code, 0, "{output:#?}");
}

fn ls_staging(tierce: &Tierce) -> Vec<PathBuf> {
    let list = std::fs::read_dir(tierce.root().join("staging")).unwrap();
    list.map(|entry| entry.unwrap().path()).collect()
}

/// All that a build can mount, and changes of every kind.
const ALL: &str = "\
FROM busybox AS tools
RUN mkdir /tools && echo tool > /tools/a
FROM busybox
ARG SOURCE_DATE_EPOCH
RUN echo new > /new && rm /bin/ash && mkdir -p /d/e && chown 7:8 /d && chmod 4755 /new
RUN mv /d /moved && mkdir /d && ln /new /linked && ln -s new /soft
RUN --mount=type=bind,from=tools,source=/tools,target=/t cat /t/a > /copied && ! touch /never/x
RUN --mount=type=bind,rw,target=/src echo lost > /src/file && cat /src/file > /read
RUN --mount=type=cache,target=/cache echo once >> /cache/f; cat /cache/f > /seen
RUN --mount=type=tmpfs,target=/tmp/m echo gone > /tmp/m/x
RUN --mount=type=secret,id=key,target=/key,mode=0444 wc -c < /key > /length
RUN cat /etc/resolv.conf > /dev/null; test -c /dev/null && test -c /dev/urandom && test -d /dev/shm
COPY --from=tools --chown=5:6 /tools /tools
WORKDIR /w
USER 12:34
RUN id -u > /tmp/mine; test ! -w /new
";

#[test]
fn a_build_makes_the_same_layers_as_with_namespaces() {
    let confined = confined();
    let spacious = Tierce::new(BINARY);
    let archive = confined.scratch().join("busybox.tar").display().to_string();
    confined.ok(["save", "-o", &archive, "busybox"]);
    spacious.ok(["load", "-q", "-i", &archive]);
    confined.scratch().write("key", "12345678");
    let key = format!("id=key,src={}", confined.scratch().join("key").display());
    let more = ["--build-arg", "SOURCE_DATE_EPOCH=1700000000", "--secret", &key];
    let layers = |tierce: &Tierce| {
        built(tierce, "all", ALL, &more);
        tierce.ok(["inspect", "-f", "{{json .RootFS.Layers}}", "all"])
    };
    assert_eq!(layers(&confined), layers(&spacious));
    // Nothing of what was provided is left, and nothing of the work.
    let script =
        "cat /copied /read /seen /length; ls /cache /t /src /key /dev/null; cat /etc/hosts";
    let output = spacious.run(["run", "--rm", "all", "sh", "-c", script]);
    assert!(output.stdout.starts_with("tool\nlost\nonce\n8\n"), "{output:#?}");
    assert_eq!(ls_staging(&confined), Vec::<PathBuf>::new());
}

#[test]
fn it_is_said_and_said_why() {
    let tierce = confined();
    let output = build(&tierce, "x", "FROM busybox\nRUN true\n", &[]);
    let note = "note: commands run in the chroot mode, on copied snapshots";
    assert_eq!(output.stderr.matches(note).count(), 1, "{output:#?}");
    assert!(output.stderr.contains("asked for"), "{output:#?}");
    assert!(!tierce.run(["images"]).stderr.contains(note));
}

#[test]
fn what_needs_namespaces_is_refused() {
    let tierce = confined();
    let output = build(&tierce, "x", "FROM busybox\nRUN --network=none true\n", &[]);
    assert_eq!(output.code, 1, "{output:#?}");
    let says = "a network of its own needs namespaces and mounts, which cannot be made here";
    assert!(output.stderr.contains(says), "{output:#?}");
    for (option, value) in [("--network", "none"), ("--volume", "/tmp:/m"), ("--volume", "vol:/m")]
    {
        let output = tierce.run(["run", "--rm", option, value, "busybox", "true"]);
        assert_eq!(output.code, 125, "{output:#?}");
        assert!(output.stderr.contains("needs namespaces and mounts"), "{output:#?}");
    }
    assert_eq!(tierce.ok(["ps", "-aq"]), "");
}

#[test]
fn a_cache_serves_one_step_after_the_other() {
    let tierce = confined();
    let step = "RUN --mount=type=cache,target=/cache echo x >> /cache/f; ";
    let dockerfile = format!(
        "FROM busybox AS a\n{step}\nFROM busybox AS b\n{step}sleep 0.1\nFROM busybox AS c\n{step}\n\
         FROM busybox\nCOPY --from=a /bin/sh /a\nCOPY --from=b /bin/sh /b\n\
         COPY --from=c /bin/sh /c\n{step} wc -l < /cache/f > /count\n"
    );
    built(&tierce, "cached", &dockerfile, &[]);
    assert_eq!(tierce.ok(["run", "--rm", "cached", "cat", "/count"]), "4\n");
}

#[test]
fn a_container_lives_on() {
    let tierce = confined();
    let script = "echo new > /root/new; rm /etc/group; echo more >> /etc/passwd";
    tierce.ok(["run", "--name", "box", "busybox", "sh", "-c", script]);
    let changes = "C /etc\nD /etc/group\nC /etc/passwd\nC /root\nA /root/new\n";
    assert_eq!(tierce.ok(["diff", "box"]), changes);
    tierce.ok(["commit", "-c", "CMD cat /root/new", "box", "boxed"]);
    assert_eq!(tierce.ok(["run", "--rm", "boxed"]), "new\n");
    tierce.ok(["start", "-a", "box"]);
    let file = tierce.scratch().join("out").display().to_string();
    tierce.ok(["cp", "box:/root/new", &file]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "new\n");
    tierce.ok(["cp", &file, "box:/root/more"]);
    assert!(tierce.ok(["diff", "box"]).contains("A /root/more"));
    tierce.ok(["rm", "box"]);
    for (script, code) in [("exit 7", 7), ("sh -c 'kill -TERM $$'; exit $?", 143), ("nowhere", 127)]
    {
        let output = tierce.run(["run", "--rm", "busybox", "sh", "-c", script]);
        assert_eq!(output.code, code, "{script} {output:#?}");
    }
}

#[test]
fn a_container_that_nobody_waits_for() {
    let tierce = confined();
    let script = "trap 'exit 3' TERM; echo begun; while :; do sleep 0.01; done";
    tierce.ok(["run", "-d", "--name", "web", "busybox", "sh", "-c", script]);
    wait_until("it has spoken", || tierce.ok(["logs", "web"]) == "begun\n");
    assert!(tierce.ok(["top", "web", "-o", "args"]).contains("while :;"));
    let refused = tierce.run(["exec", "web", "true"]);
    assert!(refused.stderr.contains("needs namespaces and mounts"), "{refused:#?}");
    tierce.ok(["pause", "web"]);
    tierce.ok(["unpause", "web"]);
    tierce.ok(["stop", "web"]);
    assert_eq!(tierce.ok(["inspect", "-f", "{{.State.ExitCode}}", "web"]), "3\n");
    tierce.ok(["start", "web"]);
    tierce.ok(["rm", "-f", "web"]);
    let mark = tierce.scratch().path().file_name().unwrap().to_string_lossy().into_owned();
    wait_until("all processes are gone", || processes_with(&mark).is_empty());
}

#[test]
fn nothing_that_a_step_started_outlives_it() {
    let tierce = confined();
    let number = format!("100{}", std::process::id());
    let mark = format!("sleep {number}");
    let sleeping = || {
        let mut found = processes_with(&number);
        found.retain(|line| line.starts_with("sleep"));
        found
    };
    let dockerfile =
        format!("FROM busybox\nRUN setsid sh -c 'setsid {mark} & {mark}' & {mark} & echo done\n");
    built(&tierce, "x", &dockerfile, &[]);
    assert_eq!(sleeping(), [""; 0]);

    // Nor a program that is killed.
    let dockerfile = format!("FROM busybox\nRUN setsid {mark} & exec {mark}\n");
    tierce.scratch().write("context/Dockerfile", &dockerfile);
    let context = tierce.scratch().join("context").display().to_string();
    let mut build = tierce.command(["build", "-q", &context]).spawn().unwrap();
    wait_until("it runs", || sleeping().len() == 2);
    build.kill().unwrap();
    build.wait().unwrap();
    wait_until("all processes are gone", || sleeping().is_empty());
    tierce.ok(["images"]);
    assert_eq!(ls_staging(&tierce), Vec::<PathBuf>::new());
}

/// What CI does: builds, runs and pushes inside a container, as root, in a store on its own root.
fn inside_a_container(options: &[&str], note: &str) {
    let outer = Tierce::new(BINARY);
    busybox(&outer);
    let context = outer.scratch().join("inner");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::copy(BINARY, context.join("tierce")).unwrap();
    let archive = context.join("busybox.tar").display().to_string();
    outer.ok(["save", "-o", &archive, "busybox"]);
    outer.scratch().write(
        "inner/inner.Dockerfile",
        "FROM busybox\nRUN echo made inside > /made && chown 7:8 /made && rm /bin/ash\n\
         COPY --chmod=600 inner.Dockerfile /\nUSER 7\n\
         RUN grep sh /proc/$$/comm && echo as somebody > /dev/stderr && readlink /proc/self/exe\n\
         USER root\n",
    );
    outer.scratch().write(
        "inner/Dockerfile",
        "FROM busybox\nCOPY tierce /bin/\nCOPY busybox.tar inner.Dockerfile /w/\n",
    );
    outer.ok(["build", "-q", "-t", "inner", context.to_str().unwrap()]);
    let registry = EmbeddedRegistry::in_memory(&outer);
    let name = format!("{}/made", registry.address);
    let script = format!(
        "set -e; cd /w; t='tierce --root /w/store'; $t load -q -i busybox.tar
         $t build --progress plain -f inner.Dockerfile -t {name} . 2>&1
         $t run --rm {name} stat -c '%u:%g %a' /made; $t push -q {name}"
    );
    let inner = ["inner", "sh", "-c", &script];
    let said = outer.ok(["run", "--rm"].iter().chain(options).copied().chain(inner));
    assert!(said.contains(note), "{said}");
    assert!(said.contains("as somebody"), "{said}");
    assert!(said.contains("7:8 644\n"), "{said}");
    outer.ok(["pull", "-q", &name]);
    let listed = outer.ok(["run", "--rm", &name, "stat", "-c", "%u:%g %a", "/made"]);
    assert_eq!(listed, "7:8 644\n");
}

#[test]
fn inside_a_container_with_dockers_limits() {
    inside_a_container(&[], "no CAP_SYS_ADMIN, and no new user namespace allowed");
}

#[test]
fn inside_a_container_that_may_do_all_but_write_to_an_overlay_on_an_overlay() {
    inside_a_container(&["--privileged"], "note: snapshots are copied, since the store at");
}

#[test]
fn what_proc_says_of_oneself_can_be_read() {
    let tierce = confined();
    // Our own pipes are nobody else's to open again.
    let output = tierce.run([
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "echo said > /dev/stdout; echo loudly > /dev/stderr",
    ]);
    assert_eq!((output.stdout.as_str(), output.code), ("said\n", 0), "{output:#?}");
    assert!(output.stderr.ends_with("loudly\n"), "{output:#?}");
    let script = "set -e; echo in | cat /dev/stdin; readlink /proc/self/exe; grep -c ^Uid: /proc/self/status; test -e /proc/self/fd/0
         ls /proc/self/fd > /tmp/fds; grep -q 2 /tmp/fds; test -d /proc/$$; stat -L -c %F /dev/fd
         test -r /proc/cpuinfo; head -n 1 /proc/meminfo | cut -c-9
         test ! -e /proc/1/status; test ! -e /proc/kcore; test ! -e /sys/firmware
         echo no > /proc/sys/kernel/domainname || echo refused";
    let expected = "in\n/bin/busybox\n1\ndirectory\nMemTotal:\nrefused\n";
    for user in ["0", "1000"] {
        let output = tierce.run(["run", "--rm", "-u", user, "busybox", "sh", "-c", script]);
        assert_eq!((output.stdout.as_str(), output.code), (expected, 0), "{user} {output:#?}");
    }
}
