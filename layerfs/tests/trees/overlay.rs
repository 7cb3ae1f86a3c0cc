//! The overlay backend.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use layerfs::{Committed, DirectoryTimes, Durability, Error, Place, Snapshotter, Timestamp};

use crate::archive::build;
use crate::cases::through;
use crate::conformance::{names, shown, suite, tar_of};
use crate::listing::xattrs;
use crate::scratch::Scratch;

#[test]
fn overlay_is_a_snapshotter() {
    suite(&|scratch| Box::new(scratch.overlay()));
}

#[test]
fn nothing_is_attached_to_the_mount_namespace() {
    let scratch = Scratch::new();
    let layer = scratch.layer("a", &build("file a data=x"));
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let overlay = scratch.overlay();
    let view = overlay.view(std::slice::from_ref(&layer), &|| scratch.fresh()).unwrap();
    let active = overlay.prepare(&[layer], scratch.place("p"), Durability::Volatile).unwrap();
    assert!(view.mount.is_some() && active.mount.is_some());
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
}

#[test]
fn a_view_cannot_be_written() {
    let scratch = Scratch::new();
    let layers = [scratch.layer("a", &build("dir d/")), scratch.layer("b", &build("dir e/"))];
    let view = scratch.overlay().view(&layers, &|| scratch.fresh()).unwrap();
    let error = fs::write(through(&view.root).join("d/x"), "x").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    let view = scratch.overlay().view(&[], &|| scratch.fresh()).unwrap();
    let error = fs::write(through(&view.root).join("x"), "x").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    // What begins on nothing does not show when it began.
    assert_eq!(view.root.top().metadata().unwrap().mtime, Timestamp::at(0));
}

#[test]
fn many_layers_and_long_paths() {
    let scratch = Scratch::new();
    let mut deep = scratch.path().to_owned();
    for _ in 0..3 {
        deep.push("d".repeat(200));
        fs::create_dir(&deep).unwrap();
    }
    let layers: Vec<Committed> = (0..200)
        .map(|i| {
            let tree = deep.join(i.to_string());
            fs::create_dir(&tree).unwrap();
            fs::write(tree.join(format!("file-{i}")), "x").unwrap();
            Committed { tree }
        })
        .collect();
    let overlay = scratch.overlay();
    let view = overlay.view(&layers, &|| scratch.fresh()).unwrap();
    assert_eq!(fs::read_dir(through(&view.root)).unwrap().count(), 200);
    let place = Place { upper: deep.join("upper"), work: deep.join("work") };
    fs::create_dir(&place.upper).unwrap();
    fs::create_dir(&place.work).unwrap();
    let active = overlay.prepare(&layers, place, Durability::Volatile).unwrap();
    fs::write(through(&active.root).join("new"), "x").unwrap();
    assert_eq!(shown(&overlay.changes(&active).unwrap()), ["A /new"]);

    let twice: Vec<Committed> = layers.iter().cycle().take(600).cloned().collect();
    let view = overlay.view(&twice, &|| scratch.fresh()).unwrap();
    assert_eq!(fs::read_dir(through(&view.root)).unwrap().count(), 200);

    let many: Vec<Committed> = (0..501)
        .map(|i| {
            let tree = deep.join(format!("many-{i}"));
            fs::create_dir(&tree).unwrap();
            Committed { tree }
        })
        .collect();
    let error = overlay.view(&many, &|| scratch.fresh()).unwrap_err();
    assert!(matches!(error, Error::TooManyLayers { layers: 501, limit: 500 }), "{error}");
}

#[test]
fn a_place_of_a_build_can_be_used_again_after_a_crash() {
    let scratch = Scratch::new();
    let layer = scratch.layer("a", &build("file a data=x"));
    let (overlay, place) = (scratch.overlay(), scratch.place("p"));
    let active =
        overlay.prepare(std::slice::from_ref(&layer), place.clone(), Durability::Volatile).unwrap();
    fs::write(through(&active.root).join("b"), "x").unwrap();
    drop(active);
    assert!(place.work.join("work/incompat/volatile").exists());
    let active = overlay.prepare(&[layer], place, Durability::Durable).unwrap();
    assert_eq!(shown(&overlay.changes(&active).unwrap()), ["A /b"]);
}

#[test]
fn the_root_of_an_upper_looks_like_the_root_below() {
    let scratch = Scratch::new();
    let layer = scratch.layer("a", &build("dir ./ mode=711 uid=4 gid=5 mtime=99\nfile a"));
    let (overlay, place) = (scratch.overlay(), scratch.place("p"));
    fs::set_permissions(&place.upper, fs::Permissions::from_mode(0o700)).unwrap();
    let active = overlay.prepare(&[layer], place, Durability::Volatile).unwrap();
    let listing = crate::listing::list(&through(&active.root), crate::listing::Detail::Tree);
    assert_eq!(listing.lines().next(), Some("d 0711 4:5 99 ."));
}

#[test]
fn a_container_neither_sees_nor_copies_our_marks() {
    let scratch = Scratch::new();
    let layer = scratch.layer("a", &build("file implicit/file data=x"));
    let (overlay, place) = (scratch.overlay(), scratch.place("p"));
    assert_eq!(xattrs(&layer.tree.join("implicit")).len(), 1);
    let active = overlay.prepare(&[layer], place.clone(), Durability::Volatile).unwrap();
    let tree = through(&active.root);
    assert_eq!(xattrs(&tree.join("implicit")), []);
    fs::write(tree.join("implicit/new"), "x").unwrap();
    let (committed, _) = overlay.commit(active, DirectoryTimes::Keep, None).unwrap();
    let tar = tar_of(&committed);
    assert_eq!(names(&tar), ["implicit/", "implicit/new"]);
}

#[test]
fn a_file_named_like_a_whiteout_cannot_become_part_of_a_layer() {
    let scratch = Scratch::new();
    let overlay = scratch.overlay();
    let active = overlay.prepare(&[], scratch.place("p"), Durability::Volatile).unwrap();
    fs::write(through(&active.root).join(".wh.x"), "x").unwrap();
    let (committed, _) = overlay.commit(active, DirectoryTimes::Keep, None).unwrap();
    let root = layerfs::Root::open(&committed.tree).unwrap();
    let error = layerfs::write_layer(&root, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, Error::ReservedName { .. }), "{error}");
}

/// A layer may remove what no layer below it has: other builders and squashed images do.
#[test]
fn a_whiteout_of_nothing_is_nothing_in_a_tree() {
    let scratch = Scratch::new();
    let base = scratch.layer("a", &build("file a data=x"));
    let odd = scratch.layer("b", &build("dir d/\nfile d/.wh.gone\nfile d/kept data=y"));
    let view = scratch.overlay().view(&[base, odd], &|| scratch.fresh()).unwrap();
    let mut tar = Vec::new();
    let place = std::path::Path::new("");
    layerfs::write_tree(&view.root, std::path::Path::new("/"), place, &mut tar).unwrap();
    assert_eq!(names(&tar), ["./", "a", "d/", "d/kept"]);
}

#[test]
fn a_settled_upper_holds_only_what_changed() {
    let scratch = Scratch::new();
    let base = "dir a/ mtime=1\nfile a/f data=x mtime=1\nfile a/g data=y mtime=1\ndir b/ mtime=1\n";
    let layer = scratch.layer("a", &build(base));
    let (overlay, place) = (scratch.overlay(), scratch.place("p"));
    let active = overlay.prepare(&[layer], place, Durability::Volatile).unwrap();
    let tree = through(&active.root);
    for name in ["a/f", "b"] {
        fs::set_permissions(tree.join(name), fs::Permissions::from_mode(0o700)).unwrap();
    }
    fs::set_permissions(tree.join("a/f"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(tree.join("b"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(tree.join("a/new"), "x").unwrap();
    let (committed, _) = overlay.commit(active, DirectoryTimes::Keep, None).unwrap();
    assert_eq!(names(&tar_of(&committed)), ["a/", "a/new"]);
}
