//! What happened, and what happens: `tierce events`.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use testutil::{Tierce, busybox, wait_until};

const FORMAT: &str = "{{.Type}} {{.Action}} {{index .Actor.Attributes \"name\"}}";

fn tierce() -> Tierce {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    tierce
}

/// What happened up to now, of which some filters hold.
fn past(tierce: &Tierce, filters: &[&str]) -> Vec<String> {
    let mut args = vec!["events", "--since", "1h", "--until", "0s", "--format", FORMAT];
    filters.iter().for_each(|filter| args.extend(["--filter", filter]));
    tierce.ok(args).lines().map(str::to_owned).collect()
}

/// One who looks on.
struct Onlooker {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Onlooker {
    fn new(tierce: &Tierce, more: &[&str]) -> Onlooker {
        let mut command = tierce.command(["events", "--format", FORMAT].iter().chain(more));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let fd = format!("/proc/{}/fd", child.id());
        wait_until("it looks on", || {
            let open = std::fs::read_dir(&fd).into_iter().flatten().flatten();
            let mut open = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
            open.any(|file| file.to_string_lossy().contains("inotify"))
        });
        // Which of the events is the latest is asked right after that.
        std::thread::sleep(std::time::Duration::from_millis(200));
        Onlooker { child, lines }
    }

    fn next(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_life_of_a_container_is_told_while_it_goes_on() {
    let tierce = tierce();
    let mut onlooker = Onlooker::new(&tierce, &["--filter", "type=container"]);
    tierce.ok(["run", "-d", "--name", "one", "busybox", "sleep", "1000"]);
    assert_eq!(onlooker.next(), "container create one");
    assert_eq!(onlooker.next(), "container start one");
    tierce.ok(["pause", "one"]);
    assert_eq!(onlooker.next(), "container pause one");
    tierce.ok(["unpause", "one"]);
    assert_eq!(onlooker.next(), "container unpause one");
    tierce.ok(["rename", "one", "two"]);
    assert_eq!(onlooker.next(), "container rename two");
    tierce.ok(["stop", "-t", "0", "two"]);
    for action in ["kill", "die", "stop"] {
        assert_eq!(onlooker.next(), format!("container {action} two"));
    }
    // One that is gone before anybody could look.
    assert_eq!(tierce.run(["run", "--rm", "--name", "brief", "busybox", "false"]).code, 1);
    for action in ["create", "attach", "start", "die", "destroy"] {
        assert_eq!(onlooker.next(), format!("container {action} brief"));
    }
    tierce.ok(["rm", "two"]);
    assert_eq!(onlooker.next(), "container destroy two");
}

#[test]
fn what_happened_is_found_afterwards() {
    let tierce = tierce();
    let check = ["--health-cmd", "true", "--health-interval", "100ms"];
    let run = ["run", "-d", "--name", "one", "--label", "a=b", "-v", "kept:/data"];
    tierce.ok([&run[..], &check, &["busybox", "sleep", "1000"]].concat());
    let id = tierce.ok(["inspect", "-f", "{{.Id}}", "one"]);
    wait_until("it is well", || {
        tierce.ok(["inspect", "-f", "{{.State.Health.Status}}", "one"]) == "healthy\n"
    });
    tierce.ok(["rm", "-f", "one"]);
    tierce.run(["run", "--name", "two", "busybox", "nothing"]);
    tierce.run(["run", "--name", "three", "busybox", "sh", "-c", "exit 3"]);
    tierce.ok(["tag", "busybox", "other"]);
    tierce.ok(["rmi", "other"]);
    tierce.ok(["network", "create", "lan"]);
    tierce.ok(["run", "--rm", "--name", "four", "--network", "lan", "busybox", "true"]);
    tierce.ok(["network", "rm", "lan"]);
    for (filters, expected) in [
        (
            &["container=one", "type=container"][..],
            &["create", "start", "health_status: healthy", "die", "destroy"][..],
        ),
        (&["label=a=b", "event=health_status"], &["health_status: healthy"]),
        // What could not be started has not been.
        (&["container=two"], &["create", "attach"]),
        (&["container=three", "event=die"], &["die"]),
        (&["image=other"], &["tag", "untag"]),
        (&["volume=kept"], &["create"]),
        (&["network=lan"], &["create", "connect", "disconnect", "destroy"]),
        (&["type=network", "event=create"], &["create"]),
        (&["container=nobody"], &[]),
    ] {
        let found = past(&tierce, filters);
        let actions: Vec<&str> = found
            .iter()
            .map(|line| line.split_once(' ').unwrap().1.rsplit_once(' ').unwrap().0)
            .collect();
        assert_eq!(actions, expected, "{filters:?}");
    }
    let since = ["events", "--since", "1h", "--until", "0s", "--filter", "event=die"];
    let lines = tierce.ok(since);
    let line = lines.lines().next().unwrap();
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.ends_with('Z') && time.len() == 30, "{line}");
    let expected = format!(
        "container die {} (a=b, execDuration=N, exitCode=137, image=busybox, name=one)",
        id.trim()
    );
    let rest = rest.replace("Duration=0", "Duration=N").replace("Duration=1", "Duration=N");
    assert_eq!(rest, expected);
    let json =
        tierce.ok([&since[..], &["--format", "json", "--filter", "container=three"]].concat());
    let event: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(event["status"], "die");
    assert_eq!(event["from"], "busybox");
    assert_eq!(event["Actor"]["Attributes"]["exitCode"], "3");

    let until = ["events", "--until", "0s", "--filter", "event=die"];
    assert_eq!(tierce.ok(until), lines);

    // Before and after there was nothing.
    for bounds in [["--since", "2030-01-01", "--until", "0s"], ["--since", "0", "--until", "1h"]] {
        assert_eq!(tierce.ok([&["events"], &bounds[..]].concat()), "", "{bounds:?}");
    }
    for wrong in [["--filter", "nothing=1"], ["--since", "nothing"]] {
        assert_eq!(tierce.run([&["events", "--until", "0s"], &wrong[..]].concat()).code, 1);
    }
    // That a format asks for what there is not is said before anything happens.
    for wrong in ["{{.Nothing", "{{.nothing}}", "{{.Actor.Nothing}}"] {
        assert_eq!(tierce.run(["events", "--format", wrong]).code, 64, "{wrong}");
    }
    let name = "{{.Actor.Attributes.name}}";
    let named = ["events", "--until", "0s", "--filter", "type=image", "--format", name];
    assert!(tierce.ok(named).contains("other"));
}

#[test]
fn containers_that_end_at_once_have_run() {
    let tierce = tierce();
    for number in 0..10 {
        let name = format!("brief{number}");
        let restart = if number < 5 { "no" } else { "on-failure:2" };
        let run = ["run", "--name", &name, "--restart", restart, "busybox", "false"];
        assert_eq!(tierce.run(run).code, 1);
        // Who took part has seen the first end alone.
        assert_eq!(tierce.ok(["wait", &name]), "1\n");
        let runs = if number < 5 { 1 } else { 3 };
        for action in ["start", "die"] {
            let found = past(&tierce, &[&format!("container={name}"), &format!("event={action}")]);
            assert_eq!(found.len(), runs, "{name} {action}");
        }
    }
    assert_eq!(tierce.run(["run", "--rm", "--name", "last", "busybox", "false"]).code, 1);
    assert_eq!(past(&tierce, &["container=last", "type=container"]).len(), 5);
}

#[test]
fn a_keeper_that_is_killed_leaves_word_of_the_end() {
    let tierce = tierce();
    tierce.ok(["run", "-d", "--name", "one", "busybox", "sleep", "1000"]);
    let pid = tierce.ok(["inspect", "-f", "{{.State.Pid}}", "one"]);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
    let keeper = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap();
    assert!(std::process::Command::new("kill").args(["-9", keeper]).status().unwrap().success());
    wait_until("its end is known", || {
        tierce.ok(["inspect", "-f", "{{.State.Status}}", "one"]) == "exited\n"
    });
    tierce.ok(["start", "one"]);
    tierce.ok(["rm", "-f", "one"]);
    let actions = past(&tierce, &["container=one", "type=container"]);
    let expected = ["create", "start", "die", "start", "die", "destroy"];
    assert_eq!(actions, expected.map(|action| format!("container {action} one")));
}

#[test]
fn what_is_done_to_containers_and_images_is_told() {
    let tierce = tierce();
    tierce.ok(["run", "-d", "--name", "one", "busybox", "sleep", "1000"]);
    assert_eq!(tierce.run(["exec", "one", "sh", "-c", "exit 3"]).code, 3);
    tierce.ok(["top", "one"]);
    let file = tierce.scratch().write("file", "text");
    tierce.ok(["cp", file.to_str().unwrap(), "one:/tmp/"]);
    tierce.ok(["cp", "one:/tmp/file", file.to_str().unwrap()]);
    tierce.ok(["export", "-o", tierce.scratch().join("tar").to_str().unwrap(), "one"]);
    tierce.ok(["commit", "one", "made"]);
    tierce.ok(["restart", "-t", "0", "one"]);
    tierce.ok(["update", "--restart", "no", "one"]);
    wait_until("the end of the command is noted", || {
        !past(&tierce, &["event=exec_die"]).is_empty()
    });
    let told = past(&tierce, &["container=one", "type=container"]);
    let actions: Vec<&str> = told
        .iter()
        .map(|line| line.strip_prefix("container ").unwrap().strip_suffix(" one").unwrap())
        .filter(|action| !matches!(*action, "pause" | "unpause"))
        .collect();
    let mut expected = vec![
        "create",
        "start",
        "exec_create: sh -c exit 3",
        "exec_start: sh -c exit 3",
        "exec_die",
        "top",
        "extract-to-dir",
        "archive-path",
        "export",
        "commit",
        "kill",
        "die",
        "stop",
        "start",
        "restart",
        "update",
    ];
    expected.sort_unstable();
    let mut actions = actions;
    actions.sort_unstable();
    assert_eq!(actions, expected);
    assert_eq!(past(&tierce, &["event=exec_create"]).len(), 1);
    tierce.ok(["save", "-o", tierce.scratch().join("saved").to_str().unwrap(), "made"]);
    tierce.ok(["load", "-i", tierce.scratch().join("saved").to_str().unwrap()]);
    for event in ["save", "load", "tag"] {
        assert!(!past(&tierce, &["type=image", &format!("event={event}")]).is_empty(), "{event}");
    }
    tierce.ok(["rm", "-f", "one"]);
}
