//! What every backend of [`Snapshotter`] must do, whatever it does it with: one call of
//! [`suite`] per backend.
//!
//! Each operation is what a container might do to a tree; what it changes is written as
//! `docker diff` prints it.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use layerfs::{
    ApplyOptions, Change, ChangeKind, Committed, DirectoryTimes, Durability, Root, Snapshotter,
    apply_layer, write_layer,
};

use crate::archive::build;
use crate::cases::through;
use crate::listing::{Detail, list};
use crate::scratch::Scratch;

const BASE: &str = "
dir ./ mode=755 mtime=1000
dir a/ mtime=1000
file a/f mtime=1000 data=f-content
file a/g mtime=1000 uid=3 data=g
dir a/sub/ mtime=1000
file a/sub/deep mtime=1000 data=deep
file conf mtime=1000 data=0123456789
dir empty/ mtime=1000
file h1 mtime=1000 data=linked
link h2 to=h1
symlink link mtime=1000 to=a
";
const SECOND: &str = "
dir a/ mtime=2000
file a/.wh.gone
file a/second mtime=2000 data=second
";

type Operation = (&'static str, fn(&Path), &'static [&'static str]);

/// What is done to the base, and the changes it makes.
const OPERATIONS: &[Operation] = &[
    ("nothing", |_| {}, &[]),
    ("create a file", |t| write(t, "a/new", "x"), &["C /a", "A /a/new"]),
    ("create at the root", |t| write(t, "new", "x"), &["A /new"]),
    ("write to a file", |t| write(t, "a/f", "changed"), &["C /a", "C /a/f"]),
    (
        "append to a file",
        |t| write(t, "a/sub/deep", "deep and more"),
        &["C /a", "C /a/sub", "C /a/sub/deep"],
    ),
    ("change a mode", |t| mode(t, "a/f", 0o600), &["C /a", "C /a/f"]),
    (
        "change a mode and change it back",
        |t| {
            mode(t, "a/f", 0o600);
            mode(t, "a/f", 0o644);
        },
        &[],
    ),
    ("change an owner", |t| own(t, "a/f", 5, 6), &["C /a", "C /a/f"]),
    ("change a directory's owner", |t| own(t, "a/sub", 5, 6), &["C /a", "C /a/sub"]),
    ("set the time that it has", |t| touch(t, "a/f", 1000), &[]),
    ("set another time", |t| touch(t, "a/f", 1001), &["C /a", "C /a/f"]),
    ("set a directory's time", |t| touch(t, "a/sub", 1001), &[]),
    (
        "write what is there and put the time back",
        |t| {
            write(t, "conf", "0123456789");
            touch(t, "conf", 1000);
        },
        &[],
    ),
    (
        "write as many other bytes and put the time back",
        |t| {
            write(t, "conf", "9876543210");
            touch(t, "conf", 1000);
        },
        &["C /conf"],
    ),
    ("open for writing", |t| drop(fs::OpenOptions::new().append(true).open(t.join("conf"))), &[]),
    ("remove a file", |t| fs::remove_file(t.join("a/f")).unwrap(), &["C /a", "D /a/f"]),
    ("remove a directory", |t| fs::remove_dir_all(t.join("a")).unwrap(), &["D /a"]),
    (
        "remove what the second layer has",
        |t| fs::remove_file(t.join("a/second")).unwrap(),
        &["C /a", "D /a/second"],
    ),
    (
        "create and remove",
        |t| {
            write(t, "a/new", "x");
            fs::remove_file(t.join("a/new")).unwrap();
        },
        &[],
    ),
    (
        "rename a file",
        |t| fs::rename(t.join("conf"), t.join("a/conf")).unwrap(),
        &["C /a", "A /a/conf", "D /conf"],
    ),
    (
        "rename a directory",
        |t| run("mv", &[&t.join("a/sub"), &t.join("moved")]),
        &["C /a", "D /a/sub", "A /moved", "A /moved/deep"],
    ),
    (
        "rename a directory that is new",
        |t| {
            fs::create_dir_all(t.join("x/y")).unwrap();
            write(t, "x/y/z", "z");
            fs::rename(t.join("x"), t.join("w")).unwrap();
        },
        &["A /w", "A /w/y", "A /w/y/z"],
    ),
    (
        "a file in the place of a directory",
        |t| {
            fs::remove_dir_all(t.join("a")).unwrap();
            write(t, "a", "file");
        },
        &["C /a"],
    ),
    (
        "a directory in the place of a file",
        |t| {
            fs::remove_file(t.join("conf")).unwrap();
            fs::create_dir(t.join("conf")).unwrap();
            write(t, "conf/x", "x");
        },
        &["C /conf", "A /conf/x"],
    ),
    (
        "a directory made anew",
        |t| {
            fs::remove_dir_all(t.join("a")).unwrap();
            fs::create_dir(t.join("a")).unwrap();
            write(t, "a/f", "f-content");
            touch(t, "a/f", 1000);
            write(t, "a/new", "x");
        },
        &["C /a", "D /a/g", "A /a/new", "D /a/second", "D /a/sub"],
    ),
    (
        "a tree made anew, but for some of it",
        |t| {
            fs::remove_dir_all(t.join("a")).unwrap();
            fs::create_dir_all(t.join("a/sub/deep")).unwrap();
            fs::create_dir(t.join("a/g")).unwrap();
            write(t, "a/second", "second");
            touch(t, "a/second", 2000);
        },
        &["C /a", "D /a/f", "C /a/g", "C /a/sub", "C /a/sub/deep"],
    ),
    (
        "a tree made anew as it was, but for a file deep in it",
        |t| {
            run("cp", &[Path::new("-a"), &t.join("a"), &t.join("copy")]);
            fs::remove_dir_all(t.join("a")).unwrap();
            fs::rename(t.join("copy"), t.join("a")).unwrap();
            fs::remove_file(t.join("a/sub/deep")).unwrap();
        },
        &["C /a", "C /a/sub", "D /a/sub/deep"],
    ),
    (
        "a directory made anew and left empty",
        |t| {
            fs::remove_dir_all(t.join("a")).unwrap();
            fs::create_dir(t.join("a")).unwrap();
        },
        &["C /a", "D /a/f", "D /a/g", "D /a/second", "D /a/sub"],
    ),
    (
        "an empty directory made anew as it was",
        |t| {
            fs::remove_dir(t.join("empty")).unwrap();
            fs::create_dir(t.join("empty")).unwrap();
        },
        &[],
    ),
    (
        "a file removed and made again",
        |t| {
            fs::remove_file(t.join("conf")).unwrap();
            write(t, "conf", "new");
        },
        &["C /conf"],
    ),
    (
        "a symlink that points elsewhere",
        |t| {
            fs::remove_file(t.join("link")).unwrap();
            symlink("empty", t.join("link")).unwrap();
        },
        &["C /link"],
    ),
    (
        "a new name of a file",
        |t| fs::hard_link(t.join("a/f"), t.join("a/hard")).unwrap(),
        &["C /a", "A /a/hard"],
    ),
    (
        "a new name of a file elsewhere",
        |t| fs::hard_link(t.join("a/f"), t.join("hard")).unwrap(),
        &["A /hard"],
    ),
    (
        "new files with two names",
        |t| {
            write(t, "one", "x");
            fs::hard_link(t.join("one"), t.join("two")).unwrap();
        },
        &["A /one", "A /two"],
    ),
    ("an extended attribute", |t| xattr(t, "a/f", "user.k", "v"), &["C /a", "C /a/f"]),
    ("an extended attribute of a directory", |t| xattr(t, "empty", "user.k", "v"), &["C /empty"]),
    (
        "special files",
        |t| {
            run("mkfifo", &[&t.join("fifo")]);
            run("mknod", &[&t.join("null"), Path::new("c"), Path::new("1"), Path::new("3")]);
        },
        &["A /fifo", "A /null"],
    ),
    (
        "names in order",
        |t| {
            for name in ["a.b", "a-b", "a/z", "ab", "B"] {
                write(t, name, name);
            }
        },
        &["A /B", "C /a", "A /a/z", "A /a-b", "A /a.b", "A /ab"],
    ),
    (
        "a mode with set-user-ID",
        |t| {
            write(t, "suid", "x");
            own(t, "suid", 1, 1);
            mode(t, "suid", 0o4755);
        },
        &["A /suid"],
    ),
];

/// Runs every rule on the backend that `make` makes.
pub(crate) fn suite(make: &dyn Fn(&Scratch) -> Box<dyn Snapshotter>) {
    for operation in OPERATIONS {
        an_operation_makes_its_changes_and_its_layer(make, operation);
    }
    a_root_that_changed_is_in_the_layer(make);
    what_is_active_shows_what_is_below(make);
    changes_are_seen_while_it_is_active(make);
    restored_times_make_a_layer_that_does_not_know_when(make);
    nothing_can_stand_on_nothing(make);
}

fn base(scratch: &Scratch) -> Vec<Committed> {
    vec![
        scratch.layer("first", &build(BASE)),
        scratch.layer("second", &build(&SECOND.replace("file a/.wh.gone\n", ""))),
    ]
}

fn an_operation_makes_its_changes_and_its_layer(
    make: &dyn Fn(&Scratch) -> Box<dyn Snapshotter>,
    (name, operation, expected): &Operation,
) {
    let scratch = Scratch::new();
    let backend = make(&scratch);
    let mut layers = base(&scratch);
    let place = scratch.place("active");
    let active = backend.prepare(&layers, place, Durability::Volatile).unwrap();
    operation(&through(&active.root));
    let made = list(&through(&active.root), Detail::Tree);
    assert_eq!(shown(&backend.changes(&active).unwrap()), *expected, "{name}");

    let (committed, settled) = backend.commit(active, DirectoryTimes::Keep, None).unwrap();
    assert_eq!(shown(&settled.changes), *expected, "{name}");
    assert_eq!(settled.is_empty(), expected.is_empty(), "{name}");

    // The layer's tar, unpacked elsewhere, is the layer.
    let tar = tar_of(&committed);
    let again = scratch.layer("again", &tar);
    assert_eq!(tar_of(&again), tar, "{name}");
    let mut entries: Vec<String> =
        names(&tar).iter().map(|name| name.trim_end_matches('/').to_owned()).collect();
    entries.sort_unstable();
    assert_eq!(entries, entries_for(expected, name), "{name}");

    // On the layers below, both show the tree that was made.
    for top in [committed, again] {
        layers.push(top);
        let view = backend.view(&layers, &|| scratch.fresh()).unwrap();
        let seen = list(&through(&view.root), Detail::Tree);
        assert_eq!(no_directory_times(&seen), no_directory_times(&made), "{name}");
        layers.pop();
    }
}

fn a_root_that_changed_is_in_the_layer(make: &dyn Fn(&Scratch) -> Box<dyn Snapshotter>) {
    let scratch = Scratch::new();
    let backend = make(&scratch);
    let mut layers = base(&scratch);
    let active = backend.prepare(&layers, scratch.place("x"), Durability::Volatile).unwrap();
    mode(&through(&active.root), ".", 0o711);
    let (committed, settled) = backend.commit(active, DirectoryTimes::Keep, None).unwrap();
    assert!(settled.root_changed && settled.changes.is_empty());
    assert_eq!(names(&tar_of(&committed)), ["./"]);
    layers.push(scratch.layer("again", &tar_of(&committed)));
    let view = backend.view(&layers, &|| scratch.fresh()).unwrap();
    assert_eq!(fs::metadata(through(&view.root)).unwrap().mode() & 0o7777, 0o711);
}

fn what_is_active_shows_what_is_below(make: &dyn Fn(&Scratch) -> Box<dyn Snapshotter>) {
    let scratch = Scratch::new();
    let backend = make(&scratch);
    let layers = base(&scratch);
    let active = backend.prepare(&layers, scratch.place("x"), Durability::Volatile).unwrap();
    let view = backend.view(&layers, &|| scratch.fresh()).unwrap();
    let (a, b) = (through(&active.root), through(&view.root));
    assert_eq!(list(&a, Detail::Tree), list(&b, Detail::Tree));
    assert_eq!(fs::read(b.join("a/second")).unwrap(), b"second");
    assert_eq!(fs::read(b.join("a/f")).unwrap(), b"f-content");
}

fn changes_are_seen_while_it_is_active(make: &dyn Fn(&Scratch) -> Box<dyn Snapshotter>) {
    let scratch = Scratch::new();
    let backend = make(&scratch);
    let layers = base(&scratch);
    let place = scratch.place("kept");
    let active = backend.prepare(&layers, place.clone(), Durability::Durable).unwrap();
    write(&through(&active.root), "kept", "x");
    assert_eq!(shown(&backend.changes(&active).unwrap()), ["A /kept"]);
    drop(active);
    // What was written is there again when the place is used again.
    let active = backend.prepare(&layers, place, Durability::Durable).unwrap();
    assert_eq!(fs::read(through(&active.root).join("kept")).unwrap(), b"x");
    fs::remove_file(through(&active.root).join("kept")).unwrap();
    assert_eq!(shown(&backend.changes(&active).unwrap()), [""; 0]);
}

fn restored_times_make_a_layer_that_does_not_know_when(
    make: &dyn Fn(&Scratch) -> Box<dyn Snapshotter>,
) {
    let tar = |wait: bool| {
        let scratch = Scratch::new();
        let backend = make(&scratch);
        let layers = base(&scratch);
        let active = backend.prepare(&layers, scratch.place("x"), Durability::Volatile).unwrap();
        if wait {
            std::thread::sleep(std::time::Duration::from_millis(1100));
        }
        let tree = through(&active.root);
        write(&tree, "a/sub/new", "x");
        touch(&tree, "a/sub/new", 3000);
        tar_of(&backend.commit(active, DirectoryTimes::Restore, None).unwrap().0)
    };
    assert_eq!(tar(false), tar(true));
}

fn nothing_can_stand_on_nothing(make: &dyn Fn(&Scratch) -> Box<dyn Snapshotter>) {
    let scratch = Scratch::new();
    let backend = make(&scratch);
    let view = backend.view(&[], &|| scratch.fresh()).unwrap();
    assert_eq!(fs::read_dir(through(&view.root)).unwrap().count(), 0);
    let active = backend.prepare(&[], scratch.place("x"), Durability::Volatile).unwrap();
    write(&through(&active.root), "first", "x");
    let (committed, settled) = backend.commit(active, DirectoryTimes::Keep, None).unwrap();
    assert_eq!(shown(&settled.changes), ["A /first"]);
    assert_eq!(names(&tar_of(&committed)), ["first"]);
    let view = backend.view(&[committed], &|| scratch.fresh()).unwrap();
    assert_eq!(fs::read(through(&view.root).join("first")).unwrap(), b"x");
}

/// Changes as `docker diff` prints them.
pub(crate) fn shown(changes: &[Change]) -> Vec<String> {
    let line = |change: &Change| {
        let kind = match change.kind {
            ChangeKind::Added => 'A',
            ChangeKind::Modified => 'C',
            ChangeKind::Deleted => 'D',
        };
        format!("{kind} /{}", change.path.display())
    };
    changes.iter().map(line).collect()
}

/// A layer's tar, which is the same when it is written again.
pub(crate) fn tar_of(layer: &Committed) -> Vec<u8> {
    let root = Root::open(&layer.tree).unwrap();
    let (mut tar, mut again) = (Vec::new(), Vec::new());
    write_layer(&root, &mut tar).unwrap();
    write_layer(&root, &mut again).unwrap();
    assert_eq!(tar, again);
    tar
}

/// The names in an archive, as another implementation reads them.
pub(crate) fn names(tar: &[u8]) -> Vec<String> {
    use tar_core::parse::{Limits, ParseEvent, Parser};
    let mut parser = Parser::new(Limits::default());
    // It takes no times before 1970.
    parser.set_ignore_pax_errors(true);
    let (mut names, mut at) = (Vec::new(), 0);
    loop {
        match parser.parse(&tar[at..]).unwrap() {
            ParseEvent::Entry { consumed, entry } => {
                names.push(entry.path_lossy().into_owned());
                at += consumed + usize::try_from(entry.padded_size()).unwrap();
            }
            ParseEvent::End { .. } => return names,
            other => panic!("{other:?}"),
        }
    }
}

/// A listing without the times of directories, which no layer keeps for directories that did not
/// change, and without fractions of seconds, which a tar does not keep.
/// The entries of a tar that says the changes and nothing more.
fn entries_for(changes: &[&str], operation: &str) -> Vec<String> {
    let mut entries: Vec<String> = changes
        .iter()
        .map(|change| match change.split_once(" /") {
            Some(("D", path)) => match path.rsplit_once('/') {
                Some((dir, name)) => format!("{dir}/.wh.{name}"),
                None => format!(".wh.{path}"),
            },
            Some((_, path)) => path.to_owned(),
            None => panic!("{change}"),
        })
        .collect();
    if operation.starts_with("a new name of a file") {
        // Only with its other name is the new one a link.
        entries.extend(["a".to_owned(), "a/f".to_owned()]);
    }
    entries.sort_unstable();
    entries.dedup();
    entries
}

fn no_directory_times(listing: &str) -> String {
    let mut out = String::new();
    for line in listing.lines() {
        let mut words: Vec<&str> = line.split(' ').collect();
        if words[0] == "d" {
            words[3] = "-";
        } else {
            words[3] = words[3].split('.').next().unwrap();
        }
        out += &words.join(" ");
        out.push('\n');
    }
    out
}

fn write(tree: &Path, name: &str, content: &str) {
    fs::write(tree.join(name), content).unwrap();
}

fn mode(tree: &Path, name: &str, mode: u32) {
    fs::set_permissions(tree.join(name), fs::Permissions::from_mode(mode)).unwrap();
}

fn own(tree: &Path, name: &str, uid: u32, gid: u32) {
    chown(tree.join(name), Some(uid), Some(gid)).unwrap();
}

fn touch(tree: &Path, name: &str, seconds: u64) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let times = fs::FileTimes::new().set_modified(time).set_accessed(time);
    fs::File::open(tree.join(name)).unwrap().set_times(times).unwrap();
}

fn xattr(tree: &Path, name: &str, key: &str, value: &str) {
    let flags = rustix::fs::XattrFlags::empty();
    let key = CString::new(key).unwrap();
    rustix::fs::setxattr(tree.join(name), key, value.as_bytes(), flags).unwrap();
}

fn run(program: &str, arguments: &[&Path]) {
    assert!(Command::new(program).args(arguments).status().unwrap().success());
}

/// Unpacks a tar as a layer, for tests that need no more.
pub(crate) fn unpack(tar: &[u8], tree: &Path) {
    apply_layer(&mut &tar[..], &Root::open(tree).unwrap(), &ApplyOptions::default()).unwrap();
}
