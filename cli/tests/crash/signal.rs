//! A build, and a container, that are asked to end.

use std::net::TcpListener;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use testutil::{Tierce, busybox, processes_with, wait_until};

use crate::common::{
    assert_nobody_works, assert_nothing_runs, assert_prune_leaves_nothing, end, start, tierce,
    words,
};

/// What a user or a service manager sends.
const SIGNALS: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// A store with a base, and the context of a build from this Dockerfile.
fn set_up(dockerfile: &str) -> (Tierce, String) {
    let store = tierce();
    busybox(&store);
    store.scratch().write("context/Dockerfile", dockerfile);
    let context = store.scratch().join("context").display().to_string();
    (store, context)
}

/// Waits until a command with these words runs in one of the store's containers.
fn wait_for_container(store: &Tierce, words: &str) {
    let mark = store.scratch().path().file_name().unwrap().to_string_lossy();
    wait_until(&format!("`{words}` runs"), || {
        processes_with(&mark).iter().any(|line| line.starts_with(words))
    });
}

#[test]
fn a_build_ends_its_containers_and_leaves_nothing() {
    let (store, context) = set_up(
        "FROM busybox AS one\nRUN sleep 1001\nFROM busybox\nRUN touch /before\nRUN sleep 1002\n\
         COPY --from=one / /one\n",
    );
    for signal in SIGNALS {
        let build = start(&store, &words(&["build", "--progress", "plain", &context]));
        // Independent stages run at once.
        wait_for_container(&store, "sleep 1001");
        wait_for_container(&store, "sleep 1002");
        send(&build, signal);
        let began = Instant::now();
        let output = end(build);
        assert_eq!(output.code, 130, "{signal:?} {output:#?}");
        assert!(output.stderr.contains("cancel"), "{output:#?}");
        // The steps would have slept for longer than anybody waits.
        assert!(began.elapsed() < Duration::from_secs(60));
        assert_nobody_works(&store);
        assert_nothing_runs(&store);
    }
    // What was done stays done.
    store.scratch().write("context/Dockerfile", "FROM busybox\nRUN touch /before\n");
    let again = end(start(&store, &words(&["build", "--progress", "plain", &context])));
    assert_eq!(again.stderr.matches("CACHED").count(), 2, "{again:#?}");
    assert_prune_leaves_nothing(&store);
}

#[test]
fn a_build_ends_while_a_registry_is_silent() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("FROM {}/base\nRUN true\n", silent.local_addr().unwrap());
    let (store, context) = set_up(&base);
    let build = start(&store, &words(&["build", &context]));
    let _connection = silent.accept().unwrap();
    send(&build, Signal::INT);
    let began = Instant::now();
    let output = end(build);
    assert_eq!(output.code, 130, "{output:#?}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(output.stderr.contains("canceled"), "{output:#?}");
    // It could not tidy up; whoever comes next does.
    store.ok(["images"]);
    assert_nobody_works(&store);
}

#[test]
fn what_runs_gets_the_signal_and_its_status_is_ours() {
    let (store, _) = set_up("");
    let script = "trap 'echo asked; exit 9' TERM; echo ready; while true; do sleep 0.01; done";
    let run = start(&store, &words(&["run", "--name", "box", "busybox", "sh", "-c", script]));
    wait_for_container(&store, "sh -c trap");
    wait_until("it is listed", || store.ok(["ps", "--format", "{{.Names}}"]) == "box\n");
    let again = store.run(["start", "-a", "box"]);
    assert_eq!(again.code, 1, "it runs already: {again:#?}");
    wait_until("it has a handler", || {
        let mark = store.scratch().path().file_name().unwrap().to_string_lossy().into_owned();
        processes_with(&mark).iter().any(|line| line.starts_with("sleep"))
    });
    send(&run, Signal::TERM);
    let output = end(run);
    assert_eq!((output.code, output.stdout.as_str()), (9, "ready\nasked\n"), "{output:#?}");
    assert_eq!(store.ok(["ps", "-a", "--format", "{{.State}}"]), "exited\n");
    assert_nobody_works(&store);
}

#[test]
fn a_container_dies_with_its_program_whoever_it_became() {
    let (store, _) = set_up("");
    let become_other = ["su", "-s", "/bin/sh", "other", "-c", "sleep 1003; true"];
    let stay = ["sh", "-c", "(setsid sleep 1003 &); sleep 1003; true"];
    store.scratch().write(
        "context/Dockerfile",
        "FROM busybox\nRUN echo other:x:7:7::/:/bin/sh >> /etc/passwd && echo other:x:7: >> /etc/group\n",
    );
    let context = store.scratch().join("context").display().to_string();
    store.ok(["build", "-q", "-t", "other", &context]);
    for (name, command) in [("one", become_other.as_slice()), ("two", &stay)] {
        let args = [["run", "--rm", "--name", name, "other"].as_slice(), command].concat();
        let mut run = start(&store, &words(&args));
        wait_for_container(&store, "sleep 1003");
        run.kill().unwrap();
        run.wait().unwrap();
        // The very next command sees it as it is.
        let state = store.ok(["ps", "-a", "--format", "{{.Names}} {{.Status}}"]);
        assert!(state.contains(&format!("{name} Exited (137)\n")), "{state}");
        assert_nothing_runs(&store);
    }
    // And the very next one can take everything away, whatever was still being written.
    let script = "while true; do mkdir -p /a/b/c; echo > /a/b/c/$((n += 1)); done";
    for command in [&["run", "--rm", "busybox", "/bin/sh", "-c", script][..], &["build", &context]]
    {
        store.scratch().write("context/Dockerfile", format!("FROM busybox\nRUN {script}\n"));
        let mut child = start(&store, &words(command));
        wait_for_container(&store, "/bin/sh -c while");
        child.kill().unwrap();
        child.wait().unwrap();
        store.ok(["prune", "--force"]);
        assert_nobody_works(&store);
        assert_eq!(store.ok(["ps", "-a", "-q"]), "");
    }
    assert_nothing_runs(&store);
    assert_prune_leaves_nothing(&store);
}
