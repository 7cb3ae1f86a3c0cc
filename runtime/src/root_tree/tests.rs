//! Walks over trees on disk, hostile ones among them.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use super::*;

struct Fixture {
    scratch: tempfile::TempDir,
}

impl Fixture {
    /// A directory `root` beside a directory `outside`.
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir_all(scratch.path().join("root/etc")).unwrap();
        fs::create_dir(scratch.path().join("outside")).unwrap();
        Self { scratch }
    }

    fn root(&self) -> PathBuf {
        self.scratch.path().join("root")
    }

    fn tree(&self) -> RootTree {
        RootTree::new(fs::File::open(self.root()).unwrap().as_fd()).unwrap()
    }

    /// All paths below `root` and `outside`.
    fn listing(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut left = vec![self.scratch.path().to_owned()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.symlink_metadata().unwrap().is_dir() {
                    left.push(path.clone());
                }
                let name = path.strip_prefix(self.scratch.path()).unwrap();
                found.push(name.to_str().unwrap().to_owned());
            }
        }
        found.sort();
        found
    }
}

#[test]
fn links_are_resolved_inside_the_root() {
    let cases = [
        // link, its target, the path asked for, where it is
        ("etc/resolv.conf", "../run/resolv.conf", "/etc/resolv.conf", "run/resolv.conf"),
        ("etc/a", "/etc/b", "/etc/a", "etc/b"),
        ("up", "../../../outside", "/up/file", "outside/file"),
        ("abs", "/outside/x", "/abs", "outside/x"),
        ("etc/one", "two/../three", "/etc/one", "etc/three"),
    ];
    for (link, target, asked, expected) in cases {
        let fixture = Fixture::new();
        symlink(target, fixture.root().join(link)).unwrap();
        let before = fixture.listing();
        let mut tree = fixture.tree();
        let place = tree.mount_point(Path::new(asked), Kind::File).unwrap();
        assert_eq!(place, Path::new(expected), "{link} -> {target}");
        assert!(fixture.root().join(expected).is_file());
        assert!(fs::read_dir(fixture.scratch.path().join("outside")).unwrap().next().is_none());
        tree.into_stubs().remove();
        assert_eq!(fixture.listing(), before, "{link} -> {target}");
    }
}

#[test]
fn a_circle_of_links_is_an_error() {
    let fixture = Fixture::new();
    symlink("b", fixture.root().join("a")).unwrap();
    symlink("a", fixture.root().join("b")).unwrap();
    let error = fixture.tree().mount_point(Path::new("/a"), Kind::File).unwrap_err();
    assert!(matches!(error, Error::MountPoint { source, .. }
        if source.raw_os_error() == Some(libc::ELOOP)));
}

#[test]
fn system_directories_are_no_links() {
    let fixture = Fixture::new();
    symlink("/", fixture.root().join("proc")).unwrap();
    symlink("/etc", fixture.root().join("dev")).unwrap();
    let mut tree = fixture.tree();
    assert!(matches!(tree.system_directory(Path::new("/proc")), Err(Error::MountOnRoot)));
    assert!(matches!(
        tree.system_directory(Path::new("/dev")),
        Err(Error::SystemDirectoryIsLink { .. })
    ));
    assert_eq!(tree.system_directory(Path::new("/sys")).unwrap(), Path::new("sys"));
}

#[test]
fn the_kind_must_fit() {
    let fixture = Fixture::new();
    let mut tree = fixture.tree();
    for (path, kind) in [("/etc", Kind::File), ("/etc/../etc/.", Kind::File)] {
        assert!(tree.mount_point(Path::new(path), kind).is_err(), "{path}");
    }
    fs::write(fixture.root().join("file"), "").unwrap();
    assert!(tree.mount_point(Path::new("/file"), Kind::Directory).is_err());
    assert!(tree.mount_point(Path::new("/file/below"), Kind::Directory).is_err());
    assert!(matches!(tree.mount_point(Path::new("/.."), Kind::Directory), Err(Error::MountOnRoot)));
}

#[test]
fn mount_points_lie_in_the_mount_above_them() {
    let fixture = Fixture::new();
    let mut tree = fixture.tree();
    let place = tree.mount_point(Path::new("/data"), Kind::Directory).unwrap();
    let outside = fs::File::open(fixture.scratch.path().join("outside")).unwrap();
    tree.mounted(&place, outside.as_fd()).unwrap();
    let inner = tree.mount_point(Path::new("/data/inner/file"), Kind::File).unwrap();
    assert_eq!(inner, Path::new("data/inner/file"));
    assert!(fixture.scratch.path().join("outside/inner/file").is_file());
    tree.mounted_by_kernel(Path::new("proc"));
    assert_eq!(
        tree.mount_point(Path::new("/proc/sys/x"), Kind::File).unwrap(),
        Path::new("proc/sys/x")
    );
    tree.into_stubs().remove();
    assert_eq!(fixture.listing(), ["outside", "root", "root/etc"]);
}

#[test]
fn stubs_go_and_times_come_back() {
    let fixture = Fixture::new();
    let etc = fixture.root().join("etc");
    let times = || (fs::metadata(&etc).unwrap().mtime(), fs::metadata(&etc).unwrap().mtime_nsec());
    let before = times();
    let mut tree = fixture.tree();
    tree.mount_point(Path::new("/etc/hosts"), Kind::File).unwrap();
    tree.mount_point(Path::new("/etc/resolv.conf"), Kind::File).unwrap();
    tree.mount_point(Path::new("/run/secrets/key"), Kind::File).unwrap();
    assert_ne!(times(), before);
    tree.into_stubs().remove();
    assert_eq!(times(), before);
    assert_eq!(fixture.listing(), ["outside", "root", "root/etc"]);
}

#[test]
fn what_the_container_did_stays() {
    let fixture = Fixture::new();
    let root = fixture.root();
    let mut tree = fixture.tree();
    tree.mount_point(Path::new("/etc/hosts"), Kind::File).unwrap();
    tree.mount_point(Path::new("/etc/full"), Kind::File).unwrap();
    tree.mount_point(Path::new("/run/secrets"), Kind::Directory).unwrap();
    tree.mount_point(Path::new("/mode"), Kind::Directory).unwrap();
    fs::write(root.join("etc/full"), "content").unwrap();
    fs::write(root.join("etc/new"), "").unwrap();
    fs::write(root.join("run/pid"), "").unwrap();
    fs::set_permissions(root.join("mode"), std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .unwrap();
    let changed = fs::metadata(root.join("etc")).unwrap().modified().unwrap();
    tree.into_stubs().remove();
    assert_eq!(
        fixture.listing(),
        [
            "outside",
            "root",
            "root/etc",
            "root/etc/full",
            "root/etc/new",
            "root/mode",
            "root/run",
            "root/run/pid"
        ]
    );
    assert_eq!(fs::metadata(root.join("etc")).unwrap().modified().unwrap(), changed);
}
