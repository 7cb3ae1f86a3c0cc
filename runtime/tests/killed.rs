//! What is left of a container whose program is killed: nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::Root;

/// The container's process 1 is the only child of the program, started by one of its threads.
fn child_of(program: u32) -> String {
    fs::read_dir(format!("/proc/{program}/task"))
        .unwrap()
        .map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap())
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Whether a process still does anything: one that is only waited for by the machine's init
/// does not.
fn runs(process: &str) -> bool {
    fs::read_to_string(format!("{process}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

#[test]
fn a_killed_program_leaves_no_container() {
    let with_user = ["--user", "1000"];
    for options in [[].as_slice(), &["--init"], &with_user, &["--init", "--user", "1000"]] {
        let root = Root::new();
        let mut program = Command::new(root.example())
            .args(options)
            .arg(root.path())
            .args(["sh", "-c", "echo started; sleep 1000; true"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "started\n");
        let process = format!("/proc/{}", child_of(program.id()));
        assert!(runs(&process), "{process}");

        program.kill().unwrap();
        program.wait().unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while runs(&process) {
            assert!(Instant::now() < end, "{options:?}: the container is still there");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
