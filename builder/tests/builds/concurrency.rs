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
        remotes: &builder::NoRemotes,
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
            remotes: &builder::NoRemotes,
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

/// What each of two builds at once, in connections of their own as two processes have, finds in
/// a cache before and after a while.
fn two_users_of_a_cache(sharing: &str) -> [String; 2] {
    let world = World::new();
    let dockerfile = |name: &str| {
        format!(
            "FROM busybox\n\
             RUN --mount=type=cache,target=/k,sharing={sharing} \
             touch /k/{name}; sleep 1; ls /k > /seen; rm /k/{name}\n"
        )
    };
    let second = open(world.store.root());
    let build = |store: &layerfs::Store, name: &str| {
        let lease = store.lease().unwrap();
        let cancel = Cancel::new().unwrap();
        let builder = Builder {
            store,
            lease: &lease,
            images: &Local(store),
            remotes: &builder::NoRemotes,
            progress: &Silent,
            cancel: &cancel,
            ids: IdMode::Full,
        };
        let built = builder.build(&request(&dockerfile(name), None));
        world.read(&built.unwrap_or_else(|e| panic!("{}", describe(&e))), "/seen")
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| build(&second, "b"));
        let one = build(&world.store, "a");
        [one, other.join().unwrap()]
    })
}

#[test]
fn caches_are_shared_private_or_locked() {
    let shared = two_users_of_a_cache("shared");
    assert!(shared.iter().any(|seen| seen == "a\nb\n"), "{shared:?}");
    assert_eq!(two_users_of_a_cache("private"), ["a\n", "b\n"]);
    assert_eq!(two_users_of_a_cache("locked"), ["a\n", "b\n"]);
}

#[test]
fn steps_that_lock_the_same_caches_in_another_order_both_end() {
    let world = World::new();
    let stage = |name: &str, first: &str, second: &str| {
        format!(
            "FROM busybox AS {name}\n\
             RUN --mount=type=cache,target=/{first},sharing=locked \
                 --mount=type=cache,target=/{second},sharing=locked \
                 sleep 0.2; echo {name} > /out\n"
        )
    };
    let dockerfile = format!(
        "{}{}FROM busybox\nCOPY --from=x /out /x\nCOPY --from=y /out /y\n",
        stage("x", "one", "two"),
        stage("y", "two", "one")
    );
    assert!(world.build(&request(&dockerfile, None)).is_ok());
}

#[test]
fn a_build_that_waits_for_a_cache_can_be_cancelled() {
    let world = World::new();
    let dockerfile = "FROM busybox AS slow\n\
         RUN --mount=type=cache,target=/k,sharing=locked sleep 60\n\
         FROM busybox AS waits\n\
         RUN --mount=type=cache,target=/k,sharing=locked sleep 61\n\
         FROM busybox AS bad\nRUN sleep 0.3; exit 7\n\
         FROM busybox\nCOPY --from=slow / /a\nCOPY --from=waits / /b\nCOPY --from=bad / /c\n";
    let started = Instant::now();
    let error = world.build(&request(dockerfile, None)).unwrap_err();
    assert_eq!(error.exit_code(), Some(7));
    assert!(started.elapsed() < Duration::from_secs(10));
}
