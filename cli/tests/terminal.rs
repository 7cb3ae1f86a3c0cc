//! A container's terminal, looked at through a real one.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use rustix::termios::tcgetattr;
use testutil::{Session, Tierce, busybox, terminal, wait_until};

#[test]
fn a_container_with_a_terminal_has_its_size_its_keys_and_leaves_ours_as_it_was() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let (mut ours, theirs) = terminal();
    let before = tcgetattr(&theirs).expect("modes");
    let stream = || Stdio::from(OwnedFd::from(theirs.try_clone().expect("a copy")));
    let script = "tty; stty size; echo ready; read line; echo got $line; exit 5";
    let mut child = tierce
        .command(["run", "--rm", "-it", "busybox", "sh", "-c", script])
        .stdin(stream())
        .stdout(stream())
        .stderr(stream())
        .spawn()
        .expect("tierce starts");
    let mut seen = String::new();
    let mut buffer = [0; 1024];
    while !seen.contains("ready") {
        let count = ours.read(&mut buffer).expect("what the container says");
        seen += &String::from_utf8_lossy(&buffer[..count]);
    }
    assert!(seen.contains("/dev/console\r\n33 77\r\n"), "{seen:?}");
    ours.write_all(b"typed\r").expect("keys");
    while !seen.contains("got typed") {
        let count = ours.read(&mut buffer).expect("what the container says");
        seen += &String::from_utf8_lossy(&buffer[..count]);
    }
    assert_eq!(child.wait().expect("an end").code(), Some(5), "{seen:?}");
    let after = tcgetattr(&theirs).expect("modes");
    assert_eq!(before.local_modes, after.local_modes);
    assert_eq!(before.input_modes, after.input_modes);
}

#[test]
fn a_container_is_left_to_itself_and_come_back_to() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let before = tcgetattr(&terminal().1).unwrap();
    let script = "echo ready; while read line; do echo got $line; done";
    let run = ["run", "-it", "--name", "box", "busybox", "sh", "-c", script];
    let mut session = Session::start(&tierce, &run);
    session.until("ready");
    session.type_keys(b"\x10\x11");
    assert_eq!(session.end(&before), 0);
    assert_eq!(tierce.ok(["ps", "--format", "{{.Names}}"]), "box\n");

    let mut session = Session::start(&tierce, &["attach", "--detach-keys", "ctrl-x,y", "box"]);
    session.type_keys(b"one\r");
    session.until("got one");
    session.type_keys(b"\x18y");
    assert_eq!(session.end(&before), 0);

    // A killed command leaves the container, too; the next one finds it.
    let mut session = Session::start(&tierce, &["attach", "box"]);
    session.type_keys(b"two\r");
    session.until("got two");
    session.child.kill().unwrap();
    session.child.wait().unwrap();
    let mut session = Session::start(&tierce, &["attach", "box"]);
    session.type_keys(b"three\r");
    session.until("got three");
    // Control-C is the container's: its shell ends.
    session.type_keys(b"\x03");
    assert_eq!(session.end(&before), 130);
    tierce.ok(["rm", "box"]);
}

#[test]
fn a_command_in_a_container_has_a_terminal_of_its_own() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let before = tcgetattr(&terminal().1).unwrap();
    tierce.ok(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    let script = "tty; stty size; echo ready; trap 'stty size' WINCH; read line; echo got $line; \
                  while sleep 0.01; do :; done";
    let mut session = Session::start(&tierce, &["exec", "-it", "box", "sh", "-c", script]);
    session.until("/dev/pts/0\r\n33 77\r\nready");
    session.type_keys(b"typed\r");
    session.until("got typed");
    session.type_keys(b"\x03");
    assert_eq!(session.end(&before), 130);
    tierce.ok(["rm", "-f", "box"]);
}

#[test]
fn a_terminal_needs_no_input_and_input_no_terminal() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    assert_eq!(tierce.ok(["run", "--rm", "-t", "busybox", "echo", "hi"]), "hi\r\n");
    let mut child = tierce
        .command(["run", "--rm", "-i", "busybox", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tierce starts");
    child.stdin.take().expect("an input").write_all(b"through").expect("written");
    assert_eq!(child.wait_with_output().expect("an end").stdout, b"through");
}

#[test]
fn a_container_that_chroot_alone_confines_has_terminals_too() {
    let launcher = ["env", "TIERCE_ISOLATION=chroot"];
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce")).launched_by(launcher);
    busybox(&tierce);
    let before = tcgetattr(&terminal().1).unwrap();
    let script = "stty size; echo ready; read line; echo got $line; exit 5";
    let run = ["run", "-it", "--name", "box", "busybox", "sh", "-c", script];
    let mut session = Session::start(&tierce, &run);
    session.until("33 77");
    session.until("ready");
    session.type_keys(b"typed\r");
    session.until("got typed");
    assert_eq!(session.end(&before), 5);

    tierce.ok(["run", "-d", "--name", "runs", "busybox", "sleep", "1000"]);
    let mut session = Session::start(&tierce, &["exec", "-it", "runs", "sh"]);
    session.type_keys(b"stty size; test -t 0 && echo a terminal\r");
    session.until("33 77");
    session.until("a terminal");
    session.type_keys(b"exit 7\r");
    assert_eq!(session.end(&before), 7);
    tierce.ok(["rm", "-f", "runs"]);
}

#[test]
fn a_command_is_left_to_itself_by_its_keys() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let before = tcgetattr(&terminal().1).unwrap();
    tierce.ok(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    // It says more than its terminal holds.
    let script = "echo ready; read line; yes | head -n 100000; touch /done; sleep 1000";
    for keys in ["ctrl-p,ctrl-q", "ctrl-x,y"] {
        let exec = ["exec", "-it", "--detach-keys", keys, "box", "sh", "-c", script];
        let mut session = Session::start(&tierce, &exec);
        session.until("ready");
        let typed: &[u8] = if keys == "ctrl-x,y" { b"\r\x18y" } else { b"\r\x10\x11" };
        session.type_keys(typed);
        assert_eq!(session.end(&before), 0);
        wait_until("it has gone on", || tierce.run(["exec", "box", "rm", "/done"]).code == 0);
    }
    // Docker's configuration may have others.
    tierce.scratch().write("config/config.json", "{\"detachKeys\": \"ctrl-a,b\"}");
    let config = tierce.scratch().join("config");
    let exec = ["--config", config.to_str().unwrap(), "exec", "-it", "box", "sh", "-c", script];
    let mut session = Session::start(&tierce, &exec);
    session.until("ready");
    session.type_keys(b"\r\x01b");
    assert_eq!(session.end(&before), 0);
    wait_until("it has gone on", || tierce.run(["exec", "box", "rm", "/done"]).code == 0);
    // All go on, and the container's own.
    assert_eq!(tierce.ok(["top", "box", "-o", "args"]).matches("sleep 1000").count(), 4);
    tierce.ok(["rm", "-f", "box"]);
}
