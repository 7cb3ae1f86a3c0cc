//! What a container shares with the machine and with others, and what of the machine it is given.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::fs;

use testutil::{Tierce, busybox, processes_with, wait_until};

fn tierce() -> Tierce {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    tierce
}

/// What a command in a new container prints.
fn printed(tierce: &Tierce, options: &[&str], script: &str) -> String {
    let command = ["busybox", "sh", "-c", script];
    let words = ["run", "--rm"].iter().chain(options).chain(&command);
    tierce.ok(words.copied()).trim().to_owned()
}

#[test]
fn options_show_inside() {
    let tierce = tierce();
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for (options, script, expected) in [
        (&["-h", "here"][..], "hostname", "here"),
        (
            &["-h", "here", "--domainname", "far.away"],
            "cat /proc/sys/kernel/domainname; hostname -f",
            "here.far.away",
        ),
        (&["--uts", "host"], "hostname", hostname.trim()),
        (&["--uts", "host", "-h", "unused"], "hostname", hostname.trim()),
        (&["--oom-score-adj", "321"], "cat /proc/self/oom_score_adj", "321"),
        (&["--group-add", "44", "--group-add", "root"], "id -G", "0 44"),
        (&["-u", "7", "--group-add", "44"], "id -G", "0 44"),
        (
            &["--network", "none", "--sysctl", "net.core.somaxconn=77"],
            "cat /proc/sys/net/core/somaxconn",
            "77",
        ),
        (&["--sysctl", "net.core.somaxconn=78"], "cat /proc/sys/net/core/somaxconn", "78"),
        (&["--sysctl", "kernel.shm_rmid_forced=1"], "cat /proc/sys/kernel/shm_rmid_forced", "1"),
        (&["--device", "/dev/full:/dev/mine"], "echo x > /dev/mine || echo full", "full"),
        (&["--pid", "private"], "echo $$", "1"),
        (&["--userns", "host", "--cgroupns", "private", "--ipc", "private"], "echo yes", "yes"),
    ] {
        let all = printed(&tierce, options, script);
        assert_eq!(all.lines().last().unwrap_or_default(), expected, "{options:?}");
    }
    assert_eq!(fs::read_to_string("/proc/sys/kernel/shm_rmid_forced").unwrap(), "0\n");
}

#[test]
fn what_would_change_the_machine_or_cannot_be_had_is_refused_and_leaves_nothing() {
    let tierce = tierce();
    for options in [
        &["--sysctl", "kernel.panic=5"][..],
        &["--network", "host", "--sysctl", "net.core.somaxconn=77"],
        &["--ipc", "host", "--sysctl", "kernel.shmmni=77"],
        &["--device", "/dev/null:/dev/x:r"],
        &["--device", "/etc/passwd"],
        &["--device", "/dev/there/is/none"],
        &["--pid", "container:nobody"],
        &["--group-add", "nobody-knows-it"],
        &["-u", "nobody-knows-it"],
        &["--ip", "10.9.8.7"],
        &["--network", "none", "--link", "other"],
    ] {
        let words = ["run", "--rm"].iter().chain(options).chain(&["busybox", "true"]);
        let run = tierce.run(words.copied());
        assert!(matches!(run.code, 125 | 2), "{options:?}: {} {}", run.code, run.stderr);
        assert!(!run.stderr.contains("is running"), "{}", run.stderr);
        assert_eq!(tierce.ok(["ps", "-aq"]), "", "{options:?}");
    }
}

#[test]
fn an_unknown_option_is_no_image() {
    let run = tierce().run(["run", "--rm", "--devise", "/dev/null", "busybox", "true"]);
    assert_eq!(run.code, 125);
    assert!(run.stderr.contains("unknown option `--devise`"), "{}", run.stderr);
}

#[test]
fn containers_share_processes_and_memory() {
    let tierce = tierce();
    let script = "echo from there > /dev/shm/word; exec sleep 1011";
    tierce.ok(["run", "-d", "--name", "one", "--ipc", "shareable", "busybox", "sh", "-c", script]);
    wait_until("it has written", || {
        tierce.run(["exec", "one", "cat", "/dev/shm/word"]).stdout == "from there\n"
    });
    assert_eq!(printed(&tierce, &["--ipc", "container:one"], "cat /dev/shm/word"), "from there");
    let all = printed(&tierce, &["--pid", "container:one"], "cat /proc/1/cmdline; echo; kill 1");
    assert!(all.starts_with("sleep\x001011"), "{all:?}");
    assert_eq!(printed(&tierce, &[], "ls /dev/shm"), "");
    tierce.ok(["rm", "-f", "one"]);
}

#[test]
fn among_the_machines_processes_nothing_stays_behind() {
    let tierce = tierce();
    let mark = tierce.root().display().to_string();
    let pid = std::process::id().to_string();
    let script = format!("test -d /proc/{pid} && echo seen; setsid sleep 1012 & sleep 0.1");
    assert_eq!(printed(&tierce, &["--pid", "host"], &script), "seen");
    let runs = |line: &str| processes_with(&mark).iter().any(|process| process.starts_with(line));
    assert!(!runs("sleep 1012"));

    let script = "setsid sleep 1013 & exec sleep 1014";
    tierce.ok(["run", "-d", "--name", "two", "--pid", "host", "busybox", "sh", "-c", script]);
    wait_until("both run", || runs("sleep 1013") && runs("sleep 1014"));
    assert_eq!(tierce.ok(["exec", "two", "hostname"]).trim().len(), 12);
    let all = tierce.ok(["top", "two"]);
    assert!(all.contains("sleep 1013") && !all.contains("nextest"), "{all}");
    tierce.ok(["stop", "-t", "1", "two"]);
    assert!(!runs("sleep 1013") && !runs("sleep 1014"));
    tierce.ok(["rm", "two"]);
}

/// Who may change interfaces gets some of his own, unless he asks for the machine's.
#[test]
fn the_machines_network_is_nobodys_to_change_by_default() {
    let tierce = tierce();
    let mode = |options: &[&str]| {
        let id = tierce.ok([&["create"], options, &["busybox", "true"]].concat());
        tierce.ok(["inspect", "-f", "{{.HostConfig.NetworkMode}}", id.trim()])
    };
    let rules = ["--cap-add=NET_ADMIN", "--cap-add=all", "--privileged"];
    let root = rustix::process::geteuid().is_root();
    for option in rules {
        assert_eq!(mode(&[option]).trim(), if root { "bridge" } else { "host" }, "{option}");
        assert_eq!(mode(&[option, "--network=host"]), "host\n", "{option}");
    }
    assert_eq!(mode(&["--cap-add=all", "--cap-drop=net_admin"]), "host\n");
    assert_eq!(mode(&["--cap-add=SYS_ADMIN"]), "host\n");
}

/// With its default capabilities a container may make devices. Only those that every container
/// has: whoever has the disk's has the machine.
#[test]
fn the_machines_devices_are_neither_made_nor_brought_along() {
    let tierce = tierce();
    for options in [&[][..], &["--security-opt", "seccomp=unconfined"], &["--cap-add", "ALL"]] {
        let script = "mknod /disk b 8 0 2>/dev/null || mknod /mem c 1 1 2>/dev/null || echo no";
        assert_eq!(printed(&tierce, options, script), "no", "{options:?}");
    }
    let script = "mknod /zero c 1 5 && head -c 3 /zero | od -An -tx1";
    assert_eq!(printed(&tierce, &[], script), "00 00 00");

    let dir = tierce.scratch().path().join("context");
    fs::create_dir_all(dir.join("tree")).unwrap();
    let tar = dir.join("devices.tar");
    let script = "cd tree && mknod disk b 8 0 && mknod mem c 1 1 && mknod null c 1 3 && \
                  chmod 666 * && tar -cf ../devices.tar .";
    let made = std::process::Command::new("sh").args(["-c", script]).current_dir(&dir).status();
    assert!(made.unwrap().success() && tar.is_file());
    fs::write(dir.join("Dockerfile"), "FROM busybox\nADD devices.tar /in/\n").unwrap();
    tierce.ok(["build", "-q", "-t", "devices", &dir.display().to_string()]);
    let script = "cd /in; stat -c '%n %F' *; dd if=disk count=1 | wc -c; cat mem | wc -c";
    let words = ["run", "--rm", "devices", "sh", "-c", script];
    let lines = tierce.ok(words);
    assert_eq!(
        lines.lines().collect::<Vec<_>>(),
        [
            "disk regular empty file",
            "mem regular empty file",
            "null character special file",
            "0",
            "0"
        ]
    );
    // In the image they are what they were.
    let archive = tierce.scratch().path().join("files.tar").display().to_string();
    tierce.ok(["create", "--name", "three", "devices"]);
    tierce.ok(["export", "-o", &archive, "three"]);
    let listed = std::process::Command::new("tar").args(["-tvf", &archive]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let kinds: Vec<&str> = listed
        .lines()
        .filter(|line| line.contains(" in/") && !line.ends_with('/'))
        .map(|line| &line[..10])
        .collect();
    assert_eq!(kinds, ["brw-rw-rw-", "crw-rw-rw-", "crw-rw-rw-"], "{listed}");
}
