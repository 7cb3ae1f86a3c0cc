//! Pushes and pulls where the registry cuts, delays and refuses by chance.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::thread;

use testutil::{EmbeddedRegistry, Tierce, busybox};

/// How many copies run at once.
const AT_ONCE: usize = 4;

/// Pushes an image to so many repositories, and pulls it out of all of them.
fn push_and_pull(count: usize, faults: &str) {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let registry = EmbeddedRegistry::start(&tierce, &["--fault", faults]);
    let folder = |name: &str| format!("dir:{}", tierce.scratch().join(name).display());
    let origin = folder("origin");
    let digest = tierce.ok(["copy", "busybox", &origin]);
    let one = |number: usize| {
        let there = format!("docker://{}/app-{number}:1", registry.address);
        let back = folder(&format!("back-{number}"));
        assert_eq!(tierce.ok(["copy", &origin, &there]), digest, "push {number}");
        assert_eq!(tierce.ok(["copy", &there, &back]), digest, "pull {number}");
        std::fs::remove_dir_all(back.trim_start_matches("dir:")).unwrap();
    };
    thread::scope(|scope| {
        for first in 0..AT_ONCE {
            scope.spawn(move || (first..count).step_by(AT_ONCE).for_each(&one));
        }
    });
}

#[test]
fn every_push_and_pull_ends_well() {
    push_and_pull(20, "429=0.01,500=0.03,503=0.01,cut=0.04,slow=2ms");
}

#[test]
#[ignore = "takes minutes: the same, longer and harder"]
fn two_hundred_pushes_and_pulls_end_well() {
    push_and_pull(200, "429=0.03,500=0.05,503=0.03,cut=0.08,slow=20ms");
}
