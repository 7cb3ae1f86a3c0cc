//! Unpacked images are the trees that other tools make of them.
//!
//! These tests need root: only root can give files away and make devices.

#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use layerfs::{IdMode, Store, StoreOptions};
use testutil::{Entry, Peer, PodmanStorage, Scratch, Tierce, busybox, podman, run_ok, tree};

type Tree = BTreeMap<PathBuf, Entry>;

fn tierce() -> Tierce {
    Tierce::new(env!("CARGO_BIN_EXE_tierce"))
}

/// The image with all that is odd, as an OCI layout with the tag `odd`.
fn oddities(dir: &Scratch, without: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/images/oddities.py");
    let layout = dir.join("layout").display().to_string();
    run_ok(Peer::command("python3").arg(script).arg(&layout), without);
    layout
}

/// The tree of an image in a store.
fn tree_in(tierce: &Tierce, image: &str) -> Tree {
    let options = StoreOptions {
        boot: StoreOptions::boot_id().unwrap(),
        ids: IdMode::Full,
        snapshots: layerfs::SnapshotMode::Overlay,
        threads: std::num::NonZeroUsize::MIN,
    };
    let store = Store::open(tierce.root(), options).unwrap();
    let image = store.resolve(image).unwrap();
    let layers: Vec<_> =
        store.image_layers(&image.id).unwrap().into_iter().map(|(diff_id, _)| diff_id).collect();
    let lease = store.lease().unwrap();
    let view = store.view(&lease, &layers).unwrap();
    // The lease holds what the view stands on until the tree is read.
    let mut tree = tree(Path::new(&format!("/proc/self/fd/{}", view.root.as_fd().as_raw_fd())));
    tree.values_mut().for_each(as_device);
    tree
}

/// What stands for a device of the machine, as that device: `UID:GID:b:MAJOR:MINOR:MODE`.
fn as_device(entry: &mut Entry) {
    let Some(meant) = entry.xattrs.remove("user.tierce.stat") else { return };
    assert_eq!((entry.kind, entry.mode, entry.owner), ("file", 0, (0, 0)), "nobody may open it");
    let meant = String::from_utf8(meant).unwrap();
    let parts: Vec<&str> = meant.split(':').collect();
    let [uid, gid, kind, major, minor, mode] = parts[..] else { panic!("{meant}") };
    let number = |text: &str| text.parse::<u32>().unwrap();
    entry.kind = if kind == "b" { "block" } else { "char" };
    (entry.owner, entry.mode) = ((number(uid), number(gid)), number(mode));
    entry.content = rustix::fs::makedev(number(major), number(minor)).to_string();
}

/// Loads a layout and answers with its tree.
fn loaded(tierce: &Tierce, layout: &str) -> Tree {
    let archive = format!("{layout}.tar");
    run_ok(&mut Peer::command("tar"), ["-C", layout, "-cf", &archive, "."]);
    let said = tierce.ok(["load", "-i", &archive]);
    tree_in(tierce, said.trim().rsplit_once(' ').unwrap().1)
}

fn unpacked_by_umoci(dir: &Scratch, layout: &str, tag: &str) -> Tree {
    let bundle = dir.join("bundle");
    let image = format!("{layout}:{tag}");
    run_ok(
        &mut Peer::command("umoci"),
        ["unpack", "--image", &image, &bundle.display().to_string()],
    );
    tree(&bundle.join("rootfs"))
}

fn unpacked_by_podman(dir: &Scratch, archive: &str) -> Tree {
    let podman = |args: &[&str]| run_ok(&mut podman(dir, PodmanStorage::Directories), args);
    let said = podman(&["load", "-q", "-i", archive]);
    let mounted = podman(&["image", "mount", said.trim().rsplit_once(' ').unwrap().1]);
    tree(Path::new(mounted.trim()))
}

/// Fails with what differs, path by path.
fn assert_same(ours: &Tree, theirs: &Tree, whose: &str) {
    let mut differences = String::new();
    for path in ours.keys().chain(theirs.keys().filter(|path| !ours.contains_key(*path))) {
        let (ours, theirs) = (ours.get(path), theirs.get(path));
        if ours != theirs {
            differences += &format!("{path:?}\n  ours:   {ours:?}\n  theirs: {theirs:?}\n");
        }
    }
    assert!(differences.is_empty(), "not as {whose} unpacks it:\n{differences}");
}

/// Sets aside the times of directories for which `is_free` holds: other tools leave them at the
/// moment of unpacking.
fn without_times(mut tree: Tree, is_free: impl Fn(&Path) -> bool) -> Tree {
    for (path, entry) in &mut tree {
        if entry.kind == "dir" && is_free(path) {
            (entry.mtime, entry.nanoseconds) = (0, 0);
        }
    }
    tree
}

/// Directories of the odd image that no layer names. Ours are of 1970, so that they are always the
/// same; others let them have the moment of unpacking.
fn is_named_by_none(path: &Path) -> bool {
    let none = ["./implicit", "./implicit/deeply", "./links", "./opaque", "./replaced"];
    none.iter().any(|unnamed| path == Path::new(unnamed))
}

#[test]
fn an_odd_image_is_the_tree_that_umoci_makes_of_it() {
    let (here, dir) = (tierce(), Scratch::new());
    let layout = oddities(&dir, &["no-old-sparse"]);
    let (ours, theirs) = (loaded(&here, &layout), unpacked_by_umoci(&dir, &layout, "odd"));
    for (path, entry) in ours.iter().filter(|(path, _)| is_named_by_none(path)) {
        assert_eq!((entry.mtime, entry.nanoseconds), (0, 0), "{path:?}");
    }
    // umoci gives the root its time, and then changes it with every layer.
    let is_free = |path: &Path| path == Path::new(".") || is_named_by_none(path);
    assert_same(&without_times(ours, is_free), &without_times(theirs, is_free), "umoci");
}

#[test]
fn an_odd_image_is_the_tree_that_podman_makes_of_it() {
    let (here, dir) = (tierce(), Scratch::new());
    let layout = oddities(&dir, &["no-old-sparse", "no-duplicates"]);
    let (mut ours, theirs) =
        (loaded(&here, &layout), unpacked_by_podman(&dir, &format!("{layout}.tar")));
    for entry in ours.values_mut() {
        if entry.mtime < 0 {
            // podman knows no time before 1970.
            (entry.mtime, entry.nanoseconds) = (0, 0);
        }
        if entry.kind == "link" {
            // podman copies one layer into the next, and a symlink with two names becomes two.
            entry.hard_link = None;
        }
    }
    // For the same reason a directory has the time of the last layer that touches it.
    assert_same(&without_times(ours, |_| true), &without_times(theirs, |_| true), "podman");
}

#[test]
fn the_sparse_files_of_old_gnu_tars_are_read_as_well() {
    let (here, dir) = (tierce(), Scratch::new());
    // umoci and podman cannot: the same files, in the format that they read, are the measure.
    let tree = loaded(&here, &oddities(&dir, &[]));
    let in_dir = |dir: &str| {
        let inside = tree.iter().filter_map(|(path, entry)| {
            Some((path.strip_prefix(dir).ok()?.to_owned(), entry.clone()))
        });
        inside.collect::<Tree>()
    };
    let (old, new) = (in_dir("./sparse-gnu"), in_dir("./sparse-posix"));
    assert_eq!(old.len(), 3);
    assert_same(&old, &new, "the other format");
}

/// What a build makes: of everything something, below `/made`, and changes of the base.
const MAKE: &str = r#"
set -e
mkdir /made; cd /made
echo x > file; chmod 4755 file; chown 12:34 file
mkdir -m 1777 sticky; mkdir -m 2750 setgid; chown 5:6 setgid
ln file hard; ln -s file symlink; ln -s /nowhere dangling; ln symlink hard-symlink
mkfifo fifo; mknod char c 1 3; mknod other c 5 0
mkdir empty; touch empty-file; touch -d '1969-12-31 12:00' before-1970
truncate -s 3000000 holes; echo end >> holes
long=$(printf '%0200d' 0); mkdir -p $long/$long; echo deep > $long/$long/$long
touch "$(printf 'caf\351')" 'new
line' ' space ' ./-n 'back\slash'
chown 3000000:4000000 "$(printf 'caf\351')"
mkdir -m 0 closed; echo x > unreadable; chmod 0 unreadable
"#;
const CHANGE: &str = r#"
set -e
cd /made
rm -r empty; echo file > empty
rm dangling; mkdir dangling; echo x > dangling/file
rm -r sticky; mkdir sticky; echo anew > sticky/file
rm hard; mv fifo moved-fifo; chmod 700 setgid; ln file again
rm /etc/group; mkdir -p /etc/some/where; rmdir /tmp 2>/dev/null || true
"#;

#[test]
fn what_a_build_makes_is_the_same_tree_at_other_tools() {
    let (here, dir) = (tierce(), Scratch::new());
    busybox(&here);
    let steps = format!(
        "FROM busybox\nRUN <<'END'\n{MAKE}END\nRUN <<'END'\n{CHANGE}END\nWORKDIR /made/work/dir\n\
         COPY --chown=7:8 --chmod=0640 Dockerfile /made/copied/\n"
    );
    dir.write("context/Dockerfile", steps);
    here.ok(["build", "-q", "-t", "made:1", &dir.join("context").display().to_string()]);
    let built = whole_seconds(tree_in(&here, "made:1"));

    let (layout, archive) = (dir.join("saved"), dir.join("saved.tar").display().to_string());
    here.ok(["save", "--format", "oci-archive", "-o", &archive, "made:1"]);
    let layout = layout.display().to_string();
    // umoci wants a plain tag.
    run_ok(
        &mut Peer::command("skopeo"),
        ["copy", "-q", &format!("oci-archive:{archive}"), &format!("oci:{layout}-tagged:made")],
    );
    let theirs = unpacked_by_umoci(&dir, &format!("{layout}-tagged"), "made");
    let is_root = |path: &Path| path == Path::new(".");
    assert_same(&without_times(built.clone(), is_root), &without_times(theirs, is_root), "umoci");

    let there = tierce();
    there.ok(["load", "-i", &archive]);
    assert_same(&built, &whole_seconds(tree_in(&there, "made:1")), "another store");
}

/// A tree as a tar of ours keeps it.
fn whole_seconds(mut tree: Tree) -> Tree {
    tree.values_mut().for_each(|entry| entry.nanoseconds = 0);
    tree
}
