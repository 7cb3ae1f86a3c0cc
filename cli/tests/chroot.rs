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
    for (option, value) in [
        ("--network", "none"),
        ("--volume", "/tmp:/m"),
        ("--mount", "type=volume,source=vol,volume-subpath=a,target=/m"),
        ("--volume", "/:/m:ro"),
    ] {
        let output = tierce.run(["run", "--rm", option, value, "busybox", "true"]);
        assert_eq!(output.code, 125, "{output:#?}");
        let says = ["needs namespaces and mounts", "holds the store itself"];
        assert!(says.iter().any(|says| output.stderr.contains(says)), "{output:#?}");
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
fn one_more_command_runs_in_a_container() {
    let tierce = confined();
    let run = ["run", "-d", "--name", "box", "-e", "A=1", "-w", "/tmp", "busybox", "sleep", "1019"];
    tierce.ok(run);
    // In the same tree, as whom it is told to be, with its surroundings.
    let script =
        "echo $A$B; pwd; id -u; echo here > /new; readlink /proc/self/exe; cat /etc/hostname";
    let said = tierce.ok(["exec", "-e", "B=2", "box", "sh", "-c", script]);
    let id = tierce.ok(["inspect", "-f", "{{slice .Id 0 12}}", "box"]);
    assert_eq!(said, format!("12\n/tmp\n0\n/bin/busybox\n{id}"));
    assert!(tierce.ok(["diff", "box"]).contains("A /new\n"));
    let output = tierce.run_with_input(["exec", "-i", "box", "sh", "-c", "cat; exit 9"], b"in");
    assert_eq!((output.code, output.stdout.as_str()), (9, "in"), "{output:#?}");
    let bounds = "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status | awk '{print $2}'";
    let as_somebody = ["exec", "-u", "7:8", "box", "sh", "-c"];
    let said = tierce.ok([&as_somebody[..], &[&format!("id -u; id -g; {bounds}")]].concat());
    assert_eq!(said, "7\n8\n1\n2\n");
    assert_eq!(tierce.run(["exec", "box", "/no/such"]).code, 127);
    assert_eq!(tierce.run(["exec", "box", "/etc"]).code, 126);

    // It is one of the container's processes: listed, held still, and ended with it.
    let number = format!("102{}", std::process::id());
    tierce.ok([
        "exec",
        "-d",
        "box",
        "sh",
        "-c",
        &format!("setsid sleep {number} & sleep {number}"),
    ]);
    let sleeping = || processes_with(&number).iter().filter(|p| p.starts_with("sleep")).count();
    wait_until("both run", || sleeping() == 2);
    let listed = tierce.ok(["top", "box", "-o", "args"]);
    assert_eq!(listed.lines().filter(|line| line.starts_with("sleep")).count(), 3, "{listed}");
    tierce.ok(["pause", "box"]);
    assert!(tierce.run(["exec", "box", "true"]).stderr.contains("is paused"));
    tierce.ok(["unpause", "box"]);
    tierce.ok(["kill", "box"]);
    assert_eq!(sleeping(), 0);
    assert_eq!(tierce.run(["exec", "box", "true"]).code, 1);
    assert_eq!(tierce.ok(["diff", "box"]), "A /new\n");

    // Also when the keeper is killed.
    tierce.ok(["start", "box"]);
    tierce.ok(["exec", "-d", "box", "sleep", &number]);
    wait_until("it runs", || sleeping() == 1);
    kill_keeper(&tierce, "box");
    wait_until("all are gone", || sleeping() == 0);
    tierce.ok(["rm", "box"]);
}

#[test]
fn a_volume_is_lent_to_one_container_at_a_time_and_what_is_only_read_is_copied() {
    let tierce = confined();
    let with = ["run", "--rm", "-v", "kept:/data", "busybox", "sh", "-c"];
    let run = |script: &str| tierce.ok([&with[..], &[script]].concat());
    run("echo one > /data/file; chown 7:8 /data/file");
    assert_eq!(run("cat /data/file; stat -c %u:%g /data/file"), "one\n7:8\n");
    tierce.scratch().write("read/below/it", "the machine's\n");
    tierce.scratch().write("single", "a file\n");
    let dir = format!("{}:/r:ro", tierce.scratch().join("read").display());
    let file = format!("{}:/etc/single:ro", tierce.scratch().join("single").display());
    let run = ["run", "--rm", "-v", &dir, "-v", &file, "-v", "kept:/v:ro", "busybox", "sh", "-c"];
    let script = "cat /r/below/it /etc/single /v/file; rm -r /r/below";
    assert_eq!(tierce.ok([&run[..], &[script]].concat()), "the machine's\na file\none\n");
    assert!(tierce.scratch().join("read/below/it").exists());

    let holder = ["run", "-d", "--name", "holder", "-v", "kept:/data", "busybox", "sleep", "1018"];
    tierce.ok(holder);
    let refused = tierce.run([&with[..], &["true"]].concat());
    assert_eq!(refused.code, 125, "{refused:#?}");
    assert!(refused.stderr.contains("one container at a time has it"), "{refused:#?}");
    // Places for what is provided were made where the image has none; what is in them is not
    // the container's.
    let provided = ["/data", "/dev", "/etc", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
    for line in tierce.ok(["diff", "holder"]).lines() {
        let path = &line[2..];
        assert!(provided.contains(&path) || ["/proc", "/sys"].contains(&path), "{line}");
    }
    tierce.ok(["exec", "holder", "sh", "-c", "echo two > /data/more"]);
    let kept = tierce.scratch().join("more").display().to_string();
    tierce.ok(["cp", "holder:/data/more", &kept]);
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "two\n");

    // Whoever is killed has it no more, whether he is started again, removed, or left.
    for after in [&["start", "holder"][..], &["rm", "holder"], &["ps", "-a"]] {
        kill_keeper(&tierce, "holder");
        tierce.ok(after.to_vec());
        if after[0] != "start" {
            assert_eq!(tierce.ok([&with[..], &["cat /data/more"]].concat()), "two\n", "{after:?}");
        }
        if after[0] == "rm" {
            tierce.ok(holder);
        }
    }
    tierce.ok(["rm", "-f", "holder"]);
    assert_eq!(tierce.ok([&with[..], &["cat /data/*"]].concat()), "one\ntwo\n");
    tierce.ok(["volume", "rm", "kept"]);
}

/// Kills the keeper of a container, and waits until the end is known.
fn kill_keeper(tierce: &Tierce, name: &str) {
    let pid = tierce.ok(["inspect", "-f", "{{.State.Pid}}", name]);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
    let keeper = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap();
    assert!(std::process::Command::new("kill").args(["-9", keeper]).status().unwrap().success());
    wait_until("its end is known", || {
        tierce.ok(["inspect", "-f", "{{.State.Status}}", name]) == "exited\n"
    });
}

#[test]
fn what_is_copied_while_a_container_runs_stays_in_its_tree() {
    let tierce = confined();
    tierce.ok(["run", "-d", "--name", "box", "busybox", "sh", "-c", "echo in > /mine; sleep 1017"]);
    let file = tierce.scratch().join("copied").display().to_string();
    wait_until("it is there", || tierce.run(["cp", "box:/mine", &file]).code == 0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "in\n");
    let place = format!("/tierce-{}", std::process::id());
    tierce.ok(["cp", &file, &format!("box:{place}")]);
    assert_eq!(tierce.ok(["exec", "box", "cat", &place]), "in\n");
    assert!(!std::path::Path::new(&place).exists());
    tierce.ok(["rm", "-f", "box"]);
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
    let said =
        outer.ok(["run", "--rm", "--network=host"].iter().chain(options).copied().chain(inner));
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
