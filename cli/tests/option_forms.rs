//! What `run` is told, in all the forms in which scripts for docker write it.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use testutil::{Tierce, busybox};

fn tierce() -> Tierce {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    tierce
}

#[test]
fn values_stand_in_the_word_of_their_letter() {
    let tierce = tierce();
    for (options, script, expected) in [
        (&["-eX=1", "-e=Y=2"][..], "echo $X$Y", "12\n"),
        (&["-w/etc"], "pwd", "/etc\n"),
        (&["-h=here"], "hostname", "here\n"),
        (&["-u1", "-ieX=3"], "echo $(id -u)$X", "13\n"),
        (&["-v/proc/version:/v:ro"], "test -f /v && echo yes", "yes\n"),
        (&["-i=false"], "echo \"$@\"", "\n"),
    ] {
        let run = [&["run", "--rm"], options, &["busybox", "sh", "-c", script]].concat();
        assert_eq!(tierce.ok(run), expected, "{options:?}");
    }
    // What follows the image is its command's.
    assert_eq!(tierce.ok(["run", "--rm", "busybox", "echo", "-eX=1", "-w/"]), "-eX=1 -w/\n");
    let unknown = tierce.run(["run", "--rm", "-Qx", "busybox", "true"]);
    assert!(unknown.code == 125 && unknown.stderr.contains("`-Qx`"), "{unknown:?}");
    tierce.ok(["run", "-d", "--name", "/one", "busybox", "sleep", "1000"]);
    assert_eq!(
        tierce.ok(["exec", "-eX=4", "-w=/etc", "one", "sh", "-c", "echo $X; pwd"]),
        "4\n/etc\n"
    );
    tierce.ok(["rm", "-f", "one"]);
}

#[test]
fn a_variable_that_we_do_not_have_is_kept_from_the_container() {
    let tierce = tierce();
    let names = "env | cut -d= -f1 | sort | tr '\\n' ' '";
    let run =
        ["run", "--name", "one", "-e", "HOSTNAME", "-e", "NOWHERE", "busybox", "sh", "-c", names];
    assert_eq!(tierce.ok(run), "HOME PATH PWD SHLVL ");
    // A home that is empty is none.
    assert_eq!(
        tierce.ok(["run", "--rm", "-e", "HOME=", "busybox", "sh", "-c", "echo $HOME"]),
        "/root\n"
    );
    // It is nothing that an image could keep.
    tierce.ok(["commit", "-q", "one", "kept"]);
    let env = tierce.ok(["inspect", "-f", "{{len .Config.Env}}", "kept"]);
    assert_eq!(env, "1\n");
}

#[test]
fn what_contradicts_itself_is_refused_and_what_repeats_itself_is_not() {
    let tierce = tierce();
    tierce.ok(["run", "-d", "--name", "parent", "busybox", "sleep", "1000"]);
    let shared = "--net=container:parent";
    for (options, reason) in [
        (&[shared, "-p", "5000:5000"][..], "port publishing"),
        (&[shared, "-P"], "port publishing"),
        (&[shared, "--expose", "5000"], "port exposing"),
        (&[shared, "--dns", "1.2.3.4"], "dns"),
        (&[shared, "--add-host", "a:1.2.3.4"], "host-to-IP"),
        (&[shared, "-h", "other"], "hostname"),
        (&["--name=me", "--net=container:me"], "its own network"),
        (&["-v", "/proc//sys"], "in /proc"),
        (&["-v", "/a:/x", "-v", "/b:/x"], "duplicate mount point: /x"),
        (&["-v", "/tmp:/x:nocopy"], "nocopy"),
        (&["-m", "500M", "--memory-reservation", "800M"], "--memory-reservation"),
        (&["--memory-reservation", "1k"], "6MB"),
        (&["--cpu-period", "900"], "--cpu-period"),
        (&["--link", "nothing:nothing"], "no such container: nothing"),
        (&["--device", "/dev/zero:ro"], "`ro`"),
        (&["--device", "/etc"], "no device in /etc"),
        (&["--net", "bridge", "--net-alias", "a"], "of your own"),
        (&["--cpuset-cpus", "4096"], "of 4096"),
        (&["-e", "=x"], "invalid environment variable"),
    ] {
        let refused = tierce.run([&["run", "--rm"], options, &["busybox", "true"]].concat());
        assert!(refused.code == 125 && refused.stderr.contains(reason), "{options:?}: {refused:?}");
    }
    assert_eq!(tierce.ok(["ps", "-aq"]).lines().count(), 1, "the parent alone");
    tierce.ok(["run", "--rm", "-v", "/tmp:/x", "-v", "/tmp:/x", "busybox", "true"]);
    tierce.scratch().write("empty/Dockerfile", "FROM scratch\nLABEL a=b\n");
    tierce.ok(["build", "-q", "-t", "empty", tierce.scratch().join("empty").to_str().unwrap()]);
    let id_file = tierce.scratch().join("id");
    let nothing = tierce.run(["run", "--cidfile", id_file.to_str().unwrap(), "empty"]);
    assert!(nothing.code == 125 && nothing.stderr.contains("no command specified"), "{nothing:?}");
    assert!(!id_file.exists());
    for option in ["no-new-privileges=false", "no-new-privileges:false", "no-new-privileges"] {
        tierce.ok(["run", "--rm", "--security-opt", option, "busybox", "true"]);
    }
    tierce.ok(["run", "--rm", "--log-opt", "max-size=9.035m", "busybox", "true"]);
    tierce.ok(["rm", "-f", "parent"]);
}

#[test]
fn names_belong_to_the_network() {
    let tierce = tierce();
    tierce.ok([
        "run",
        "-d",
        "--name",
        "parent",
        "-h",
        "a.example",
        "--net",
        "none",
        "busybox",
        "sleep",
        "1000",
    ]);
    let both = ["run", "--rm", "--net=container:parent", "busybox", "cat", "/etc/hostname"];
    assert_eq!(tierce.ok(both), "a.example\n");
    let hosts = tierce.ok(["run", "--rm", "-h", "a.example", "busybox", "cat", "/etc/hosts"]);
    assert!(hosts.lines().any(|line| line.ends_with("\ta.example a")), "{hosts}");
    let machine = tierce.ok(["run", "--rm", "--net=host", "--uts=host", "busybox", "hostname"]);
    assert_eq!(tierce.ok(["run", "--rm", "--net=host", "busybox", "hostname"]), machine);
    tierce.ok(["rm", "-f", "parent"]);
}

#[test]
fn mounts_are_called_as_with_docker_and_are_there_once() {
    let tierce = tierce();
    let script = "cut -d' ' -f1-3 /proc/mounts | grep -v ' /etc/'";
    let mounts = tierce.ok(["run", "--rm", "--shm-size=1g", "busybox", "sh", "-c", script]);
    for expected in [
        "overlay / overlay",
        "proc /proc proc",
        "devpts /dev/pts devpts",
        "shm /dev/shm tmpfs",
        "mqueue /dev/mqueue mqueue",
        "sysfs /sys sysfs",
    ] {
        assert_eq!(
            mounts.lines().filter(|line| *line == expected).count(),
            1,
            "{expected}: {mounts}"
        );
    }
    assert!(!mounts.contains("none"), "{mounts}");
    assert_eq!(
        tierce.ok([
            "run",
            "--rm",
            "--shm-size=1g",
            "busybox",
            "sh",
            "-c",
            "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2"
        ]),
        "1048576\n"
    );
}

#[test]
fn network_files_are_there_whatever_is_mounted_above_them() {
    let tierce = tierce();
    let server =
        ["run", "--rm", "--dns=127.0.0.1", "-v", "/etc", "busybox", "cat", "/etc/resolv.conf"];
    assert!(tierce.ok(server).starts_with("nameserver 127.0.0.1\n"));
    for file in ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"] {
        let touched = tierce.run(["run", "--rm", "--read-only", "busybox", "touch", file]);
        assert!(touched.stderr.contains("Read-only file system"), "{touched:?}");
    }
    tierce.ok(["run", "--name", "parent", "-v", "/test", "busybox", "touch", "/test/foo"]);
    tierce.ok([
        "run",
        "--rm",
        "--volumes-from",
        "parent",
        "-v",
        "/test",
        "busybox",
        "cat",
        "/test/foo",
    ]);
}

#[test]
fn who_takes_part_in_the_input_alone_is_told_the_id() {
    let tierce = tierce();
    let said = tierce.ok(["run", "-i", "-a", "stdin", "--name", "one", "busybox", "cat"]);
    assert_eq!(said, tierce.ok(["inspect", "-f", "{{.ID}}", "one"]));
}

#[test]
fn fields_go_by_the_names_that_they_have_in_go() {
    let tierce = tierce();
    tierce.ok(["create", "--name", "one", "--cpus", "0.5", "--label", "Some=1", "busybox", "true"]);
    let show = |template: &str, name: &str| tierce.ok(["inspect", "-f", template, name]);
    assert_eq!(show("{{.ID}}", "busybox"), show("{{.Id}}", "busybox"));
    assert_eq!(show("{{.ID}}", "bridge"), show("{{.Id}}", "bridge"));
    assert_eq!(show("{{.HostConfig.NanoCPUs}} {{.HostConfig.DNS}}", "one"), "500000000 []\n");
    // The keys of maps are anybody's.
    assert_eq!(show("{{.Config.Labels.SOME}}", "one"), "<no value>\n");
    // An image that lost its name is shown by its id.
    tierce.ok(["create", "--name", "two", "other", "true"]
        .map(|word| if word == "other" { "busybox" } else { word }));
    tierce.ok(["commit", "one", "busybox"]);
    let id = tierce.ok(["inspect", "-f", "{{.Image}}", "one"]);
    assert_eq!(
        tierce.ok(["ps", "-a", "--no-trunc", "--filter", "name=one", "--format", "{{.Image}}"]),
        id
    );
}

#[test]
fn whatever_was_started_beside_the_machines_processes_is_killed_with_the_first() {
    let tierce = tierce();
    tierce.ok([
        "run",
        "-d",
        "--pid=host",
        "--name",
        "one",
        "busybox",
        "sh",
        "-c",
        "sleep 1234; true",
    ]);
    let began = std::time::Instant::now();
    tierce.ok(["kill", "one"]);
    assert!(began.elapsed().as_secs() < 20, "it waits for nobody");
    let processes = std::process::Command::new("ps").args(["-eo", "args"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&processes.stdout).lines().any(|line| line == "sleep 1234"));
}

#[test]
fn links_reach_what_has_the_machines_network_and_what_comes_later() {
    let tierce = tierce();
    tierce.ok(["run", "-d", "--name", "first", "-h", "fred", "busybox", "sleep", "1000"]);
    let linked = ["run", "--name", "second", "--link", "first:alias", "busybox"];
    let gateway = tierce.ok([
        &linked[..],
        &[
            "sh",
            "-c",
            "ip route | grep default | cut -d' ' -f3; grep 'alias fred first' /etc/hosts | cut -f1",
        ],
    ]
    .concat());
    let lines: Vec<&str> = gateway.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1], "{gateway}");
    assert_eq!(
        tierce.ok(["inspect", "-f", "{{json .HostConfig.Links}}", "second"]),
        "[\"/first:/second/alias\"]\n"
    );

    tierce.ok(["network", "create", "lan"]);
    let early = ["run", "-d", "--name", "early", "--net=lan", "--link", "late:friend", "busybox"];
    tierce.ok([&early[..], &["sleep", "1000"]].concat());
    tierce.ok(["run", "-d", "--name", "late", "--net=lan", "busybox", "sleep", "1000"]);
    let address =
        tierce.ok(["inspect", "-f", "{{.NetworkSettings.Networks.lan.IPAddress}}", "late"]);
    let found = tierce.ok(["exec", "early", "nslookup", "friend"]);
    assert!(found.contains(address.trim()), "{found}");
    tierce.ok(["rm", "-f", "early", "late"]);
    tierce.ok(["network", "rm", "lan"]);
    tierce.ok(["rm", "-f", "first"]);
}

#[test]
fn a_container_that_just_ends_can_be_committed_and_its_image_removed() {
    let tierce = tierce();
    for number in 0..10 {
        let name = format!("one{number}");
        tierce.ok(["run", "-d", "--name", &name, "busybox", "true"]);
        tierce.ok(["commit", &name, "made"]);
    }
    let id = tierce.ok(["inspect", "-f", "{{.Id}}", "made"]);
    tierce.ok(["tag", "made", "made:second"]);
    tierce.ok(["tag", "made", "another"]);
    assert_eq!(tierce.run(["rmi", id.trim()]).code, 1, "it has names of two repositories");
    tierce.ok(["rmi", "another"]);
    tierce.ok(["rmi", id.trim()]);
    tierce.ok(["commit", "one0", "made"]);
    tierce.ok(["run", "--name", "other", "made", "true"]);
    assert_eq!(tierce.run(["rmi", "made"]).code, 1);
    tierce.ok(["rmi", "-f", "made"]);
    assert_eq!(tierce.ok(["start", "-a", "other"]), "");
    tierce.ok(["run", "-d", "--name", "runs", "busybox", "sleep", "1000"]);
    assert_eq!(tierce.run(["rmi", "-f", "busybox"]).code, 1);
    tierce.ok(["rm", "-f", "runs"]);
}

#[test]
fn health_is_shown_as_go_prints_it() {
    let tierce = tierce();
    let check = ["--health-cmd", "true", "--health-interval", "90s"];
    tierce.ok([
        &["create", "--name", "one", "--stop-signal", "9", "-P"],
        &check[..],
        &["busybox", "true"],
    ]
    .concat());
    let show = |template: &str| tierce.ok(["inspect", "-f", template, "one"]);
    let healthcheck = "{{.Config.Healthcheck.Interval}} {{.Config.Healthcheck.Timeout}} {{.Config.Healthcheck.Retries}}";
    assert_eq!(show(healthcheck), "1m30s 0s 0\n");
    assert_eq!(show("{{json .Config.Healthcheck.Interval}}"), "90000000000\n");
    assert_eq!(show("{{.Config.StopSignal}} {{.HostConfig.PublishAllPorts}}"), "9 true\n");
    let wrong = tierce.run(["inspect", "--type=foobar", "one"]);
    assert!(wrong.code == 1 && wrong.stderr.contains("unknown type `foobar`"), "{wrong:?}");
    assert_eq!(tierce.ok(["ps", "-aq", "--filter", " Name = one "]).lines().count(), 1);
}

#[test]
fn what_is_paused_is_not_started_or_joined() {
    let tierce = tierce();
    tierce.ok(["run", "-d", "--name", "one", "busybox", "sleep", "1000"]);
    tierce.ok(["pause", "one"]);
    for command in ["start", "attach"] {
        let refused = tierce.run([command, "one"]);
        assert!(refused.code == 1 && refused.stderr.contains("is paused"), "{refused:?}");
    }
    tierce.ok(["unpause", "one"]);
    tierce.ok(["start", "one"]);
    tierce.ok(["rm", "-f", "one"]);
}

#[test]
fn a_container_goes_by_its_new_name_on_its_networks() {
    let tierce = tierce();
    tierce.ok(["network", "create", "lan"]);
    for name in ["one", "two"] {
        tierce.ok(["run", "-d", "--name", name, "--net", "lan", "busybox", "sleep", "1000"]);
    }
    tierce.ok(["rename", "one", "/renamed"]);
    let names = "{{range .Containers}}{{.Name}} {{end}}";
    let shown = tierce.ok(["network", "inspect", "-f", names, "lan"]);
    assert!(shown.contains("renamed") && !shown.contains("one"), "{shown}");
    let hosts = tierce.ok(["exec", "two", "cat", "/etc/hosts"]);
    assert!(hosts.contains("\trenamed ") && !hosts.contains("\tone "), "{hosts}");
    assert!(tierce.ok(["exec", "two", "nslookup", "renamed"]).contains("Address"));
    let created = tierce.ok(["network", "inspect", "-f", "{{.Created}}", "host"]);
    assert_eq!(created, "0001-01-01T00:00:00Z\n");
    tierce.ok(["rm", "-f", "renamed", "two"]);
    tierce.ok(["network", "rm", "lan"]);
}

#[test]
fn of_two_containers_with_a_mount_at_one_place_the_last_one_counts() {
    let tierce = tierce();
    for (name, volume) in [("one", "first:/data"), ("two", "second:/data")] {
        tierce.ok(["create", "--name", name, "-v", volume, "busybox", "true"]);
    }
    let create = ["create", "--volumes-from", "one", "--volumes-from", "two"];
    tierce.ok([&create[..], &["--name", "three", "busybox", "true"]].concat());
    tierce.ok([&create[..], &["--name", "four", "-v", "/tmp:/data", "busybox", "true"]].concat());
    let names = "{{range .Mounts}}{{.Type}} {{.Name}}{{end}}";
    assert_eq!(tierce.ok(["inspect", "-f", names, "three"]), "volume second\n");
    assert_eq!(tierce.ok(["inspect", "-f", names, "four"]), "bind \n");
    assert_eq!(tierce.ok(["volume", "create", "--name=third"]), "third\n");
}

#[test]
fn limits_are_seen_where_the_machine_has_its_control_groups() {
    let tierce = tierce();
    let file = match std::path::Path::new("/sys/fs/cgroup/memory").is_dir() {
        true => "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        false => "/sys/fs/cgroup/memory.max",
    };
    let limited = ["run", "--rm", "-m", "32m", "busybox", "cat", file];
    assert_eq!(tierce.ok(limited), "33554432\n");
    let directory = std::path::Path::new(file).parent().unwrap().join("new");
    let made = tierce.run(["run", "--rm", "busybox", "mkdir", directory.to_str().unwrap()]);
    assert!(made.stderr.contains("Read-only file system"), "{made:?}");
}

#[test]
fn system_calls_are_refused_as_a_profile_says() {
    let tierce = tierce();
    let profile = |name: &str, calls: &str| {
        let text = format!("{{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{calls}]}}");
        let file = tierce.scratch().write(name, text);
        format!("seccomp={}", file.display())
    };
    let no_chmod = r#"{"names": ["chmod", "fchmod", "fchmodat"], "action": "SCMP_ACT_ERRNO"}"#;
    let run = |option: &str, command: &[&str]| {
        let run = ["run", "--rm", "--security-opt", option, "busybox"];
        tierce.run([&run[..], command].concat())
    };
    let refused = run(&profile("names", no_chmod), &["chmod", "400", "/etc/passwd"]);
    assert!(refused.code == 1 && refused.stderr.contains("not permitted"), "{refused:?}");
    assert_eq!(run(&profile("nothing", ""), &["chmod", "400", "/etc/passwd"]).code, 0);
    // By what an argument is: of modes only this one.
    for (number, (comparison, refused, allowed)) in [
        ("\"value\": 256, \"op\": \"SCMP_CMP_EQ\"", "400", "500"),
        ("\"value\": 256, \"op\": \"SCMP_CMP_NE\"", "500", "400"),
        ("\"value\": 256, \"op\": \"SCMP_CMP_GT\"", "500", "400"),
        ("\"value\": 256, \"op\": \"SCMP_CMP_GE\"", "400", "300"),
        ("\"value\": 256, \"op\": \"SCMP_CMP_LT\"", "300", "400"),
        ("\"value\": 256, \"op\": \"SCMP_CMP_LE\"", "400", "500"),
        ("\"value\": 64, \"valueTwo\": 64, \"op\": \"SCMP_CMP_MASKED_EQ\"", "500", "400"),
    ]
    .into_iter()
    .enumerate()
    {
        let rule = |name: &str, index: u8| {
            format!(
                "{{\"names\": [\"{name}\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 28, \
                 \"args\": [{{\"index\": {index}, {comparison}}}]}}"
            )
        };
        let calls = [rule("chmod", 1), rule("fchmod", 1), rule("fchmodat", 2)].join(",");
        let option = profile(&number.to_string(), &calls);
        let output = run(&option, &["chmod", refused, "/etc/passwd"]);
        assert!(output.stderr.contains("No space left"), "{comparison}: {output:?}");
        assert_eq!(run(&option, &["chmod", allowed, "/etc/passwd"]).code, 0, "{comparison}");
    }
    assert_eq!(run("seccomp=builtin", &["true"]).code, 0);
    let missing = run("seccomp=/nowhere", &["true"]);
    assert!(missing.code == 125 && missing.stderr.contains("/nowhere"), "{missing:?}");
    let broken = tierce.scratch().write("broken", "{");
    assert_eq!(run(&format!("seccomp={}", broken.display()), &["true"]).code, 125);
}

#[test]
fn signals_of_real_time_arrive_and_volumes_are_found_by_patterns() {
    let tierce = tierce();
    let script = "trap 'echo got; exit 4' 64; echo ready; while :; do sleep 0.01; done";
    tierce.ok(["run", "-d", "--name", "one", "busybox", "sh", "-c", script]);
    testutil::wait_until("it listens", || tierce.ok(["logs", "one"]) == "ready\n");
    assert_eq!(tierce.ok(["logs", "--since", "-1h", "one"]), "");
    tierce.ok(["kill", "-s", "64", "one"]);
    assert_eq!(tierce.ok(["wait", "one"]), "4\n");
    for name in ["volume_1_x", "volume_2_x"] {
        tierce.ok(["volume", "create", name]);
    }
    let found = tierce.ok(["volume", "ls", "-q", "--filter", "name=volume_1.+"]);
    assert_eq!(found, "volume_1_x\n");
}
