//! What is left of a container whose program is killed: nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::Root;

/// The children of the program, started by one of its threads: the container's process 1, and
/// its warden where that is no init.
fn children_of(program: u32) -> Vec<String> {
    let children: String = fs::read_dir(format!("/proc/{program}/task"))
        .unwrap()
        .map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap())
        .collect();
    children.split_ascii_whitespace().map(|process| format!("/proc/{process}")).collect()
}

/// Whether a process still does anything: one that is only waited for by the machine's init
/// does not.
fn runs(process: &str) -> bool {
    fs::read_to_string(format!("{process}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

#[test]
fn a_killed_program_leaves_no_container() {
    let script = "echo started; sleep 1000; true";
    let with_shell = ["sh", "-c", script];
    // A process 1 that becomes another user is no longer the kernel's to end.
    let with_su = ["su", "-s", "/bin/sh", "somebody", "-c", script];
    for (options, args) in [
        ([].as_slice(), with_shell.as_slice()),
        (&["--init"], &with_shell),
        (&["--user", "1000"], &with_shell),
        (&["--init", "--user", "1000"], &with_shell),
        (&[], &with_su),
        (&["--init"], &with_su),
    ] {
        let root = Root::new();
        std::os::unix::fs::symlink("busybox", root.path().join("bin/su")).unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        let passwd = "root:x:0:0::/:/bin/sh\nsomebody:x:7:7::/:/bin/sh\n";
        fs::write(root.path().join("etc/passwd"), passwd).unwrap();
        fs::write(root.path().join("etc/group"), "somebody:x:7:\n").unwrap();
        let mut program = Command::new(root.example())
            .args(options)
            .arg(root.path())
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "started\n");
        let processes = children_of(program.id());
        let expected = if options.contains(&"--init") { 1 } else { 2 };
        let running = processes.iter().filter(|process| runs(process)).count();
        assert_eq!(running, expected, "{options:?} {processes:?}");

        program.kill().unwrap();
        program.wait().unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while processes.iter().any(|process| runs(process)) {
            assert!(Instant::now() < end, "{options:?} {args:?}: the container is still there");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
