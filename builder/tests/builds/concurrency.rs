//! Steps at once, builds at once, and builds that end early.

use std::time::{Duration, Instant};

use builder::{BuildError, Builder, Cancel, Silent};
use layerfs::IdMode;

use crate::common::{Local, World, describe, open, request};

#[test]
fn independent_stages_run_at_once() {
    let world = World::new();
    let stage = |n: u32| format!("FROM busybox AS s{n}\nRUN sleep 1; echo {n} > /out\n");
    let copies: String = (0..4).map(|n| format!("COPY --from=s{n} /out /out{n}\n")).collect();
    let stages: String = (0..4).map(stage).collect();
    let dockerfile = format!("{stages}FROM busybox\n{copies}");
    let started = Instant::now();
    let built = world.build(&request(&dockerfile, None)).unwrap();
    assert!(started.elapsed() < Duration::from_millis(2500), "{:?}", started.elapsed());
    assert_eq!(world.read(&built, "/out3"), "3\n");
}

#[test]
fn stages_that_the_target_does_not_need_are_not_built() {
    let world = World::new();
    let dockerfile = "FROM busybox AS wanted\nRUN true\n\
        FROM nowhere/to/be:found AS broken\nRUN false\n";
    let mut request = request(dockerfile, None);
    request.target = Some("WANTED".into());
    assert!(world.build(&request).is_ok());
}

#[test]
fn a_failure_ends_what_runs_beside_it() {
    let world = World::new();
    let dockerfile = "FROM busybox AS slow\nRUN sleep 60\n\
        FROM busybox AS bad\nRUN sleep 0.3; echo why; exit 7\n\
        FROM busybox\nCOPY --from=slow / /a\nCOPY --from=bad / /b\n";
    let started = Instant::now();
    let error = world.build(&request(dockerfile, None)).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(error.exit_code(), Some(7));
    let BuildError::Step(step) = &error else { panic!("{error:?}") };
    assert_eq!(String::from_utf8_lossy(&step.log_tail), "why\n");
}

#[test]
fn a_file_that_is_missing_ends_the_build_before_the_steps_in_between() {
    let world = World::new();
    let dockerfile = "FROM busybox\nRUN sleep 60\nCOPY missing /x\n";
    let started = Instant::now();
    let error = world.build(&request(dockerfile, Some(world.dir.path()))).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(describe(&error).contains("\"/missing\": not found"), "{}", describe(&error));
}

#[test]
fn a_build_is_cancelled_from_outside() {
    let world = World::new();
    let lease = world.store.lease().unwrap();
    let cancel = Cancel::new().unwrap();
    let builder = Builder {
        store: &world.store,
        lease: &lease,
        images: &Local(&world.store),
        progress: &Silent,
        cancel: &cancel,
        ids: IdMode::Full,
    };
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            cancel.cancel();
        });
        let error = builder.build(&request("FROM busybox\nRUN sleep 60\n", None)).unwrap_err();
        assert!(matches!(error, BuildError::Cancelled), "{error:?}");
    });
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn two_cold_builds_of_the_same_at_once_both_succeed() {
    let world = World::new();
    let dockerfile = "FROM busybox\nWORKDIR /a\nRUN sleep 0.2; echo x > y\nCOPY <<E /z\nz\nE\n";
    // Two connections to one directory, as two processes have.
    let second = open(world.store.root());
    let build = |store: &layerfs::Store| {
        let lease = store.lease().unwrap();
        let cancel = Cancel::new().unwrap();
        let builder = Builder {
            store,
            lease: &lease,
            images: &Local(store),
            progress: &Silent,
            cancel: &cancel,
            ids: IdMode::Full,
        };
        builder.build(&request(dockerfile, None)).unwrap_or_else(|e| panic!("{}", describe(&e)))
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| build(&second));
        let built = build(&world.store);
        let other = other.join().unwrap();
        assert_eq!(world.read(&built, "/a/y"), "x\n");
        assert_eq!(world.read(&other, "/a/y"), "x\n");
    });
}
