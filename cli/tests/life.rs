//! The life of containers that nobody waits for: started, asked, logged, ended, removed.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::process::Command;

use testutil::{Tierce, busybox, processes_with, wait_until};

fn tierce() -> Tierce {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    tierce
}

fn state(tierce: &Tierce, name: &str) -> String {
    tierce.ok(["inspect", "--format", "{{.State.Status}}", name]).trim().to_owned()
}

/// No process of the store's is left, and no file of work in progress.
fn assert_nothing_is_left(tierce: &Tierce) {
    let mark = tierce.scratch().path().file_name().unwrap().to_string_lossy().into_owned();
    wait_until("all processes are gone", || processes_with(&mark).is_empty());
    for dir in ["containers", "leases", "staging"] {
        let left = std::fs::read_dir(tierce.root().join(dir)).unwrap().count();
        assert_eq!(left, 0, "{dir}");
    }
}

#[test]
fn a_detached_container_lives_is_asked_and_ends() {
    let tierce = tierce();
    let script =
        "trap 'echo asked; exit 3' TERM; echo out; echo err >&2; while sleep 0.05; do :; done";
    let id = tierce.ok(["run", "-d", "--name", "web", "busybox", "sh", "-c", script]);
    assert_eq!(id.trim().len(), 64);
    assert_eq!(state(&tierce, "web"), "running");
    wait_until("it has spoken", || {
        let output = tierce.run(["logs", "web"]);
        (output.stdout.as_str(), output.stderr.as_str()) == ("out\n", "err\n")
    });
    assert_eq!(tierce.ok(["ps", "-q", "--no-trunc"]), id);
    assert_eq!(tierce.run(["rm", "web"]).code, 1);
    assert_eq!(tierce.ok(["stop", "web"]), "web\n");
    assert_eq!(state(&tierce, "web"), "exited");
    assert_eq!(tierce.ok(["wait", "web"]), "3\n");
    assert_eq!(tierce.run(["logs", "web"]).stdout, "out\nasked\n");
    assert_eq!(tierce.ok(["stop", "web"]), "web\n");
    assert_eq!(tierce.run(["kill", "web"]).code, 1);

    tierce.ok(["rename", "web", "other"]);
    assert_eq!(tierce.ok(["start", "other"]), "other\n");
    assert_eq!(state(&tierce, "other"), "running");
    assert_eq!(tierce.ok(["rm", "-f", "other"]), "other\n");
    assert_nothing_is_left(&tierce);
}

#[test]
fn a_container_is_made_first_and_attached_to_when_it_starts() {
    let tierce = tierce();
    let script = "read line; echo got $line; echo err >&2; exit 5";
    tierce.ok(["create", "-i", "--name", "later", "busybox", "sh", "-c", script]);
    assert_eq!(state(&tierce, "later"), "created");
    let output = tierce.run_with_input(["start", "-ai", "later"], b"this\n");
    assert_eq!((output.code, output.stdout.as_str()), (5, "got this\n"), "{output:?}");
    assert_eq!(output.stderr, "err\n");
    assert_eq!(tierce.run(["logs", "later"]).stdout, "got this\n");
    tierce.ok(["rm", "later"]);
    assert_nothing_is_left(&tierce);
}

#[test]
fn what_fails_is_started_again_so_often() {
    let tierce = tierce();
    let script = "echo run; exit 4";
    let args = ["run", "--name", "again", "-d", "--restart", "on-failure:2"];
    tierce.ok([&args[..], &["busybox", "sh", "-c", script]].concat());
    assert_eq!(tierce.ok(["wait", "again"]), "4\n");
    assert_eq!(tierce.ok(["logs", "again"]), "run\nrun\nrun\n");
    tierce.ok(["rm", "again"]);

    tierce.ok(["run", "--name", "ever", "-d", "--restart", "always", "busybox", "true"]);
    wait_until("it rests", || state(&tierce, "ever") == "restarting");
    tierce.ok(["stop", "ever"]);
    assert_eq!(state(&tierce, "ever"), "exited");
    tierce.ok(["rm", "ever"]);
    assert_nothing_is_left(&tierce);
}

#[test]
fn whoever_is_killed_leaves_nothing_behind() {
    let tierce = tierce();
    for victim in ["keeper", "container"] {
        tierce.ok(["run", "-d", "--name", victim, "busybox", "sleep", "1000"]);
        let pid = tierce.ok(["inspect", "--format", "{{.State.Pid}}", victim]);
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
        let parent = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap();
        let pid = if victim == "keeper" { parent } else { pid.trim() };
        assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success());
        wait_until("its end is known", || state(&tierce, victim) == "exited");
        assert_eq!(tierce.ok(["wait", victim]), "137\n");
        assert_eq!(tierce.ok(["start", victim]), format!("{victim}\n"));
        tierce.ok(["rm", "-f", victim]);
    }
    tierce.ok(["ps"]);
    assert_nothing_is_left(&tierce);
}

#[test]
fn a_log_is_followed_to_the_end_of_the_container() {
    let tierce = tierce();
    let script = "for n in 1 2 3 4 5 6; do echo $n; sleep 0.05; done";
    tierce.ok(["run", "-d", "--name", "talker", "busybox", "sh", "-c", script]);
    assert_eq!(tierce.ok(["logs", "-f", "talker"]), "1\n2\n3\n4\n5\n6\n");
    assert_eq!(tierce.ok(["logs", "-n", "2", "talker"]), "5\n6\n");
    assert_eq!(tierce.ok(["logs", "--since", "1h", "-n1", "talker"]), "6\n");
    assert_eq!(tierce.ok(["logs", "--until", "1h", "talker"]), "");
    let line = tierce.ok(["logs", "-t", "-n1", "talker"]);
    let (time, text) = line.split_once(' ').unwrap();
    assert_eq!((time.len(), text), ("2024-01-01T00:00:00.000000000Z".len(), "6\n"));
    tierce.ok(["rm", "talker"]);
    assert_nothing_is_left(&tierce);
}

#[test]
fn a_hundred_containers_from_ten_at_once() {
    let tierce = tierce();
    std::thread::scope(|scope| {
        for number in 0..10 {
            let tierce = &tierce;
            scope.spawn(move || {
                for turn in 0..10 {
                    let name = format!("c{number}-{turn}");
                    tierce.ok(["run", "-d", "--name", &name, "busybox", "sleep", "1000"]);
                    match turn % 3 {
                        0 => drop(tierce.ok(["rm", "-f", &name])),
                        1 => {
                            tierce.ok(["stop", "-t", "0", &name]);
                            tierce.ok(["start", &name]);
                            tierce.ok(["kill", &name]);
                            tierce.ok(["rm", &name]);
                        }
                        _ => {
                            tierce.ok(["stop", "-t", "0", &name]);
                            tierce.ok(["rm", &name]);
                        }
                    }
                }
            });
        }
    });
    assert_nothing_is_left(&tierce);
}

#[test]
fn one_more_command_runs_in_a_container() {
    let tierce = tierce();
    tierce.ok(["run", "-d", "--name", "box", "-e", "A=1", "busybox", "sleep", "1000"]);
    assert_eq!(
        tierce.ok(["exec", "-e", "B=2", "box", "sh", "-c", "echo $A$B$$; touch /new"]),
        "122\n"
    );
    let output = tierce.run_with_input(["exec", "-i", "box", "sh", "-c", "cat; exit 9"], b"in");
    assert_eq!((output.code, output.stdout.as_str()), (9, "in"));
    assert_eq!(
        tierce.ok(["exec", "-u", "7:8", "-w", "/tmp", "box", "sh", "-c", "id -u; id -g; pwd"]),
        "7\n8\n/tmp\n"
    );
    // It may do what the container may, and no more.
    let status = "grep -E 'CapBnd|CapEff|NoNewPrivs|Seccomp:' /proc/$0/status";
    let of = |pid: &str| tierce.ok(["exec", "box", "sh", "-c", status, pid]);
    assert_eq!(of("self"), of("1"));
    assert_eq!(tierce.run(["exec", "box", "/no/such"]).code, 127);
    assert_eq!(tierce.run(["exec", "box", "/etc"]).code, 126);
    tierce.ok(["exec", "-d", "box", "sh", "-c", "echo done > /done; exec sleep 1001"]);
    wait_until("it has run", || tierce.run(["exec", "box", "cat", "/done"]).stdout == "done\n");
    assert!(tierce.ok(["diff", "box"]).contains("A /new\n"));
    tierce.ok(["kill", "box"]);
    assert_eq!(tierce.run(["exec", "box", "true"]).code, 1);
    tierce.ok(["rm", "box"]);
    assert_nothing_is_left(&tierce);
}

#[test]
fn a_container_is_kept_apart_as_it_is_told_to() {
    let tierce = tierce();
    let run = |args: &[&str], script: &str| {
        let args = [&["run", "--rm"], args, &["busybox", "sh", "-c", script]].concat();
        tierce.ok(args)
    };
    let bounds = "grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status | awk '{print $2}'";
    assert_eq!(run(&[], bounds), "00000000a80425fb\n0\n2\n");
    let less = ["--cap-drop", "ALL", "--cap-add", "chown", "--security-opt", "no-new-privileges"];
    assert_eq!(run(&less, bounds), "0000000000000001\n1\n2\n");
    // Without the filter, which lets only harmless devices be made, none can be.
    assert_eq!(run(&["--security-opt", "seccomp=unconfined"], bounds), "00000000a00425fb\n0\n0\n");
    assert_eq!(run(&["--ulimit", "nofile=50:60"], "ulimit -n; ulimit -Hn"), "50\n60\n");
    assert_eq!(run(&["--init"], "cat /proc/1/comm"), "tierce-init\n");
    let read_only = run(&["--read-only"], "touch /new 2>/dev/null || echo refused");
    assert_eq!(read_only, "refused\n");
    let names = ["--add-host", "far:1.2.3.4", "--dns", "5.6.7.8", "--hostname", "here"];
    let script = "grep far /etc/hosts; grep nameserver /etc/resolv.conf; hostname";
    assert_eq!(run(&names, script), "1.2.3.4\tfar\nnameserver 5.6.7.8\nhere\n");

    let id_file = tierce.scratch().join("id").display().to_string();
    run(&["--cidfile", &id_file], "true");
    assert_eq!(std::fs::read_to_string(&id_file).unwrap().len(), 64);
    let again = tierce.run(["run", "--rm", "--cidfile", &id_file, "busybox", "true"]);
    assert_eq!(again.code, 125, "{again:?}");
    assert_eq!(tierce.run(["run", "--cap-add", "FLY", "busybox"]).code, 125);
    assert_nothing_is_left(&tierce);
}

#[test]
fn a_container_is_listed_and_inspected_as_scripts_expect() {
    let tierce = tierce();
    let labels = ["--label", "a=b", "--restart", "on-failure:3", "--stop-signal", "INT"];
    let run = [&["run", "-d", "--name", "first"][..], &labels, &["busybox", "sleep", "1000"]];
    let id = tierce.ok(run.concat());
    tierce.ok(["container", "create", "--name", "second", "busybox", "true"]);
    tierce.run(["run", "--name", "third", "busybox", "false"]);
    let names = |args: &[&str]| {
        tierce.ok([&["ps", "--format", "{{.Names}}"], args].concat()).replace('\n', " ")
    };
    for (args, expected) in [
        (&["-a"][..], "third second first "),
        (&[], "first "),
        (&["-l"], "third "),
        (&["-n", "2"], "third second "),
        (&["-f", "status=created"], "second "),
        (&["-a", "-f", "name=^/fir"], "first "),
        (&["-f", "label=a", "-f", "label=a=b"], "first "),
        (&["-f", "exited=1"], "third "),
        (&["-a", "-f", "ancestor=busybox", "-f", "since=first"], "third second "),
    ] {
        assert_eq!(names(args), expected, "{args:?}");
    }
    assert_eq!(tierce.ok(["container", "ls", "-q", "--no-trunc"]), id);
    let inspect = |field: &str| {
        let format = format!("{{{{{field}}}}}");
        tierce.ok(["container", "inspect", "--format", &format, "first"]).trim().to_owned()
    };
    for (field, expected) in [
        (".State.Running", "true"),
        (".HostConfig.RestartPolicy.Name", "on-failure"),
        (".HostConfig.RestartPolicy.MaximumRetryCount", "3"),
        (".Config.StopSignal", "INT"),
        (".Config.Labels", "map[a:b]"),
        (".Config.Tty", "false"),
        (".Name", "/first"),
    ] {
        assert_eq!(inspect(field), expected, "{field}");
    }
    for name in ["first", "second", "third"] {
        tierce.ok(["container", "rm", "-f", name]);
    }
    assert_nothing_is_left(&tierce);
}

#[test]
fn one_that_could_not_be_started_says_why_and_never_ran() {
    let tierce = tierce();
    let state = |name: &str| {
        let format =
            "{{.State.Status}} {{.State.ExitCode}} {{.State.StartedAt}} {{.State.FinishedAt}}";
        tierce.ok(["inspect", "-f", format, name])
    };
    let never = "0001-01-01T00:00:00Z 0001-01-01T00:00:00Z";
    for (command, code) in [("nosuch", 127), ("/etc", 126)] {
        for detached in [&[][..], &["-d"], &["-d", "--restart", "always"]] {
            let run = [&["run", "--name", "xx"], detached, &["busybox", command]].concat();
            assert_eq!(tierce.run(run).code, code);
            assert_eq!(state("xx"), format!("created {code} {never}\n"));
            let why = tierce.ok(["inspect", "-f", "{{.State.Error}}", "xx"]);
            assert!(why.contains(command), "{why}");
            assert_eq!(
                tierce.ok(["ps", "-a", "--format", "{{.Status}} {{.State}}"]),
                "Created created\n"
            );
            assert_eq!(tierce.ok(["ps", "-q", "-f", "status=created"]).lines().count(), 1);
            assert_eq!(tierce.run(["start", "xx"]).code, 1);
            assert_eq!(tierce.ok(["wait", "xx"]), format!("{code}\n"));
            tierce.ok(["rm", "xx"]);
        }
    }
    // One that ran before has ended, and says when.
    tierce.ok(["run", "--name", "xx", "busybox", "rm", "/bin/sh", "/bin/rm"]);
    let before = state("xx");
    assert!(before.starts_with("exited 0 2"), "{before}");
    assert_eq!(tierce.run(["start", "xx"]).code, 1);
    assert_eq!(state("xx"), before.replacen("exited 0", "exited 127", 1));
    tierce.ok(["rm", "xx"]);
    assert_nothing_is_left(&tierce);
}

#[test]
fn the_health_of_a_container_is_looked_after() {
    let tierce = tierce();
    let check = ["--health-cmd", "echo looked; test -e /well", "--health-interval", "50ms"];
    let run = [&["run", "-d", "--name", "box"][..], &check, &["--health-retries", "2"]];
    tierce.ok([&run.concat()[..], &["busybox", "sleep", "1000"]].concat());
    let health = || tierce.ok(["inspect", "--format", "{{.State.Health.Status}}", "box"]);
    assert!(["starting\n", "unhealthy\n"].contains(&health().as_str()));
    wait_until("it is unwell", || health() == "unhealthy\n");
    tierce.ok(["exec", "box", "touch", "/well"]);
    wait_until("it is well", || health() == "healthy\n");
    assert!(tierce.ok(["ps", "--format", "{{.Status}}"]).ends_with("(healthy)\n"));
    let results = tierce.ok(["inspect", "--format", "{{json .State.Health.Log}}", "box"]);
    assert!(results.contains(r#""ExitCode":0,"Output":"looked\n""#), "{results}");
    tierce.ok(["rm", "-f", "box"]);
    assert_nothing_is_left(&tierce);
}

/// Mount points that the image lacks are nothing that the container made, also while it runs.
#[test]
fn a_container_that_runs_shows_no_mount_points_as_changes() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let bare = "FROM scratch\nCOPY --from=busybox /bin/busybox /bin/busybox\n";
    tierce.scratch().write("context/Dockerfile", bare);
    let context = tierce.scratch().join("context");
    tierce.ok(["build", "-q", "-t", "bare", context.to_str().unwrap()]);
    let run = ["run", "-d", "--name", "one", "-v", "kept:/with blank/data", "bare"];
    tierce.ok([&run[..], &["/bin/busybox", "sleep", "1000"]].concat());
    assert_eq!(tierce.ok(["diff", "one"]), "");
    let change = "touch '/with blank/own' /etc/own; mkdir /empty";
    tierce.ok(["exec", "one", "/bin/busybox", "sh", "-c", change]);
    let own = "A /empty\nA /etc\nA /etc/own\nA /with blank\nA /with blank/own\n";
    assert_eq!(tierce.ok(["diff", "one"]), own);
    tierce.ok(["commit", "one", "made"]);
    tierce.ok(["rm", "-f", "one"]);
    let shown = tierce.ok(["image", "diff", "bare", "made"]);
    let added: Vec<&str> = shown.lines().filter(|line| line.starts_with('A')).collect();
    assert_eq!(added.len(), 5, "{shown}");
}
