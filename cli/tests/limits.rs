//! How much a container may use, where control groups can be made.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::path::Path;

use testutil::{Tierce, busybox_in};

const BINARY: &str = env!("CARGO_BIN_EXE_tierce");

fn with_image() -> Tierce {
    let tierce = Tierce::new(BINARY);
    let base = tierce.scratch().join("base");
    std::fs::create_dir_all(&base).unwrap();
    busybox_in(&tierce, Path::new(&base));
    tierce
}

/// A run with a limit; nothing where the machine has no control group for it, which must be said.
fn limited(tierce: &Tierce, limits: &[&str], script: &str) -> Option<(i32, String)> {
    let command = ["busybox", "sh", "-c", script];
    let output = tierce.run([&["run", "--rm"], limits, &command].concat());
    if output.stderr.contains("no control group with the controller") {
        assert_eq!(output.code, 125);
        return None;
    }
    Some((output.code, output.stdout + &output.stderr))
}

#[test]
fn a_fork_bomb_stops_at_the_limit_of_processes() {
    let tierce = with_image();
    let script = "i=0; while [ $i -lt 50 ]; do sleep 5 & i=$((i + 1)); done; echo all";
    if let Some((code, said)) = limited(&tierce, &["--pids-limit", "10"], script) {
        assert!(said.contains("can't fork") && !said.contains("all"), "{code} {said}");
    }
    assert_eq!(groups_left(), 0);
}

#[test]
fn an_allocation_beyond_the_limit_of_memory_is_killed() {
    let tierce = with_image();
    let script = "dd if=/dev/zero of=/dev/null bs=67108864 count=1; echo status $?";
    let limits = ["--memory", "16m", "--memory-swap", "16m"];
    if let Some((_, said)) = limited(&tierce, &limits, script) {
        assert!(said.contains("status 137"), "{said}");
    }
    if let Some((code, said)) = limited(&tierce, &["-m", "128m"], script) {
        assert!(code == 0 && said.contains("status 0"), "{said}");
    }
}

#[test]
fn a_container_sees_its_own_groups_as_the_first() {
    let tierce = with_image();
    let script = "cat /proc/self/cgroup";
    if let Some((_, said)) = limited(&tierce, &["--cpus", "0.5", "--cpu-shares", "512"], script) {
        assert!(!said.contains("tierce-"), "{said}");
    }
}

#[test]
fn limits_that_cannot_be_meant_are_refused() {
    let tierce = with_image();
    for limits in [
        &["--memory", "1m"][..],
        &["--memory-swap", "64m"],
        &["--memory", "64m", "--memory-swap", "32m"],
        &["--memory", "much"],
        &["--cpus", "-1"],
        &["--cpuset-cpus", "a"],
    ] {
        let output = tierce.run([&["run", "--rm"], limits, &["busybox", "true"]].concat());
        assert_ne!(output.code, 0, "{limits:?}");
    }
}

/// As `docker build` has it: each RUN is limited, and what it came to is used again without limits.
#[test]
fn a_build_may_limit_its_steps() {
    let tierce = with_image();
    let context = tierce.scratch().join("limited");
    std::fs::create_dir_all(&context).unwrap();
    let text = "FROM busybox\nARG BS=1\nRUN dd if=/dev/zero of=/dev/null bs=$BS count=1\n";
    std::fs::write(context.join("Dockerfile"), text).unwrap();
    let context = context.to_str().unwrap();
    let build = |more: &[&str]| {
        let output = tierce.run([&["build", "--progress=plain"], more, &[context]].concat());
        let refused = output.stderr.contains("no control group with the controller");
        (!refused).then_some(output)
    };
    let limits = ["-m", "16m", "--memory-swap=16m", "--cpu-shares=512"];
    let large = [&limits[..], &["--build-arg", "BS=67108864"]].concat();
    if let Some(output) = build(&large) {
        assert_eq!(output.code, 137, "{}", output.stderr);
    }
    if let Some(output) = build(&limits) {
        assert_eq!(output.code, 0, "{}", output.stderr);
        let again = build(&[]).unwrap();
        assert!(again.stderr.contains("#2 CACHED"), "{}", again.stderr);
    }
    assert_eq!(groups_left(), 0);
}

/// Groups that containers of this process's children left behind.
fn groups_left() -> usize {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let path = groups.lines().find_map(|line| line.split_once(":pids:")).map(|(_, path)| path);
    let Some(path) = path else { return 0 };
    let entries = std::fs::read_dir(format!("/sys/fs/cgroup/pids{path}")).into_iter().flatten();
    let left = entries.flatten().filter(|entry| {
        let name = entry.file_name().into_string().unwrap_or_default();
        let maker = name.strip_prefix("tierce-").and_then(|rest| rest.split_once('-'));
        maker.is_some_and(|(maker, _)| !Path::new("/proc").join(maker).exists())
    });
    left.count()
}
