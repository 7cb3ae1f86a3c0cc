//! Containers that are held still, looked at while they run, and cleared away.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::process::Command;
use std::time::Duration;

use testutil::{Tierce, busybox, processes_with, wait_until};

fn tierce() -> Tierce {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    tierce
}

/// A container that counts in a file, as fast as it can.
fn counting(tierce: &Tierce, name: &str, more: &[&str]) {
    let script = "i=0; while :; do i=$((i+1)); echo $i > /new; mv /new /count; usleep 1000; done";
    let run = ["run", "-d", "--name", name];
    tierce.ok([&run[..], more, &["busybox", "sh", "-c", script]].concat());
}

fn count(tierce: &Tierce, name: &str) -> u64 {
    let copied = tierce.scratch().join("count");
    tierce.ok(["cp", &format!("{name}:/count"), copied.to_str().unwrap()]);
    std::fs::read_to_string(copied).unwrap().trim().parse().unwrap_or_default()
}

fn assert_holds_and_goes_on(tierce: &Tierce, name: &str) {
    wait_until("it counts", || {
        tierce.run(["exec", name, "test", "-s", "/count"]).code == 0 && count(tierce, name) > 0
    });
    assert_eq!(tierce.ok(["pause", name]), format!("{name}\n"));
    let still = count(tierce, name);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(count(tierce, name), still);
    assert!(tierce.ok(["ps", "--format", "{{.Status}}"]).contains("(Paused)"));
    assert_eq!(
        tierce.ok(["inspect", "-f", "{{.State.Status}} {{.State.Paused}}", name]),
        "paused true\n"
    );
    let refused = tierce.run(["exec", name, "true"]);
    assert!(refused.code != 0 && refused.stderr.contains("is paused"), "{refused:?}");
    assert!(tierce.run(["pause", name]).stderr.contains("paused already"));
    assert_eq!(tierce.ok(["unpause", name]), format!("{name}\n"));
    wait_until("it goes on", || count(tierce, name) > still);
    assert!(tierce.run(["unpause", name]).stderr.contains("is not paused"));
}

#[test]
fn a_container_is_held_still_and_goes_on() {
    let tierce = tierce();
    counting(&tierce, "plain", &[]);
    assert_holds_and_goes_on(&tierce, "plain");
    // A second time, with a process that came later.
    tierce.ok(["exec", "-d", "plain", "sleep", "100"]);
    assert_holds_and_goes_on(&tierce, "plain");
    tierce.ok(["rm", "-f", "plain"]);
}

#[test]
fn what_is_held_still_can_be_ended_in_each_way() {
    let tierce = tierce();
    for end in [&["stop", "-t", "0", "xx"][..], &["kill", "xx"], &["rm", "-f", "xx"]] {
        counting(&tierce, "xx", &[]);
        tierce.ok(["pause", "xx"]);
        tierce.ok(end.to_vec());
        assert!(tierce.ok(["ps", "-q"]).is_empty(), "{end:?}");
        tierce.ok(["rm", "-f", "xx"]);
    }
    counting(&tierce, "lost", &[]);
    tierce.ok(["pause", "lost"]);
    let pid = tierce.ok(["inspect", "--format", "{{.State.Pid}}", "lost"]);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
    let keeper = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap();
    assert!(Command::new("kill").args(["-9", keeper]).status().unwrap().success());
    let mark = tierce.scratch().path().file_name().unwrap().to_string_lossy().into_owned();
    wait_until("nothing is left", || processes_with(&mark).is_empty());
    wait_until("its end is known", || tierce.ok(["ps", "-q"]).is_empty());
}

#[test]
fn a_commit_holds_its_container_still_meanwhile() {
    let tierce = tierce();
    counting(&tierce, "cc", &[]);
    wait_until("it counts", || tierce.run(["exec", "cc", "test", "-s", "/count"]).code == 0);
    tierce.ok(["commit", "cc", "first"]);
    let before = count(&tierce, "cc");
    wait_until("it goes on", || count(&tierce, "cc") > before);
    tierce.ok(["commit", "--pause=false", "cc", "second"]);
    // One that was paused before stays so.
    tierce.ok(["pause", "cc"]);
    tierce.ok(["commit", "cc", "third"]);
    assert_eq!(tierce.ok(["inspect", "-f", "{{.State.Status}}", "cc"]), "paused\n");
    tierce.ok(["rm", "-f", "cc"]);
}

#[test]
fn a_commit_that_is_killed_leaves_its_container_running() {
    let tierce = tierce();
    counting(&tierce, "cc", &[]);
    wait_until("it counts", || tierce.run(["exec", "cc", "test", "-s", "/count"]).code == 0);
    tierce.ok(["exec", "cc", "dd", "if=/dev/urandom", "of=/large", "bs=1M", "count=64"]);
    let paused = || tierce.ok(["inspect", "-f", "{{.State.Paused}}", "cc"]) == "true\n";
    let mut seen_paused = false;
    while !seen_paused {
        let mut commit = tierce.command(["commit", "cc", "image"]).spawn().unwrap();
        while commit.try_wait().unwrap().is_none() && !seen_paused {
            seen_paused = paused();
        }
        commit.kill().unwrap();
        commit.wait().unwrap();
    }
    wait_until("it goes on", || !paused());
    let before = count(&tierce, "cc");
    wait_until("it counts on", || count(&tierce, "cc") > before);
    tierce.ok(["rm", "-f", "cc"]);
}

#[test]
fn the_processes_of_a_container_are_listed() {
    let tierce = tierce();
    tierce.ok(["run", "-d", "--name", "tt", "-u", "7", "busybox", "sleep", "1000"]);
    tierce.ok(["exec", "-d", "-u", "0", "tt", "sleep", "2000"]);
    let listed = || tierce.ok(["top", "tt", "-o", "uid,args"]);
    wait_until("both are there", || listed().contains("2000"));
    let text = listed();
    let mut lines: Vec<Vec<&str>> =
        text.lines().map(|line| line.split_whitespace().collect()).collect();
    lines.sort();
    assert_eq!(
        lines,
        [vec!["0", "sleep", "2000"], vec!["7", "sleep", "1000"], vec!["UID", "COMMAND"]]
    );
    let full = tierce.ok(["top", "tt"]);
    let heading: Vec<&str> = full.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heading, ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    let pid = tierce.ok(["inspect", "-f", "{{.State.Pid}}", "tt"]);
    assert!(full.contains(&format!(" {} ", pid.trim())), "{full}");
    tierce.ok(["rm", "-f", "tt"]);
    assert_eq!(tierce.run(["top", "tt"]).code, 1);
}

#[test]
fn what_containers_use_is_shown() {
    let tierce = tierce();
    tierce.ok(["run", "-d", "--name", "busy", "busybox", "sh", "-c", "while :; do :; done"]);
    tierce.ok(["create", "--name", "idle", "busybox", "true"]);
    let format = "{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.PIDs}}";
    let text = tierce.ok(["stats", "--no-stream", "-a", "--format", format]);
    let busy = text.lines().find(|line| line.starts_with("busy|")).unwrap();
    let fields: Vec<&str> = busy.split('|').collect();
    let share: f64 = fields[1].trim_end_matches('%').parse().unwrap();
    assert!(share > 5.0, "{text}");
    assert!(!fields[2].starts_with("0B") && fields[2].contains("iB / "), "{text}");
    assert_eq!(fields[3], "1", "{text}");
    assert!(text.contains("idle|0.00%|0B / 0B|0\n"), "{text}");
    tierce.ok(["rm", "-f", "busy", "idle"]);
}

#[test]
fn containers_that_do_not_run_are_cleared_away() {
    let tierce = tierce();
    tierce.ok(["run", "--name", "over", "busybox", "sh", "-c", "echo 12345 > /file"]);
    tierce.ok(["run", "--name", "kept", "--label", "keep=yes", "busybox", "true"]);
    tierce.ok(["run", "-d", "--name", "runs", "busybox", "sleep", "1000"]);
    let id = tierce.ok(["inspect", "-f", "{{.Id}}", "over"]);
    let prune = ["container", "prune", "-f", "--filter", "label!=keep=yes"];
    let said = tierce.ok(prune);
    assert!(said.starts_with(&format!("Deleted Containers:\n{id}")), "{said}");
    assert!(said.ends_with("Total reclaimed space: 6B\n"), "{said}");
    let names = tierce.ok(["ps", "-a", "--format", "{{.Names}}"]);
    assert_eq!(names, "runs\nkept\n");
    assert_eq!(tierce.ok(prune), "Total reclaimed space: 0B\n");
    tierce.ok(["rm", "-f", "runs", "kept"]);
}

#[test]
fn a_detached_container_holds_nothing_that_its_starter_had_open() {
    let tierce = tierce();
    let lock = tierce.scratch().write("lock", "");
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 8>\"$0\" && flock -n 8 && exec \"$@\""]).arg(&lock);
    let run = tierce.command(["run", "-d", "--name", "held", "busybox", "sleep", "100"]);
    shell.arg(run.get_program()).args(run.get_args());
    for (key, value) in run.get_envs() {
        match value {
            Some(value) => shell.env(key, value),
            None => shell.env_remove(key),
        };
    }
    testutil::run_ok(&mut shell, [] as [&str; 0]);
    let free = Command::new("flock").arg("-n").arg(&lock).arg("true").status().unwrap();
    assert!(free.success(), "the keeper has the lock of who started it");
    tierce.ok(["rm", "-f", "held"]);
}
