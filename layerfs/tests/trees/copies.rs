//! The backend that copies.

use std::fs;
use std::os::unix::fs::MetadataExt;

use layerfs::{CopySnapshotter, DirectoryTimes, Durability, Snapshotter};

use crate::archive::build;
use crate::cases::through;
use crate::conformance::{names, shown, suite, tar_of};
use crate::scratch::Scratch;

const BASE: &str = "dir a/ mtime=1\nfile a/f data=x mtime=1\nfile a/g data=y mtime=1\n";

#[test]
fn copies_are_a_snapshotter() {
    suite(&|_| Box::new(CopySnapshotter::default()));
}

#[test]
fn writing_to_a_snapshot_changes_no_layer() {
    let scratch = Scratch::new();
    let layer = scratch.layer("a", &build(BASE));
    let copies = CopySnapshotter::default();
    let before = tar_of(&layer);
    let active = copies
        .prepare(std::slice::from_ref(&layer), scratch.place("p"), Durability::Volatile)
        .unwrap();
    let file = through(&active.root).join("a/f");
    fs::OpenOptions::new().append(true).open(&file).unwrap().set_len(0).unwrap();
    let (committed, _) = copies.commit(active, DirectoryTimes::Keep, None).unwrap();
    assert_eq!(tar_of(&layer), before);
    assert_eq!(names(&tar_of(&committed)), ["a/", "a/f"]);
}

#[test]
fn a_change_whose_time_was_put_back_is_found() {
    let scratch = Scratch::new();
    let layer = scratch.layer("a", &build(BASE));
    let copies = CopySnapshotter::default();
    let active = copies.prepare(&[layer], scratch.place("p"), Durability::Volatile).unwrap();
    let file = through(&active.root).join("a/f");
    let times = fs::FileTimes::new().set_modified(fs::metadata(&file).unwrap().modified().unwrap());
    fs::write(&file, "z").unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_times(times).unwrap();
    assert_eq!(shown(&copies.changes(&active).unwrap()), ["C /a", "C /a/f"]);
}

#[test]
fn who_builds_on_a_step_takes_its_tree_over() {
    let scratch = Scratch::new();
    let layer = scratch.layer("a", &build(BASE));
    let copies = CopySnapshotter::default();
    let place = scratch.place("p");
    let active =
        copies.prepare(std::slice::from_ref(&layer), place.clone(), Durability::Volatile).unwrap();
    fs::write(through(&active.root).join("new"), "x").unwrap();
    let number = fs::metadata(through(&active.root).join("a/f")).unwrap().ino();
    let (committed, _) = copies.commit(active, DirectoryTimes::Keep, None).unwrap();
    let stack = [layer, committed];
    assert!(copies.remember(&place.work, &stack));

    let next = copies.prepare(&stack, scratch.place("q"), Durability::Volatile).unwrap();
    let tree = through(&next.root);
    assert_eq!(fs::metadata(tree.join("a/f")).unwrap().ino(), number);
    assert_eq!(shown(&copies.changes(&next).unwrap()), [""; 0]);
    fs::remove_file(tree.join("new")).unwrap();
    assert_eq!(shown(&copies.changes(&next).unwrap()), ["D /new"]);
    // There is one such tree: another one who comes has it made anew.
    let other = copies.prepare(&stack, scratch.place("r"), Durability::Volatile).unwrap();
    assert_eq!(fs::read(through(&other.root).join("new")).unwrap(), b"x");
}

#[test]
fn a_tree_half_made_is_made_again() {
    let scratch = Scratch::new();
    let layer = scratch.layer("a", &build(BASE));
    let place = scratch.place("p");
    fs::create_dir_all(place.work.join("tree/half")).unwrap();
    let copies = CopySnapshotter::default();
    let active = copies.prepare(&[layer], place, Durability::Durable).unwrap();
    assert_eq!(shown(&copies.changes(&active).unwrap()), [""; 0]);
    assert!(!through(&active.root).join("half").exists());
}

#[test]
fn what_an_overlay_wrote_is_there_in_a_copy() {
    let scratch = Scratch::new();
    let layers = [scratch.layer("a", &build(BASE))];
    let place = scratch.place("p");
    let overlay = scratch.overlay();
    let active = overlay.prepare(&layers, place.clone(), Durability::Durable).unwrap();
    fs::write(through(&active.root).join("a/new"), "x").unwrap();
    fs::remove_file(through(&active.root).join("a/f")).unwrap();
    let expected = shown(&overlay.changes(&active).unwrap());
    drop(active);
    let copies = CopySnapshotter::default();
    let active = copies.prepare(&layers, place, Durability::Durable).unwrap();
    assert_eq!(shown(&copies.changes(&active).unwrap()), expected);
}
