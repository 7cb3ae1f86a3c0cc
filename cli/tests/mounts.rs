//! RUN --mount, whoever builds.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::path::Path;
use std::time::Duration;

use testutil::{OrdinaryUser, SubordinateIds, Tierce, busybox_in, processes_with, wait_until};

const BINARY: &str = env!("CARGO_BIN_EXE_tierce");

const DOCKERFILE: &str = "\
FROM busybox AS tool
RUN mkdir -p /o/p && echo made > /o/p/f && ln -s o/p /l
FROM busybox
RUN echo somebody:x:1000:1000::/home:/bin/sh >> /etc/passwd && mkdir -m 777 /seen
RUN --mount=target=/c cat /c/hello > /seen/context; ! touch /c/new 2> /dev/null
RUN --mount=from=tool,source=/l,target=/t,rw echo more >> /t/f; cat /t/f > /seen/stage
RUN --mount=type=tmpfs,target=/t,size=8m cp /bin/busybox /t/echo && /t/echo runs > /seen/tmpfs
RUN --mount=type=cache,target=/k,sharing=locked echo kept > /k/f
RUN --mount=type=cache,target=/k cat /k/f > /seen/cache
RUN --mount=type=cache,target=/s,from=tool,source=/o cat /s/p/f > /seen/seeded && rm -r /s/p
USER 1000
RUN --mount=type=cache,target=/u,uid=1000,gid=1000,mode=0700 echo mine > /u/f && cat /u/f > /seen/owned
CMD [\"sh\", \"-c\", \"cd /seen && cat cache context owned seeded stage tmpfs; ls -d /[cktsu] 2> /dev/null\"]
";

const SEEN: &str = "kept\nhello\nmine\nmade\nmade\nmore\nruns\n";

fn readable(tierce: &Tierce, name: &str) -> String {
    let dir = tierce.scratch().join(name);
    std::fs::create_dir_all(&dir).unwrap();
    dir.display().to_string()
}

fn every_kind_of_mount(tierce: &Tierce) {
    busybox_in(tierce, Path::new(&readable(tierce, "base")));
    let context = readable(tierce, "context");
    tierce.scratch().write("context/Dockerfile", DOCKERFILE);
    tierce.scratch().write("context/hello", "hello\n");
    tierce.ok(["build", "-q", "-t", "mounted", &context]);
    assert_eq!(tierce.run(["run", "--rm", "mounted"]).stdout, SEEN);

    let caches = tierce.root().join("cache/mounts");
    let count = || std::fs::read_dir(&caches).map_or(0, Iterator::count);
    assert_eq!(count(), 3);
    tierce.ok(["prune", "--force"]);
    assert_eq!(count(), 3);
    let pruned = tierce.ok(["prune", "--all", "--force"]);
    assert!(pruned.contains("removed caches of RUN: 3"), "{pruned}");
    assert_eq!(count(), 0);
}

#[test]
fn every_kind_of_mount_as_root() {
    every_kind_of_mount(&Tierce::new(BINARY));
}

#[test]
fn every_kind_of_mount_with_subordinate_ids() {
    every_kind_of_mount(&OrdinaryUser::new(SubordinateIds::Many).tierce(BINARY));
}

#[test]
fn every_kind_of_mount_with_one_id() {
    every_kind_of_mount(&OrdinaryUser::new(SubordinateIds::None).tierce(BINARY));
}

/// A build that has a cache for itself until it is told to end.
fn holder(tierce: &Tierce, name: &str, sharing: &str, script: &str) -> std::process::Child {
    let context = readable(tierce, name);
    let mount = format!("--mount=type=cache,target=/k,sharing={sharing}");
    let dockerfile = format!("FROM busybox\nRUN {mount} {script}\n");
    tierce.scratch().write(&format!("{name}/Dockerfile"), dockerfile);
    tierce.command(["build", "-q", "-t", name, &context]).spawn().unwrap()
}

#[test]
fn a_locked_cache_is_free_when_its_holder_is_killed() {
    let tierce = Tierce::new(BINARY);
    busybox_in(&tierce, Path::new(&readable(&tierce, "base")));
    let mark = tierce.root().display().to_string();
    let runs = |script: &str| processes_with(&mark).iter().any(|line| line.starts_with(script));

    let mut first = holder(&tierce, "first", "locked", "touch /k/first && sleep 1009");
    wait_until("it has the cache", || runs("sleep 1009"));
    let mut second = holder(&tierce, "second", "locked", "ls /k > /seen && touch /k/second");
    std::thread::sleep(Duration::from_millis(500));
    assert!(second.try_wait().unwrap().is_none(), "it has to wait");
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(second.wait().unwrap().success());
    assert_eq!(tierce.ok(["run", "--rm", "second", "cat", "/seen"]), "first\n");
}

#[test]
fn who_wants_a_cache_of_his_own_does_not_wait_for_one_that_is_locked() {
    let tierce = Tierce::new(BINARY);
    busybox_in(&tierce, Path::new(&readable(&tierce, "base")));
    let mark = tierce.root().display().to_string();
    let runs = |script: &str| processes_with(&mark).iter().any(|line| line.starts_with(script));

    let mut first = holder(&tierce, "first", "locked", "touch /k/first && sleep 1010");
    wait_until("it has the cache", || runs("sleep 1010"));
    let mut private = holder(&tierce, "private", "private", "ls /k > /seen");
    assert!(private.wait().unwrap().success());
    assert_eq!(tierce.ok(["run", "--rm", "private", "cat", "/seen"]), "");
    first.kill().unwrap();
    first.wait().unwrap();
}
