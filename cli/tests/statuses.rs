//! Exit statuses and standard output as docker has them: scripts branch on these.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use testutil::{Tierce, busybox};

fn tierce() -> Tierce {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    tierce
}

/// The words of a line; what stands in single quotes is one.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

#[track_caller]
fn expect(tierce: &Tierce, lines: &[(&str, i32, &str)]) {
    for (line, code, stdout) in lines {
        let output = tierce.run(words(line));
        let said = (output.code, output.stdout.as_str());
        assert_eq!(said, (*code, *stdout), "{line}: {}", output.stderr);
        assert!(*code != 0 || output.stderr.is_empty(), "{line}: {}", output.stderr);
    }
}

#[test]
fn a_command_line_that_is_not_understood_is_no_status_of_a_container() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    expect(
        &tierce,
        &[
            ("run --name", 125, ""),
            ("run", 1, ""),
            ("run --memory abc busybox true", 125, ""),
            ("run -d -a stdout busybox true", 125, ""),
            ("run -p abc busybox true", 125, ""),
            ("run --restart sometimes busybox true", 125, ""),
            ("exec --nothing a b", 125, ""),
            ("exec a", 1, ""),
            ("stop", 1, ""),
            ("stop -t abc a", 125, ""),
            ("tag a BAD", 1, ""),
            ("ps more", 1, ""),
            ("nothing", 1, ""),
            ("volume nothing", 1, ""),
            ("--nothing ps", 125, ""),
        ],
    );
    assert_eq!(tierce.run(["run", "--help"]).code, 0);
    assert_eq!(tierce.ok(["-v"]), tierce.ok(["--version"]));
}

#[test]
fn what_cannot_be_run_is_refused_before_it_is_made() {
    let tierce = tierce();
    expect(
        &tierce,
        &[
            ("run --rm -w relative busybox pwd", 125, ""),
            ("run --rm -e =x busybox true", 125, ""),
            ("run --rm --cpus 10000 busybox true", 125, ""),
            ("run --rm --network-alias a busybox true", 125, ""),
            ("run --rm --network host --network bridge busybox true", 125, ""),
            ("run --rm --mac-address zz busybox true", 125, ""),
            ("run --rm --mac-address 01:00:5e:00:00:01 busybox true", 125, ""),
            ("run --rm --isolation default busybox echo yes", 0, "yes\n"),
            ("run --rm -it busybox true", 1, ""),
            ("ps -aq", 0, ""),
        ],
    );
    // One that could be made is there, also when it cannot start.
    let output = tierce.run(["run", "-d", "--name", "made", "busybox", "nothing"]);
    assert_eq!((output.code, output.stdout.trim().len()), (127, 64), "{output:?}");
    assert_eq!(tierce.ok(["inspect", "-f", "{{.Id}}", "made"]), output.stdout);
}

#[test]
fn commands_in_containers_end_with_dockers_statuses() {
    let tierce = tierce();
    tierce.ok(["run", "-d", "--name", "one", "busybox", "sleep", "1000"]);
    expect(
        &tierce,
        &[
            ("exec one sh -c 'exit 42'", 42, ""),
            ("exec one nothing", 127, ""),
            ("exec one /etc", 126, ""),
            ("exec -w /missing one pwd", 127, ""),
            ("exec -w /etc one pwd", 0, "/etc\n"),
            ("exec -e =x one true", 1, ""),
            ("exec nobody true", 1, ""),
            ("rm one", 1, ""),
            ("kill -s NOTHING one", 1, ""),
            ("kill -s 0 one", 1, ""),
            ("rename one one", 1, ""),
            ("wait nobody", 1, ""),
            ("inspect -f {{.State.Health}} one", 0, "<nil>\n"),
            ("inspect -f {{.Config.Labels.none}} one", 0, "<no value>\n"),
            ("stats --no-stream --format {{.Container}} one", 0, "one\n"),
        ],
    );
    let relative = tierce.run(["exec", "-w", "relative", "one", "pwd"]);
    assert!(relative.code == 1 && relative.stderr.contains("`relative`"), "{relative:?}");
    // What is not there is not said to be gone.
    for (line, expected) in
        [("rm -f nobody", ""), ("rm -f nobody one", "one\n"), ("network rm -f nothing", "")]
    {
        let output = tierce.run(words(line));
        assert_eq!((output.code, output.stdout.as_str()), (0, expected), "{line}");
    }
    assert_eq!(tierce.run(["rmi", "-f", "nothing"]).code, 0);
    assert_eq!(tierce.run(["rmi", "nothing"]).code, 1);
}

#[test]
fn lines_of_a_log_come_with_what_was_noted() {
    let tierce = tierce();
    let run = ["run", "--name", "noted", "--label", "x=a b", "-e", "Q=w"];
    let log = ["--log-opt", "tag={{.Name}}", "--log-opt", "labels=x", "--log-opt", "env=Q"];
    tierce.ok([&run[..], &log, &["busybox", "echo", "said"]].concat());
    assert_eq!(tierce.ok(["logs", "noted"]), "said\n");
    assert_eq!(tierce.ok(["logs", "--details", "noted"]), "Q=w,tag=noted,x=a+b said\n");
    tierce.ok(["run", "--name", "plain", "busybox", "echo", "said"]);
    assert_eq!(tierce.ok(["logs", "--details", "plain"]), " said\n");
    expect(
        &tierce,
        &[
            ("run --log-opt nothing=1 busybox true", 125, ""),
            ("run --log-opt env-regex=[ busybox true", 125, ""),
            ("logs --since nothing plain", 1, ""),
            ("logs --tail 0 plain", 0, ""),
        ],
    );
}

#[test]
fn what_is_not_here_says_why() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    for (line, code, reason) in [
        ("create -a stdout busybox", 125, "tierce start"),
        ("rm --link one", 125, "link"),
        ("volume create -o type=tmpfs one", 1, "type=tmpfs"),
        ("network create --attachable one", 125, "swarms"),
        ("network create --ipv6 one", 125, "version 4"),
        ("network create --ipv4=false one", 125, "true"),
        ("network connect --gw-priority 1 one two", 125, "the first network"),
    ] {
        let output = tierce.run(words(line));
        assert_eq!((output.code, output.stdout.as_str()), (code, ""), "{line}: {}", output.stderr);
        assert!(output.stderr.contains(reason), "{line}: {}", output.stderr);
    }
}

#[test]
fn options_of_podmans_that_are_common_are_here() {
    let tierce = tierce();
    tierce.ok(["run", "-d", "--name", "one", "busybox", "sleep", "1000"]);
    assert_eq!(tierce.run(["run", "--name", "one", "busybox", "true"]).code, 125);
    let mask = ["--umask", "0077", "--unsetenv", "PATH"];
    let run = ["run", "-d", "--name", "one", "--replace", "-e", "A=1"];
    tierce.ok([&run[..], &mask, &["busybox", "sleep", "1000"]].concat());
    assert_eq!(tierce.ok(["ps", "-a", "--format", "{{.Names}}"]), "one\n");
    assert_eq!(tierce.ok(["exec", "one", "sh", "-c", "umask"]), "0077\n");
    let env = tierce.ok(["inspect", "-f", "{{json .Config.Env}}", "one"]);
    assert_eq!(env, "[\"A=1\"]\n");
    expect(
        &tierce,
        &[
            ("run --rm --umask 0027 busybox sh -c umask", 0, "0027\n"),
            ("run --rm --umask 9 busybox true", 125, ""),
            ("run --rm --replace busybox true", 1, ""),
            ("rm -f one", 0, "one\n"),
        ],
    );
}

#[test]
fn switches_of_one_letter_may_have_a_value_before_an_image() {
    let tierce = tierce();
    let id = tierce.ok(["run", "-d=true", "--rm", "busybox", "sleep", "60"]);
    tierce.ok(["kill", id.trim()]);
    assert_eq!(tierce.ok(["run", "-i=false", "--rm", "busybox", "echo", "-d=true"]), "-d=true\n");
    let refused = tierce.run(["run", "-x=true", "busybox"]);
    assert!(refused.stderr.contains("unknown option `-x`"), "{refused:?}");
}

#[test]
fn what_is_much_too_long_is_not_repeated() {
    let tierce = tierce();
    let long = "x".repeat(10_000);
    for words in [
        vec!["run", &long],
        vec!["pull", &long],
        vec!["build", "-t", &long, "."],
        vec!["build", "--platform", &long, "."],
    ] {
        let refused = tierce.run(words);
        assert!(refused.code != 0 && refused.stderr.len() < 3000, "{}", refused.stderr.len());
    }
    let option = format!("--{long}");
    assert!(tierce.run(["build", &option, "."]).stderr.len() < 3000);
}
