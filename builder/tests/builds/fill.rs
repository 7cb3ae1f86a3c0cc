//! Copies into directories that are empty go another way than those into directories that hold
//! something: both must come to the same.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::common::{World, request};

/// Files of all kinds, in more directories than one thread takes at once.
fn context(dir: &Path) {
    for number in 0..300 {
        let parent = dir.join(format!("d{}/e{}", number % 7, number % 3));
        fs::create_dir_all(&parent).unwrap();
        let file = parent.join(format!("f{number}"));
        fs::write(&file, vec![b'x'; number * 700]).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600 + (number as u32 & 0o77)))
            .unwrap();
    }
    fs::write(dir.join("big"), vec![7; 9 << 20]).unwrap();
    fs::hard_link(dir.join("d1/e1/f1"), dir.join("d0/second")).unwrap();
    fs::hard_link(dir.join("d1/e1/f1"), dir.join("third")).unwrap();
    symlink("d1/e1/f1", dir.join("link")).unwrap();
    symlink("/nowhere", dir.join("d0/dangling")).unwrap();
    fs::create_dir(dir.join("empty")).unwrap();
    fs::set_permissions(dir.join("empty"), fs::Permissions::from_mode(0o1777)).unwrap();
}

/// The trees of the same copy into a directory that is new, one that is empty, and one that holds
/// something.
#[test]
fn a_directory_gets_the_same_files_whether_it_is_new_or_there() {
    for flags in ["", "--chown=12:34", "--chmod=u=rwX,go=", "--exclude=d1"] {
        let world = World::new();
        let dir = world.dir.path().join("context");
        fs::create_dir(&dir).unwrap();
        context(&dir);
        let tree = |dockerfile: String| {
            let request = request(&dockerfile, Some(&dir));
            let built = world.build(&request).unwrap();
            let lines = world.tree(&built);
            let below = lines.into_iter().filter(|line| line.contains(" /to/"));
            let listed: Vec<String> = below.collect();
            assert!(listed.len() > 200, "{listed:?}");
            (built, listed)
        };
        let (new, fresh) = tree(format!("FROM busybox\nCOPY {flags} . /to\n"));
        let into = |made: &str| format!("FROM busybox\nRUN {made}\nCOPY {flags} . /to\n");
        let (_, empty) = tree(into("mkdir /to"));
        assert_eq!(fresh, empty, "{flags}");
        let (_, emptied) = tree(into("mkdir /to && touch /to/old\nRUN rm /to/old"));
        assert_eq!(fresh, emptied, "{flags}");
        let (_, mut there) = tree(into("mkdir /to && touch /to/old"));
        there.retain(|line| !line.contains(" /to/old "));
        assert_eq!(fresh, there, "{flags}");
        let time = |path: &str| world.stat(&new, path).mtime.seconds;
        assert_eq!(time("/to/big"), fs::metadata(dir.join("big")).unwrap().mtime());
        assert_eq!(time("/to/d0"), fs::metadata(dir.join("d0")).unwrap().mtime());
        assert_eq!(time("/to"), fs::metadata(&dir).unwrap().mtime());
        if !flags.contains("exclude") {
            let inode = |path: &str| world.stat(&new, path).ino;
            assert_eq!(inode("/to/third"), inode("/to/d1/e1/f1"));
            assert_eq!(inode("/to/third"), inode("/to/d0/second"));
        }
    }
}

#[test]
fn the_device_that_means_a_deletion_is_copied_nowhere() {
    let world = World::new();
    let dir = world.dir.path().join("context");
    fs::create_dir(&dir).unwrap();
    let device = rustix::fs::makedev(0, 0);
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, dir.join("gone"), kind, mode, device).unwrap();
    for dockerfile in ["FROM busybox\nCOPY . /to\n", "FROM busybox\nCOPY . /\n"] {
        let error = world.build(&request(dockerfile, Some(&dir))).unwrap_err();
        assert!(crate::common::describe(&error).contains("create"), "{error}");
    }
}

#[test]
fn the_number_of_threads_is_nowhere_in_the_result() {
    let dir = tempfile::tempdir().unwrap();
    context(dir.path());
    let digest = |threads: usize| {
        let world = World::new();
        let mut request = request("FROM scratch\nCOPY . /to\n", Some(dir.path()));
        request.parallelism = threads.try_into().unwrap();
        let built = world.build(&request).unwrap();
        built.config.rootfs.diff_ids.clone()
    };
    assert_eq!(digest(1), digest(8));
}

#[test]
fn more_can_be_copied_to_where_something_was_copied() {
    let world = World::new();
    let dir = world.dir.path().join("context");
    fs::create_dir_all(dir.join("a/d")).unwrap();
    fs::create_dir_all(dir.join("b/d")).unwrap();
    for (name, content) in [("a/one", "a"), ("a/d/x", "a"), ("b/two", "b"), ("b/d/x", "b")] {
        fs::write(dir.join(name), content).unwrap();
    }
    let request = request("FROM busybox\nCOPY a b a/one /to/new/\n", Some(&dir));
    let built = world.build(&request).unwrap();
    let read = |path: &str| world.read(&built, path);
    assert_eq!(
        (read("/to/new/one"), read("/to/new/two"), read("/to/new/d/x")),
        ("a".into(), "b".into(), "b".into())
    );
}

#[test]
fn a_directory_that_was_empty_keeps_what_it_is() {
    let world = World::new();
    let dir = world.dir.path().join("context");
    fs::create_dir(&dir).unwrap();
    context(&dir);
    let made = "mkdir -m 2751 /to && chown 12:34 /to";
    let dockerfile = format!("FROM busybox\nRUN {made}\nCOPY . /to\n");
    let built = world.build(&request(&dockerfile, Some(&dir))).unwrap();
    let to = world.stat(&built, "/to");
    assert_eq!((to.mode, to.uid, to.gid), (0o2751, 12, 34));
    assert_eq!(world.stat(&built, "/to/d0").gid, 0);
    // The root of an empty image is such a directory, too.
    let built = world.build(&request("FROM scratch\nCOPY . /\n", Some(&dir))).unwrap();
    let layer = world.store.layer(built.config.rootfs.diff_ids.last().unwrap()).unwrap().unwrap();
    assert_eq!(fs::metadata(layer.tree().join("big")).unwrap().len(), 9 << 20);
}
