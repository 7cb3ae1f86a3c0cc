//! The way into a tree, and that none leads out.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use layerfs::{FileKind, Root, Timestamp};

use crate::scratch::Scratch;

/// A tree beside a secret that every symlink of it tries to reach.
fn tree(scratch: &Scratch) -> (PathBuf, Root) {
    let path = scratch.dir("tree");
    fs::write(scratch.path().join("secret"), "secret").unwrap();
    fs::create_dir(path.join("d")).unwrap();
    fs::write(path.join("d/file"), "inside").unwrap();
    let secret = scratch.path().join("secret");
    symlink("../secret", path.join("relative")).unwrap();
    symlink(&secret, path.join("absolute")).unwrap();
    symlink("..", path.join("up")).unwrap();
    symlink("/d", path.join("d-absolute")).unwrap();
    symlink("/proc/self/cwd", path.join("magic")).unwrap();
    let root = Root::open(&path).unwrap();
    (path, root)
}

#[test]
fn no_path_leads_out() {
    let scratch = Scratch::new();
    let (_, root) = tree(&scratch);
    for path in ["../secret", "/../secret", "relative", "absolute", "up/secret", "d/../../secret"] {
        assert!(root.open_file(path).is_err(), "{path}");
        assert_eq!(root.stat_followed(path).unwrap(), None, "{path}");
    }
    assert!(root.open_file("up/up/up/d/file").is_ok());
    assert!(root.open_file("d-absolute/file").is_ok());
    assert_eq!(root.stat("relative").unwrap().unwrap().kind, FileKind::Symlink);
}

#[test]
fn the_last_component_is_not_followed() {
    let scratch = Scratch::new();
    let (path, root) = tree(&scratch);
    symlink("d/file", path.join("link")).unwrap();
    assert!(root.chmod("link", 0o777).is_err());
    root.chown("link", 7, 8).unwrap();
    root.set_mtime("link", Timestamp::at(5)).unwrap();
    let (link, file) = (root.stat("link").unwrap().unwrap(), root.stat("d/file").unwrap().unwrap());
    assert_eq!((link.uid, link.gid, link.mtime.seconds), (7, 8, 5));
    assert_eq!((file.uid, file.gid, file.mode), (0, 0, 0o644));
    root.remove_tree("link").unwrap();
    assert_eq!(root.read_dir("d").unwrap(), [("file".into(), FileKind::File)]);
}

#[test]
fn directories_are_made_through_symlinks_and_inside() {
    let scratch = Scratch::new();
    let (path, root) = tree(&scratch);
    symlink("/new/../other/place", path.join("dangling")).unwrap();
    let made = root.mkdir_all("dangling/a/b", 0o750, Some((3, 4))).unwrap();
    let expected = ["new", "other", "other/place", "other/place/a", "other/place/a/b"];
    assert_eq!(made, expected.map(PathBuf::from));
    let made = root.stat("other/place/a/b").unwrap().unwrap();
    assert_eq!((made.mode, made.uid, made.gid), (0o750, 3, 4));
    assert!(root.mkdir_all("up/up/x", 0o755, None).unwrap() == [PathBuf::from("x")]);
    assert!(root.mkdir_all("d/file/x", 0o755, None).is_err());
    symlink("loop", path.join("loop")).unwrap();
    assert!(root.mkdir_all("loop/x", 0o755, None).is_err());
    assert!(!scratch.path().join("x").exists());
}

#[test]
fn a_fifo_holds_nobody_up() {
    let scratch = Scratch::new();
    let (_, root) = tree(&scratch);
    root.mknod("fifo", FileKind::Fifo, 0o644, (0, 0)).unwrap();
    assert!(root.open_file("fifo").is_err());
    assert!(root.open_file("d").is_err());
}

#[test]
fn names_that_are_none_are_refused() {
    let scratch = Scratch::new();
    let (_, root) = tree(&scratch);
    for path in ["", "/", ".", "..", "d/..", "d/."] {
        assert!(root.create_file(path, 0o644).is_err(), "{path}");
        assert!(root.unlink(path).is_err(), "{path}");
    }
    assert!(root.top().open_dir("d/..").is_err());
    assert!(root.top().unlink("d/file").is_err());
}

#[test]
fn a_tree_deeper_than_any_path_is_removed() {
    let scratch = Scratch::new();
    let (path, root) = tree(&scratch);
    // Deeper than names can say and than descriptors could be held open.
    let mut dir = root.open_dir("d").unwrap();
    for _ in 0..3000 {
        dir.mkdir("n", 0o755).unwrap();
        dir.symlink(Path::new("/"), "link").unwrap();
        dir = dir.open_dir("n").unwrap();
    }
    drop(dir);
    fs::set_permissions(path.join("d/n"), fs::Permissions::from_mode(0o000)).unwrap();
    root.remove_tree("d").unwrap();
    root.remove_tree("d").unwrap();
    assert!(!path.join("d").exists() && path.join("up").exists());
}

#[test]
fn extended_attributes_of_all_sizes() {
    let scratch = Scratch::new();
    let (_, root) = tree(&scratch);
    for (key, size) in [("user.small", 3), ("user.medium", 300), ("user.none", 0)] {
        root.set_xattr("d/file", key.as_ref(), &vec![b'x'; size]).unwrap();
    }
    let found = root.xattrs("d/file").unwrap();
    let sizes: Vec<_> = found.iter().map(|(k, v)| (k.to_str().unwrap(), v.len())).collect();
    assert_eq!(sizes, [("user.medium", 300), ("user.none", 0), ("user.small", 3)]);
    assert_eq!(root.xattrs("").unwrap(), []);
}
