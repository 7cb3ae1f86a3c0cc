//! A copy of what was copied before, with little of it changed: the layer is what it would be
//! without the one before, and its unchanged files are those of that one.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use builder::Built;
use layerfs::{PruneImages, PruneOptions, Root};
use oci::DiffId;

use crate::common::{World, request};

const DOCKERFILE: &str = "FROM busybox\nCOPY . /to\n";

/// A context of many small files and a large one.
fn context(world: &World) -> PathBuf {
    let dir = world.dir.path().join("context");
    for number in 0..200 {
        let parent = dir.join(format!("d{}", number % 5));
        fs::create_dir_all(&parent).unwrap();
        write(&parent.join(format!("f{number}")), &format!("file {number}"));
    }
    write(&dir.join("large"), &"0123456789abcdef".repeat(100_000));
    dir
}

/// Writes a file of a time long past: files that have just been written are not remembered.
fn write(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    fs::File::options().write(true).open(path).unwrap().set_modified(past).unwrap();
}

fn build(world: &World, dockerfile: &str, context: &Path) -> Built {
    world.build(&request(dockerfile, Some(context))).unwrap()
}

fn top(built: &Built) -> &DiffId {
    built.config.rootfs.diff_ids.last().unwrap()
}

/// A file of the layer that the last instruction made, as it lies in the store.
fn in_layer(world: &World, built: &Built, path: &str) -> fs::Metadata {
    let layer = world.store.layer(top(built)).unwrap().unwrap();
    fs::symlink_metadata(layer.tree().join(path)).unwrap()
}

/// A way to change a context.
type Change = fn(&Path);

#[test]
fn whatever_changed_the_layer_is_that_of_a_store_that_knew_nothing() {
    let changes: &[(&str, Change)] = &[
        ("content", |dir| write(&dir.join("d1/f1"), "changed")),
        ("content of the same length", |dir| write(&dir.join("d1/f1"), "file X")),
        ("mode", |dir| {
            fs::set_permissions(dir.join("d2/f2"), fs::Permissions::from_mode(0o4755)).unwrap();
            write(&dir.join("d1/f1"), "changed");
        }),
        ("time", |dir| {
            let file = fs::File::options().write(true).open(dir.join("d2/f2")).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(5)).unwrap();
            write(&dir.join("d1/f1"), "changed");
        }),
        ("a file is gone", |dir| fs::remove_file(dir.join("d1/f1")).unwrap()),
        ("a file is new", |dir| write(&dir.join("d1/a"), "new")),
        ("a directory is gone", |dir| fs::remove_dir_all(dir.join("d3")).unwrap()),
        ("a directory became a file", |dir| {
            fs::remove_dir_all(dir.join("d3")).unwrap();
            write(&dir.join("d3"), "file");
        }),
        ("a file became a directory", |dir| {
            fs::remove_file(dir.join("d1/f1")).unwrap();
            fs::create_dir(dir.join("d1/f1")).unwrap();
            write(&dir.join("d1/f1/f1"), "file 1");
        }),
        ("a file became a symlink", |dir| {
            fs::remove_file(dir.join("d1/f1")).unwrap();
            std::os::unix::fs::symlink("f6", dir.join("d1/f1")).unwrap();
        }),
        ("two files became one", |dir| {
            fs::remove_file(dir.join("d1/f1")).unwrap();
            fs::hard_link(dir.join("d1/f6"), dir.join("d1/f1")).unwrap();
        }),
    ];
    for (what, change) in changes {
        let world = World::new();
        let dir = context(&world);
        build(&world, DOCKERFILE, &dir);
        change(&dir);
        let again = build(&world, DOCKERFILE, &dir);
        let fresh = World::new();
        let expected = build(&fresh, DOCKERFILE, &dir);
        assert_eq!(top(&again), top(&expected), "{what}");
        assert_eq!(world.tree(&again), fresh.tree(&expected), "{what}");
    }
}

#[test]
fn two_names_of_one_file_that_became_two_files_are_two_files() {
    let world = World::new();
    let dir = context(&world);
    fs::remove_file(dir.join("d1/f1")).unwrap();
    fs::hard_link(dir.join("d1/f6"), dir.join("d1/f1")).unwrap();
    build(&world, DOCKERFILE, &dir);
    fs::remove_file(dir.join("d1/f1")).unwrap();
    write(&dir.join("d1/f1"), "file 6");
    write(&dir.join("d1/f11"), "changed");
    let again = build(&world, DOCKERFILE, &dir);
    let fresh = World::new();
    assert_eq!(top(&again), top(&build(&fresh, DOCKERFILE, &dir)));
}

#[test]
fn unchanged_files_are_those_of_the_layer_before() {
    let world = World::new();
    let dir = context(&world);
    let first = build(&world, DOCKERFILE, &dir);
    write(&dir.join("d1/f1"), "changed");
    let second = build(&world, DOCKERFILE, &dir);
    assert_ne!(top(&first), top(&second));
    let inode = |built, path| in_layer(&world, built, path).ino();
    assert_eq!(inode(&first, "to/large"), inode(&second, "to/large"));
    assert_eq!(inode(&first, "to/d0/f5"), inode(&second, "to/d0/f5"));
    assert_ne!(inode(&first, "to/d1/f1"), inode(&second, "to/d1/f1"));
    // And from layer to layer.
    write(&dir.join("d2/f2"), "changed");
    let third = build(&world, DOCKERFILE, &dir);
    assert_eq!(inode(&first, "to/large"), inode(&third, "to/large"));
    assert_eq!(inode(&second, "to/d1/f1"), inode(&third, "to/d1/f1"));
}

#[test]
fn a_later_step_that_writes_to_such_a_file_changes_no_other_image() {
    let world = World::new();
    let dir = context(&world);
    let first = build(&world, DOCKERFILE, &dir);
    write(&dir.join("d1/f1"), "changed");
    let more = "FROM busybox\nCOPY . /to\nRUN echo more >> /to/d0/f5 && chmod 0 /to/large\n";
    let second = build(&world, more, &dir);
    assert_eq!(world.read(&second, "to/d0/f5"), "file 5more\n");
    assert_eq!(world.read(&first, "to/d0/f5"), "file 5");
    assert_eq!(world.stat(&second, "to/large").mode, 0);
    assert_ne!(world.stat(&first, "to/large").mode, 0);
}

#[test]
fn owners_that_the_instruction_names_are_those_of_the_new_base() {
    let world = World::new();
    let dir = context(&world);
    let dockerfile = |id: u32| {
        format!(
            "FROM busybox\nRUN echo 'app:x:{id}:{id}::/:/bin/sh' >> /etc/passwd\n\
             COPY --chown=app . /to\n"
        )
    };
    build(&world, &dockerfile(7), &dir);
    let second = build(&world, &dockerfile(8), &dir);
    assert_eq!(world.stat(&second, "to/large").uid, 8);
    assert_eq!(world.stat(&second, "to/d0/f5").uid, 8);
}

#[test]
fn a_layer_that_says_nothing_of_its_files_is_none_to_build_on() {
    let world = World::new();
    let dir = context(&world);
    let first = build(&world, DOCKERFILE, &dir);
    let layer = world.store.layer(top(&first)).unwrap().unwrap();
    let contents = layer.dir.join("contents");
    let whole = fs::read(&contents).unwrap();
    for (round, cut) in [whole.len() - 1, whole.len() / 2, 0].into_iter().enumerate() {
        fs::write(&contents, &whole[..cut]).unwrap();
        write(&dir.join("d1/f1"), &format!("changed {round}"));
        let again = build(&world, DOCKERFILE, &dir);
        let fresh = World::new();
        assert_eq!(top(&again), top(&build(&fresh, DOCKERFILE, &dir)), "{cut}");
    }
}

#[test]
fn no_cache_means_that_nothing_of_before_is_taken() {
    let world = World::new();
    let dir = context(&world);
    let first = build(&world, DOCKERFILE, &dir);
    write(&dir.join("d1/f1"), "changed");
    let mut request = request(DOCKERFILE, Some(&dir));
    request.no_cache = true;
    let second = world.build(&request).unwrap();
    let inode = |built| in_layer(&world, built, "to/large").ino();
    assert_ne!(inode(&first), inode(&second));
}

#[test]
fn the_layer_before_may_go() {
    let world = World::new();
    let dir = context(&world);
    let first = build(&world, DOCKERFILE, &dir);
    write(&dir.join("d1/f1"), "changed");
    let second = build(&world, DOCKERFILE, &dir);
    let lease = world.store.lease().unwrap();
    for layer in &second.config.rootfs.diff_ids {
        assert!(lease.pin_layer(layer).unwrap());
    }
    let (images, records_before) = (PruneImages::Nameless, Some(i64::MAX));
    let options = PruneOptions { images, records_before, ..PruneOptions::default() };
    world.store.prune(&options).unwrap();
    assert_eq!(world.store.layer(top(&first)).unwrap(), None);
    assert_eq!(world.read(&second, "to/d0/f5"), "file 5");
    let tree = world.store.layer(top(&second)).unwrap().unwrap().tree();
    let mut tar = Vec::new();
    layerfs::write_layer(&Root::open(&tree).unwrap(), &mut tar).unwrap();
    assert_eq!(*top(&second), DiffId(oci::Digest::sha256(&tar)));
}
