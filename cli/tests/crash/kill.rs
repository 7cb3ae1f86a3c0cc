//! `kill -9` at many points of every command that changes something, and the command again.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use testutil::{EmbeddedRegistry, Tierce};

use crate::common::{
    Template, assert_nothing_runs, assert_prune_leaves_nothing, command, end, id_and_output, start,
    tierce, words,
};

/// At how many points of its duration a command is killed.
const KILLS: u32 = 20;

/// A command about to be tried.
struct Try {
    store: Tierce,
    args: Vec<String>,
    /// The registry that it talks to, a process of the template's.
    _registry: Option<EmbeddedRegistry>,
}

/// A command that must be as good as never begun, or done, at any point.
struct Job {
    /// Makes a store, and says what to run in it.
    set_up: fn(&Template) -> Try,
    /// Looks at a store between the kill and the second run, given what the killed one said.
    between: fn(&Try, &str),
    /// Looks at what the second run said, given what the killed one did.
    again: fn(&str, &str),
    /// What there is when it has been done.
    outcome: fn(&Try) -> String,
}

/// Kills the command at points spread over its duration; each time nothing is lost, the command
/// succeeds when it runs again, with the same result as if nothing had been, and what a kill left
/// goes.
fn kill_at_every_point(job: &Job) {
    let template = Template::new();
    let (whole, expected) = undisturbed(job, &template);
    for kill in 0..KILLS {
        let tried = (job.set_up)(&template);
        let images = images(&tried.store);
        let mut child = start(&tried.store, &tried.args);
        std::thread::sleep(whole * kill / KILLS);
        child.kill().unwrap();
        let killed = end(child);
        let at = format!("{:?} killed at {kill}/{KILLS}: {}", tried.args, killed.stderr);

        // A container that others can come to goes on without the command that started it.
        assert_nothing_runs(&tried.store);
        let states = tried.store.ok(["ps", "-a", "--format", "{{.State}}"]);
        assert!(states.lines().all(|state| state != "running"), "{at}\n{states}");
        for image in &images {
            if tried.args[0] != "prune" {
                assert!(self::images(&tried.store).contains(image), "{image} is lost: {at}");
            }
        }
        for image in self::images(&tried.store) {
            tried.store.ok(["run", "--rm", &image, "true"]);
        }
        (job.between)(&tried, &killed.stderr);
        let output = end(start(&tried.store, &tried.args));
        assert_eq!(output.code, 0, "{at}\nand then {output:#?}");
        (job.again)(&killed.stderr, &output.stderr);
        assert_eq!((job.outcome)(&tried), expected, "{at}");
        assert_prune_leaves_nothing(&tried.store);
    }
}

fn undisturbed(job: &Job, template: &Template) -> (Duration, String) {
    let tried = (job.set_up)(template);
    let began = Instant::now();
    let output = command(&tried.store, &tried.args).output().unwrap();
    let whole = began.elapsed();
    assert!(output.status.success(), "{output:?}");
    let outcome = (job.outcome)(&tried);
    assert_prune_leaves_nothing(&tried.store);
    (whole, outcome)
}

fn images(store: &Tierce) -> Vec<String> {
    store.ok(["images", "-q", "--no-trunc"]).lines().map(str::to_owned).collect()
}

fn not_looked_at(_: &Try, _: &str) {}

fn said_nothing(_: &str, _: &str) {}

/// The names of the steps of a build's log whose line after `#NUMBER` begins so.
fn steps<'log>(log: &'log str, state: &str) -> BTreeSet<&'log str> {
    let lines = || log.lines().filter_map(|line| line.strip_prefix('#')?.split_once(' '));
    let in_state: BTreeSet<&str> =
        lines().filter(|(_, rest)| rest.starts_with(state)).map(|(number, _)| number).collect();
    // The first line of a step has its name; the number of a step differs from run to run.
    let mut named = BTreeSet::new();
    lines()
        .filter(|(number, _)| named.insert(*number) && in_state.contains(number))
        .map(|(_, name)| name)
        .collect()
}

#[test]
fn build() {
    kill_at_every_point(&Job {
        set_up: |template| Try {
            store: template.tierce.copied(),
            args: words(&["build", "-t", "made", "--progress", "plain", &template.path("context")]),
            _registry: None,
        },
        between: not_looked_at,
        again: |killed, again| {
            // A step that was reported is never done again.
            let (before, cached) = (steps(killed, "DONE"), steps(again, "CACHED"));
            assert!(before.is_subset(&cached), "{killed}\n{again}");
        },
        outcome: |tried| id_and_output(&tried.store, "made"),
    });
}

#[test]
fn build_and_push_on_a_base_from_a_registry() {
    kill_at_every_point(&Job {
        set_up: |template| {
            let registry = template.registry();
            let base = format!("BASE={}/big", registry.address);
            let name = format!("{}/made", registry.address);
            let context = template.path("context");
            Try {
                store: tierce(),
                args: words(&["build", "-t", &name, "--build-arg", &base, "--push", &context]),
                _registry: Some(registry),
            }
        },
        between: not_looked_at,
        again: said_nothing,
        outcome: |tried| {
            let there = tierce();
            there.ok(["pull", "-q", &tried.args[2]]);
            id_and_output(&there, &tried.args[2])
        },
    });
}

#[test]
fn pull() {
    kill_at_every_point(&Job {
        set_up: |template| {
            let registry = template.registry();
            let name = format!("{}/big", registry.address);
            Try { store: tierce(), args: words(&["pull", &name]), _registry: Some(registry) }
        },
        between: not_looked_at,
        again: said_nothing,
        outcome: |tried| id_and_output(&tried.store, &tried.args[1]),
    });
}

#[test]
fn push() {
    kill_at_every_point(&Job {
        set_up: |template| {
            let registry = EmbeddedRegistry::in_memory(&template.tierce);
            let name = format!("{}/big", registry.address);
            let store = template.tierce.copied();
            Try { store, args: words(&["push", "big", &name]), _registry: Some(registry) }
        },
        between: not_looked_at,
        again: said_nothing,
        outcome: |tried| {
            let there = tierce();
            there.ok(["pull", "-q", &tried.args[2]]);
            id_and_output(&there, &tried.args[2])
        },
    });
}

#[test]
fn load() {
    kill_at_every_point(&Job {
        set_up: |template| Try {
            store: tierce(),
            args: words(&["load", "-i", &template.path("big.tar")]),
            _registry: None,
        },
        between: not_looked_at,
        again: said_nothing,
        outcome: |tried| id_and_output(&tried.store, "big"),
    });
}

#[test]
fn save() {
    kill_at_every_point(&Job {
        set_up: |template| {
            let store = template.tierce.copied();
            let file = store.scratch().write("out/keep", "").with_file_name("big.tar");
            let args = words(&["save", "-o", &file.display().to_string(), "big"]);
            Try { store, args, _registry: None }
        },
        between: |tried, _| {
            // The file is there as a whole, or not at all, and nothing is beside it.
            let file = Path::new(&tried.args[2]);
            let there = std::fs::read_dir(file.parent().unwrap()).unwrap().count();
            assert_eq!(there, if file.exists() { 2 } else { 1 });
            if file.exists() {
                tierce().ok(["load", "-q", "-i", &tried.args[2]]);
            }
        },
        again: said_nothing,
        outcome: |tried| {
            let there = tierce();
            there.ok(["load", "-q", "-i", &tried.args[2]]);
            id_and_output(&there, "big")
        },
    });
}

#[test]
fn run() {
    kill_at_every_point(&Job {
        set_up: |template| {
            let script =
                "for n in $(seq 100); do echo $n > /root/$n; done; sleep 0.05; echo > /end";
            Try {
                store: template.tierce.copied(),
                args: words(&["run", "--name", "again", "busybox", "sh", "-c", script]),
                _registry: None,
            }
        },
        between: |tried, _| {
            // The container is there or not; if it is, then it can be started, and removed.
            if tried.store.ok(["ps", "-a", "--format", "{{.Names}}"]).contains("again") {
                tried.store.ok(["start", "-a", "again"]);
                tried.store.ok(["diff", "again"]);
                tried.store.ok(["rm", "again"]);
            }
        },
        again: said_nothing,
        outcome: |tried| tried.store.ok(["diff", "again"]),
    });
}

#[test]
fn commit() {
    kill_at_every_point(&Job {
        set_up: |template| Try {
            store: template.tierce.copied(),
            args: words(&["commit", "-c", "CMD ls /root | md5sum", "box", "boxed"]),
            _registry: None,
        },
        between: |tried, _| {
            let changes = tried.store.ok(["diff", "box"]);
            assert_eq!(changes.lines().count(), 303, "{changes}");
        },
        again: said_nothing,
        outcome: |tried| id_and_output(&tried.store, "boxed"),
    });
}

#[test]
fn prune() {
    kill_at_every_point(&Job {
        set_up: |template| Try {
            store: template.tierce.copied(),
            args: words(&["prune", "--all", "--force"]),
            _registry: None,
        },
        between: not_looked_at,
        again: said_nothing,
        outcome: |tried| images(&tried.store).concat(),
    });
}

/// Killed at the first sign of life, before anybody had time to write down what runs.
#[test]
fn a_container_that_said_a_word_was_started() {
    let template = Template::new();
    for round in 0..KILLS {
        let store = template.tierce.copied();
        let script = "echo up; exec sleep 1006";
        let args = ["run", "--rm", "--name", "word", "busybox", "sh", "-c", script];
        let mut run = start(&store, &words(&args));
        run.stdout.as_mut().unwrap().read_exact(&mut [0; 2]).unwrap();
        run.kill().unwrap();
        end(run);
        let status = store.ok(["ps", "-a", "--format", "{{.Names}}: {{.Status}}"]);
        assert!(status.lines().any(|line| line == "word: Exited (137)"), "{round}: {status}");
        assert_nothing_runs(&store);
    }
}
