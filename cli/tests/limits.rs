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

#[test]
fn limits_are_changed_while_a_container_runs() {
    let tierce = with_image();
    let id = tierce.ok(["run", "-d", "--name", "one", "busybox", "sleep", "1000"]);
    let update = |words: &[&str]| tierce.run([&["update"], words, &["one"]].concat());
    let limited = update(&["--pids-limit", "10"]);
    if limited.stderr.contains("no control group with the controller") {
        return;
    }
    assert_eq!((limited.code, limited.stdout.as_str()), (0, "one\n"), "{}", limited.stderr);
    let script = "i=0; while [ $i -lt 50 ]; do sleep 5 & i=$((i + 1)); done; echo all";
    let bomb = || tierce.run(["exec", "one", "sh", "-c", script]);
    let said = bomb();
    assert!(said.stderr.contains("can't fork") && !said.stdout.contains("all"), "{said:?}");
    assert_eq!(update(&["--pids-limit", "-1"]).code, 0);
    assert!(bomb().stdout.contains("all"));

    // Up and down, whatever the kernel wants to be written first.
    for words in [
        &["-m", "64m", "--memory-swap", "64m"][..],
        &["-m", "128m", "--memory-swap", "256m"],
        &["-m", "32m", "--memory-swap", "32m"],
        &["--memory-swap", "-1", "--cpus", "0.5", "--cpu-shares", "512", "--cpuset-cpus", "0"],
        &["--restart", "on-failure:3"],
    ] {
        let updated = update(words);
        assert_eq!(updated.code, 0, "{words:?}: {}", updated.stderr);
    }
    let format = "{{with .HostConfig}}{{.Memory}} {{.MemorySwap}} {{.NanoCpus}} {{.CpuShares}} \
                  {{.CpusetCpus}} {{.PidsLimit}} {{.RestartPolicy.Name}}{{end}}";
    let expected = "33554432 -1 500000000 512 0 -1 on-failure\n";
    assert_eq!(tierce.ok(["inspect", "-f", format, "one"]), expected);
    let allowed = tierce.ok(["exec", "one", "grep", "Cpus_allowed_list", "/proc/1/status"]);
    assert_eq!(allowed, "Cpus_allowed_list:\t0\n");
    let large = "dd if=/dev/zero of=/dev/null bs=67108864 count=1";
    assert_eq!(update(&["--memory-swap", "32m"]).code, 0);
    assert_eq!(tierce.run(["exec", "one", "sh", "-c", large]).code, 137);

    // What was changed is so at the next start, too.
    tierce.ok(["restart", "-t", "0", "one"]);
    assert_eq!(tierce.run(["exec", "one", "sh", "-c", large]).code, 137);
    for words in [&["-m", "1m"][..], &["--memory-swap", "16m"], &["--restart", "x"], &[]] {
        let refused = update(words);
        assert!(refused.code != 0 && refused.stdout.is_empty(), "{words:?}: {refused:?}");
    }
    assert_eq!(tierce.run(["update", "-m", "64m", "nobody", &id[..12]]).code, 1);
    tierce.ok(["run", "-d", "--rm", "--name", "brief", "busybox", "sleep", "1000"]);
    assert_eq!(tierce.run(["update", "--restart", "always", "brief"]).code, 1);
    tierce.ok(["rm", "-f", "one", "brief"]);
    assert_eq!(groups_left(), 0);
}

#[test]
fn disks_are_limited_where_there_are_any() {
    let tierce = with_image();
    let disk = ["vda", "sda", "nvme0n1"].map(|name| format!("/dev/{name}"));
    if let Some(disk) = disk.iter().find(|disk| Path::new(disk).exists()) {
        for (option, field, value) in [
            ("--device-read-bps", "BlkioDeviceReadBps", "1mb"),
            ("--device-write-bps", "BlkioDeviceWriteBps", "1mb"),
            ("--device-read-iops", "BlkioDeviceReadIOps", "100"),
            ("--device-write-iops", "BlkioDeviceWriteIOps", "100"),
        ] {
            let limit = format!("{disk}:{value}");
            let run = ["run", "--name", "one", option, &limit, "busybox", "true"];
            let output = tierce.run(run);
            let refused = output.stderr.contains("no control group with the controller");
            assert!(output.code == 0 || refused, "{option}: {output:?}");
            let format = format!("{{{{range .HostConfig.{field}}}}}{{{{.Path}}}}{{{{end}}}}");
            assert_eq!(tierce.ok(["inspect", "-f", &format, "one"]).trim(), disk);
            tierce.ok(["rm", "one"]);
        }
    }
    for words in [
        ["--device-read-bps", "x"],
        ["--device-read-bps", "/dev/null:1mb"],
        ["--device-read-iops", "/dev/vda:1mb"],
        ["--blkio-weight", "3"],
        ["--memory-swappiness", "200"],
    ] {
        let output = tierce.run([&["run", "--rm"][..], &words, &["busybox", "true"]].concat());
        assert_eq!(output.code, 125, "{words:?}");
    }
    assert_eq!(groups_left(), 0);
}

#[test]
fn memory_is_kept_as_the_options_say() {
    let tierce = with_image();
    for options in [&["-m", "64m", "--oom-kill-disable"][..], &["--memory-swappiness", "0"]] {
        if let Some((code, said)) = limited(&tierce, options, "echo runs") {
            assert_eq!((code, said.as_str()), (0, "runs\n"), "{options:?}");
        }
    }
}

#[test]
fn options_that_are_not_here_say_why() {
    let tierce = Tierce::new(BINARY);
    for (option, reason) in [
        ("--cgroup-parent=/x", "control groups of containers"),
        ("--cpu-rt-period=1", "--cpu-shares"),
        ("--cpu-rt-runtime=1", "--cpu-shares"),
        ("--device-cgroup-rule=c 1:3 mr", "--device"),
        ("--gpus=all", "graphics"),
        ("--ip6=fd00::1", "version 4"),
        ("--kernel-memory=10m", "--memory"),
        ("--link-local-ip=169.254.1.1", "--ip"),
        ("--runtime=runc", "runtime"),
        ("--storage-opt=size=1g", "size"),
        ("--use-api-socket", "daemon"),
        ("--volume-driver=other", "local"),
        ("--disable-content-trust=false", "true"),
    ] {
        let output = tierce.run(["run", option, "busybox"]);
        assert_eq!(output.code, 125, "{option}");
        assert!(output.stderr.contains(reason), "{option}: {}", output.stderr);
    }
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
