//! Archives unpacked into trees that exist, and compared with what GNU tar makes of them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use layerfs::{ExtractOptions, LinkAtTop, Root, copy_tree, extract_archive};

use crate::archive::build;
use crate::cases::chain;
use crate::conformance::unpack;
use crate::listing::{Detail, list};
use crate::scratch::Scratch;

fn extract(text: &str, tree: &Path, at: &str) -> Result<(), String> {
    let root = Root::open(tree).unwrap();
    extract_archive(&mut &build(text)[..], &root, Path::new(at), &ExtractOptions::default())
        .map_err(|e| chain(&e))
}

#[test]
fn names_of_whiteouts_are_plain_names() {
    let scratch = Scratch::new();
    let tree = scratch.dir("tree");
    extract("file a/.wh.b data=x\nfile a/.wh..wh..opq data=y", &tree, "").unwrap();
    assert_eq!(fs::read(tree.join("a/.wh.b")).unwrap(), b"x");
    assert_eq!(fs::read(tree.join("a/.wh..wh..opq")).unwrap(), b"y");
}

#[test]
fn symlinks_of_the_tree_are_followed_inside_it() {
    let scratch = Scratch::new();
    let tree = scratch.dir("tree");
    let outside = scratch.dir("outside");
    fs::create_dir(tree.join("srv")).unwrap();
    symlink("/srv", tree.join("app")).unwrap();
    symlink(&outside, tree.join("out")).unwrap();
    extract("file x data=x", &tree, "/app").unwrap();
    extract("file app/y data=y\nfile out/z data=z", &tree, "/").unwrap();
    assert_eq!(fs::read(tree.join("srv/x")).unwrap(), b"x");
    assert_eq!(fs::read(tree.join("srv/y")).unwrap(), b"y");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let inside = tree.join(outside.strip_prefix("/").unwrap());
    assert_eq!(fs::read(inside.join("z")).unwrap(), b"z");
}

#[test]
fn an_entry_replaces_what_has_its_name_and_a_directory_keeps_its_content() {
    let scratch = Scratch::new();
    let tree = scratch.dir("tree");
    for dir in ["to/d", "to/e"] {
        fs::create_dir_all(tree.join(dir)).unwrap();
        fs::write(tree.join(dir).join("kept"), "kept").unwrap();
    }
    fs::write(tree.join("to/f"), "old").unwrap();
    symlink("f", tree.join("to/l")).unwrap();
    let archive = "
        dir ./ mode=700 uid=9 mtime=1
        dir d/ mode=711 mtime=5
        file e data=file mtime=1
        file f data=new mtime=1
        file l data=l mtime=1
        link h to=f
        link abs to=/f";
    extract(archive, &tree, "to").unwrap();
    let listing = list(&tree.join("to"), Detail::Tree);
    let entries: Vec<&str> = listing.lines().filter(|l| !l.ends_with(" .")).collect();
    let kept = entries.iter().position(|l| l.contains("d/kept")).unwrap();
    assert!(entries[kept].ends_with("d/kept \"kept\""));
    let others: Vec<&str> =
        entries.iter().enumerate().filter(|(i, _)| *i != kept).map(|(_, l)| *l).collect();
    assert_eq!(
        others,
        [
            "f 0644 0:0 1 abs \"new\"",
            "d 0711 0:0 5 d",
            "f 0644 0:0 1 e \"file\"",
            "f 0644 0:0 1 f = abs",
            "f 0644 0:0 1 h = abs",
            "f 0644 0:0 1 l \"l\"",
        ]
    );
    // The archive's own root says nothing of the directory that it is unpacked into.
    assert!(listing.starts_with("d 0755 0:0 "), "{listing}");
}

#[test]
fn everything_can_belong_to_somebody_else() {
    let scratch = Scratch::new();
    let tree = scratch.dir("tree");
    let root = Root::open(&tree).unwrap();
    let options = ExtractOptions { owner: Some((12, 34)), ..ExtractOptions::default() };
    let archive = build("dir d/ uid=1 mtime=1\nfile d/f gid=2 mode=4755 mtime=1\nsymlink d/l to=f");
    extract_archive(&mut &archive[..], &root, Path::new(""), &options).unwrap();
    let listing = list(&tree.join("d"), Detail::Tree);
    let owners: Vec<&str> = listing.lines().map(|l| l.split(' ').nth(2).unwrap()).collect();
    assert_eq!(owners, ["12:34"; 3]);
    assert!(listing.contains("f 4755"), "{listing}");
}

#[test]
fn nothing_climbs_out_of_the_place_it_is_unpacked_to() {
    for (archive, words) in [
        ("file ../x data=x", "leads out of the root"),
        ("link x to=../secret", "cannot be linked to"),
        ("file a data=x\nfile a/b data=y", "Not a directory"),
    ] {
        let scratch = Scratch::new();
        let tree = scratch.dir("tree");
        fs::create_dir(tree.join("to")).unwrap();
        fs::write(tree.join("secret"), "s").unwrap();
        let error = extract(archive, &tree, "to").unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn gnu_tar_unpacks_its_archives_the_same() {
    let scratch = Scratch::new();
    let source = scratch.dir("source");
    let script = r#"
        set -e; cd "$1"; umask 022
        mkdir -p a/b "$(printf 'd%.0s' $(seq 120))" 'sp ace'; echo hello > a/file; ln a/file a/b/hard
        ln -s ../file a/b/soft; ln -s "$(printf 't%.0s' $(seq 150))" long-target
        echo x > "$(printf 'd%.0s' $(seq 120))/$(printf 'f%.0s' $(seq 120))"; echo é > 'sp ace/naïve'
        mkfifo pipe; mknod dev c 1 5; truncate -s 5M hole; printf x | dd of=hole bs=1 seek=3000000 conv=notrunc 2>/dev/null
        head -c 3000000 /dev/urandom > big; chmod 4750 big; chown 1234:4321 a/file; touch -d @1000000000 a big hole
        : > empty; chmod 0 empty; setfattr -n user.k -v v a/file 2>/dev/null || true
    "#;
    let status = Command::new("bash").args(["-c", script, "sh"]).arg(&source).status().unwrap();
    assert!(status.success());
    for options in [
        &["--format=gnu"][..],
        &["--format=gnu", "--sparse"],
        &["--format=pax"],
        &["--format=pax", "--sparse", "--sparse-version=0.0"],
        &["--format=pax", "--sparse", "--sparse-version=0.1"],
        &["--format=pax", "--sparse", "--sparse-version=1.0"],
        &["--format=pax", "--xattrs", "--xattrs-include=user.*"],
    ] {
        let scratch = Scratch::new();
        let made = Command::new("tar").args(options).arg("-cC").arg(&source).arg(".").output();
        let tar = made.unwrap().stdout;
        let (ours, theirs) = (scratch.dir("ours"), scratch.dir("theirs"));
        unpack(&tar, &ours);
        fs::write(scratch.path().join("tar"), &tar).unwrap();
        let status = Command::new("tar")
            .args(["-xp", "--numeric-owner", "--xattrs", "--xattrs-include=user.*", "-C"])
            .arg(&theirs)
            .arg("-f")
            .arg(scratch.path().join("tar"))
            .status()
            .unwrap();
        assert!(status.success());
        let (ours, theirs) = (list(&ours, Detail::Tree), list(&theirs, Detail::Tree));
        assert!(ours == theirs, "{options:?}\nours:\n{ours}\ntheirs:\n{theirs}");
    }
}

/// What has become a link since links were followed is not made one elsewhere.
#[test]
fn a_link_at_the_top_is_copied_only_where_it_may_be_one() {
    let scratch = Scratch::new();
    let (from, to) = (scratch.dir("from"), scratch.dir("to"));
    symlink("/outside", from.join("place")).unwrap();
    let (source, target) = (Root::open(&from).unwrap(), Root::open(&to).unwrap());
    let (place, top) = (Path::new("place"), (&target, Path::new("")));
    let options = ExtractOptions::default();
    let copy = |link, name| copy_tree(&source, (place, link), Path::new(name), top, &options);
    assert!(copy(LinkAtTop::Refused, "refused").is_err());
    copy(LinkAtTop::Kept, "kept").unwrap();
    let made: Vec<_> = fs::read_dir(&to).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(made, ["kept"]);
}
