//! A container's terminal, looked at through a real one.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use testutil::{Tierce, busybox};

/// Both sides of a terminal of 33 rows and 77 columns.
fn terminal() -> (File, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).expect("a terminal");
    unlockpt(&ours).expect("a terminal");
    let name = ptsname(&ours, Vec::new()).expect("a name");
    let theirs = File::options()
        .read(true)
        .write(true)
        .open(name.to_str().expect("a text"))
        .expect("the other side");
    let size = Winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&ours, size).expect("a size");
    (ours.into(), theirs)
}

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
