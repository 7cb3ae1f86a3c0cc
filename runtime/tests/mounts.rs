//! What the container sees of the file system, and what stays behind.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use runtime::{
    Error, ExitStatus, FileContent, Mount, MountSource, ProvidedFile, Rootfs, SystemPaths, Tmpfs,
};
use rustix::mount::OpenTreeFlags;
use support::{Root, chain, output, run};

fn text(path: &str, content: &str) -> ProvidedFile {
    ProvidedFile { path: path.into(), content: FileContent::text(content), read_only: false }
}

fn mount(target: &str, source: MountSource) -> Mount {
    Mount { target: target.into(), source, read_only: false }
}

#[test]
fn the_usual_file_systems_are_there_and_no_other() {
    let root = Root::new();
    let table = output(root.exec(&["cat", "/proc/self/mounts"]));
    let mut found: Vec<(&str, &str, bool)> = table
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            (fields[1], fields[2], fields[3].split(',').any(|option| option == "ro"))
        })
        .filter(|(path, ..)| !path.starts_with("/proc/") && !path.starts_with("/sys/"))
        .collect();
    found.sort_unstable();
    let root_kind = found.remove(0);
    assert_eq!((root_kind.0, root_kind.2), ("/", false));
    assert_eq!(
        found,
        [
            ("/dev", "tmpfs", false),
            ("/dev/mqueue", "mqueue", false),
            ("/dev/pts", "devpts", false),
            ("/dev/shm", "tmpfs", false),
            ("/proc", "proc", false),
            ("/sys", "sysfs", true),
        ]
    );
}

#[test]
fn devices_are_dockers() {
    let root = Root::new();
    assert_eq!(
        output(root.sh("ls /dev; ls /dev/pts; readlink /dev/fd; readlink /dev/ptmx")),
        "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\n\
         urandom\nzero\nptmx\n/proc/self/fd\npts/ptmx\n"
    );
    let mut spec = root
        .sh("echo x > /dev/null && head -c 4 /dev/zero | wc -c && head -c 3 /dev/urandom | wc -c \
         && echo shared > /dev/shm/file && cat /dev/shm/file");
    spec.process.user.uid = 1000;
    assert_eq!(output(spec), "4\n3\nshared\n");
}

#[test]
fn the_kernels_files_are_masked_or_read_only() {
    let root = Root::new();
    let table = output(root.exec(&["cat", "/proc/self/mounts"]));
    let found: BTreeSet<&str> = table
        .lines()
        .filter(|line| line.split(' ').nth(3).is_some_and(|options| options.starts_with("ro")))
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    // Docker's list; not every kernel has all of it.
    let expected = [
        "/proc/acpi",
        "/proc/asound",
        "/proc/bus",
        "/proc/fs",
        "/proc/interrupts",
        "/proc/irq",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/proc/sys",
        "/proc/sysrq-trigger",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/sys/firmware",
    ];
    for path in expected.into_iter().filter(|path| Path::new(path).exists()) {
        assert!(found.contains(path), "{path} in {table}");
    }
    let script = "cat /proc/interrupts /proc/keys /proc/timer_list 2>/dev/null | wc -c; \
                  ls /sys/firmware; \
                  for f in /proc/sys/kernel/panic /sys/kernel/uevent_seqnum; \
                  do (echo 1 > $f) 2>&1; done; true";
    let text = output(root.sh(script));
    assert!(text.starts_with("0\n"), "{text}");
    assert_eq!(text.matches("ead-only file system").count(), 2, "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
    let mut spec = root.sh("grep -c ' ro,' /proc/self/mounts; ls /sys/kernel | wc -l");
    spec.system_paths = SystemPaths::Open;
    assert!(run(spec).unwrap().1.starts_with("0\n"));
}

#[test]
fn nothing_is_left_in_the_root() {
    let root = Root::new();
    let before = fs::metadata(root.path()).unwrap();
    let mut spec = root.sh("test -d /proc/1 && cat /etc/hosts && mkdir /run");
    spec.files = vec![text("/etc/hosts", "hosts\n"), text("/etc/resolv.conf", "resolv\n")];
    assert_eq!(output(spec), "hosts\n");
    assert_eq!(root.listing(), ["run"]);
    fs::remove_dir(root.path().join("run")).unwrap();

    let mut spec = root.sh("true");
    spec.files = vec![text("/run/secrets/key", "secret")];
    spec.mounts = vec![mount(
        "/a/b/c",
        MountSource::Tmpfs(Tmpfs {
            size: None,
            mode: 0o755,
            executable: false,
            ..Tmpfs::default()
        }),
    )];
    let reset = |root: &Root| {
        let file = fs::File::open(root.path()).unwrap();
        file.set_modified(before.modified().unwrap()).unwrap();
    };
    reset(&root);
    output(spec);
    assert!(root.listing().is_empty(), "{:?}", root.listing());
    let after = fs::metadata(root.path()).unwrap();
    assert_eq!((after.mtime(), after.mtime_nsec()), (before.mtime(), before.mtime_nsec()));
}

#[test]
fn nothing_is_left_when_the_start_fails() {
    let root = Root::new();
    let mut spec = root.exec(&["missing"]);
    spec.files = vec![text("/etc/hosts", "")];
    assert!(matches!(run(spec), Err(Error::ExecNotFound { .. })));
    let mut spec = root.sh("true");
    spec.mounts = vec![mount("/data", MountSource::Bind("/nowhere/at/all".into()))];
    let error = run(spec).unwrap_err();
    assert_eq!(
        chain(&error),
        "cannot bind /nowhere/at/all: No such file or directory (os error 2)"
    );
    assert!(root.listing().is_empty(), "{:?}", root.listing());
}

#[test]
fn what_the_process_makes_stays() {
    let root = Root::new();
    let mut spec = root.sh("echo new > /etc/new; touch /proc/../made; rm -f /etc/old");
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/old"), "").unwrap();
    spec.files = vec![text("/etc/hosts", "")];
    output(spec);
    assert_eq!(root.listing(), ["etc", "etc/new", "made"]);
}

#[test]
fn provided_files_hide_the_images() {
    let root = Root::new();
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/hosts"), "of the image").unwrap();
    let mut spec = root.sh("cat /etc/hosts; echo more >> /etc/hosts; cat /etc/hosts");
    spec.files = vec![text("/etc/hosts", "provided\n")];
    assert_eq!(output(spec), "provided\nprovided\nmore\n");
    assert_eq!(fs::read_to_string(root.path().join("etc/hosts")).unwrap(), "of the image");

    let mut spec = root.sh("echo more >> /etc/hosts");
    spec.files = vec![ProvidedFile { read_only: true, ..text("/etc/hosts", "provided") }];
    let (status, message) = run(spec).unwrap();
    assert_eq!(status, ExitStatus::Code(1));
    assert!(message.contains("ead-only"), "{message}");
}

#[test]
fn secrets_have_their_mode_and_owner() {
    let root = Root::new();
    let mut spec = root.sh("stat -c '%a %u %g' /run/secrets/key; cat /run/secrets/key");
    spec.process.user.uid = 7;
    let content = FileContent::Bytes { bytes: b"secret\n".to_vec(), mode: 0o400, uid: 7, gid: 8 };
    spec.files = vec![ProvidedFile { path: "/run/secrets/key".into(), content, read_only: true }];
    assert_eq!(output(spec), "400 7 8\nsecret\n");
}

#[test]
fn a_file_of_the_machine_is_that_file() {
    let root = Root::new();
    let host = root.outside("hostname");
    fs::write(&host, "one\n").unwrap();
    let mut spec = root.sh("cat /etc/hostname; echo two > /etc/hostname");
    spec.files = vec![ProvidedFile {
        path: "/etc/hostname".into(),
        content: FileContent::Host(host.clone()),
        read_only: false,
    }];
    assert_eq!(output(spec), "one\n");
    assert_eq!(fs::read_to_string(host).unwrap(), "two\n");
}

#[test]
fn links_of_the_image_lead_nowhere_outside() {
    let target = tempfile::tempdir().unwrap();
    let victim = target.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    let victim_name = victim.to_str().unwrap();
    for link in [victim_name.to_owned(), format!("../../../../../..{victim_name}")] {
        let root = Root::new();
        fs::create_dir(root.path().join("etc")).unwrap();
        symlink(&link, root.path().join("etc/resolv.conf")).unwrap();
        symlink(target.path(), root.path().join("data")).unwrap();
        let mut spec =
            root.sh("cat /etc/resolv.conf; echo bad > /etc/resolv.conf; echo bad > /data/x");
        spec.files = vec![text("/etc/resolv.conf", "provided\n")];
        spec.mounts = vec![mount(
            "/data",
            MountSource::Tmpfs(Tmpfs {
                size: None,
                mode: 0o755,
                executable: false,
                ..Tmpfs::default()
            }),
        )];
        assert_eq!(output(spec), "provided\n");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        assert_eq!(fs::read_dir(target.path()).unwrap().count(), 1);
        assert_eq!(root.listing(), ["data", "etc", "etc/resolv.conf"], "no stub is left");
    }
}

#[test]
fn system_directories_that_are_links_are_refused() {
    for (name, to) in [("proc", "/etc"), ("dev", "bin"), ("sys", "/")] {
        let root = Root::new();
        fs::create_dir(root.path().join("etc")).unwrap();
        symlink(to, root.path().join(name)).unwrap();
        let before = root.listing();
        let error = run(root.sh("true")).unwrap_err();
        assert!(
            matches!(error, Error::SystemDirectoryIsLink { .. } | Error::MountOnRoot),
            "{}",
            chain(&error)
        );
        assert_eq!(root.listing(), before);
    }
}

#[test]
fn mounts_are_made_where_they_are_missing() {
    let root = Root::new();
    let host = root.outside("host");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("file"), "bound\n").unwrap();
    let mut spec = root
        .sh("cat /data/file; cat /single; cat /data/deep/file; echo new > /data/new; \
         stat -c %a /tmp; echo bad > /fixed/x");
    spec.mounts = vec![
        mount("/data/deep", MountSource::Bind(host.clone())),
        mount("/single", MountSource::Bind(host.join("file"))),
        mount("/data", MountSource::Bind(host.clone())),
        mount(
            "/tmp",
            MountSource::Tmpfs(Tmpfs {
                size: Some(1 << 20),
                mode: 0o1777,
                executable: false,
                ..Tmpfs::default()
            }),
        ),
        Mount { read_only: true, ..mount("/fixed", MountSource::Bind(host.clone())) },
    ];
    let (status, text) = run(spec).unwrap();
    assert_eq!(status, ExitStatus::Code(1));
    assert!(text.starts_with("bound\nbound\nbound\n1777\n"), "{text}");
    assert!(text.contains("ead-only"), "{text}");
    assert_eq!(fs::read_to_string(host.join("new")).unwrap(), "new\n");
    let left: Vec<_> = fs::read_dir(&host).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(root.listing().is_empty(), "{:?}", root.listing());
}

#[test]
fn a_tmpfs_has_its_size() {
    let root = Root::new();
    let mut spec = root.sh("dd if=/dev/zero of=/small/file bs=1024 count=100 2>&1");
    spec.mounts = vec![mount(
        "/small",
        MountSource::Tmpfs(Tmpfs {
            size: Some(8192),
            mode: 0o755,
            executable: false,
            ..Tmpfs::default()
        }),
    )];
    let (_, text) = run(spec).unwrap();
    assert!(text.contains("No space left"), "{text}");
}

#[test]
fn the_root_itself_is_no_mount_point() {
    let root = Root::new();
    for target in ["/", "/bin/..", "."] {
        let mut spec = root.sh("true");
        spec.mounts = vec![mount(
            target,
            MountSource::Tmpfs(Tmpfs {
                size: None,
                mode: 0o755,
                executable: false,
                ..Tmpfs::default()
            }),
        )];
        assert!(matches!(run(spec), Err(Error::MountOnRoot)), "{target}");
    }
}

#[test]
fn a_read_only_root_leaves_the_mounts_writable() {
    let root = Root::new();
    let mut spec = root.sh("echo x > /tmp/x && echo x > /dev/shm/x && echo x > /x");
    spec.read_only = true;
    spec.mounts = vec![mount(
        "/tmp",
        MountSource::Tmpfs(Tmpfs {
            size: None,
            mode: 0o1777,
            executable: false,
            ..Tmpfs::default()
        }),
    )];
    let (status, text) = run(spec).unwrap();
    assert_eq!(status, ExitStatus::Code(1));
    assert!(text.contains("/x: Read-only") || text.contains("/x: ead-only"), "{text}");
    assert!(root.listing().is_empty(), "mount points go: {:?}", root.listing());
}

#[test]
fn a_detached_mount_is_a_root_too() {
    let root = Root::new();
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    for read_only in [false, true] {
        let tree = rustix::mount::open_tree(rustix::fs::CWD, root.path(), flags).unwrap();
        let mut spec = root.sh("cat /etc/hosts; ls /");
        spec.rootfs = Rootfs::Mount(tree);
        spec.read_only = read_only;
        spec.files = vec![text("/etc/hosts", "hosts\n")];
        assert_eq!(output(spec), "hosts\nbin\ndev\netc\nproc\nsys\n");
        assert!(root.listing().is_empty(), "{:?}", root.listing());
    }
}

#[test]
fn the_machine_sees_none_of_the_mounts() {
    let root = Root::new();
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut container = runtime::spawn(root.exec(&["sleep", "100"])).unwrap();
    let own =
        |table: &str| table.lines().filter(|l| l.contains(root.path().to_str().unwrap())).count();
    let during = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(own(&during), own(&before));
    container.kill_all().unwrap();
    container.wait().unwrap();
    assert!(!Path::new(&root.path().join("proc")).exists());
}

/// A bind mount of a directory on itself that passes mounts on to its clones, and back.
struct Shared<'a>(&'a Path);

impl<'a> Shared<'a> {
    fn new(path: &'a Path) -> Self {
        rustix::mount::mount_bind(path, path).unwrap();
        rustix::mount::mount_change(path, rustix::mount::MountPropagationFlags::SHARED).unwrap();
        Self(path)
    }

    fn clone(&self) -> OwnedFd {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        rustix::mount::open_tree(rustix::fs::CWD, self.0, flags).unwrap()
    }
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        rustix::mount::unmount(self.0, rustix::mount::UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn no_mount_of_the_container_appears_where_its_root_came_from() {
    let root = Root::new();
    let path = root.path();
    let shared = Shared::new(&path);
    for from_path in [true, false] {
        let mut spec = root.exec(&["sleep", "100"]);
        if !from_path {
            spec.rootfs = Rootfs::Mount(shared.clone());
        }
        let data = MountSource::Tree(shared.clone());
        spec.mounts = vec![
            mount("/data", data),
            mount(
                "/data/below",
                MountSource::Tmpfs(Tmpfs {
                    size: None,
                    mode: 0o755,
                    executable: false,
                    ..Tmpfs::default()
                }),
            ),
        ];
        let container = runtime::spawn(spec).unwrap();
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let below = format!("{}/", path.display());
        assert!(!table.contains(&below), "{table}");
        drop(container);
    }
}

#[test]
fn masks_of_the_caller_do_not_matter() {
    let root = Root::new();
    let old = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let mut spec = root.sh("stat -c '%a %n' /proc /dev/null /dev/shm /etc /etc/hosts /dev");
    spec.files = vec![text("/etc/hosts", "")];
    let text = output(spec);
    rustix::process::umask(old);
    assert_eq!(
        text,
        "555 /proc\n666 /dev/null\n1777 /dev/shm\n755 /etc\n644 /etc/hosts\n755 /dev\n"
    );
}

/// An overlay of the directory below the root's, attached nowhere.
fn detached(root: &Root) -> OwnedFd {
    let lower = root.outside("lower");
    fs::create_dir_all(lower.join("dir/sub")).unwrap();
    fs::write(lower.join("dir/file"), "content\n").unwrap();
    fs::write(lower.join("secret"), "").unwrap();
    if !lower.join("link").is_symlink() {
        symlink("/", lower.join("link")).unwrap();
    }
    let (upper, work) = (root.outside("upper"), root.outside("work"));
    fs::create_dir_all(&upper).unwrap();
    fs::create_dir_all(&work).unwrap();
    let context = rustix::mount::fsopen("overlay", rustix::mount::FsOpenFlags::empty()).unwrap();
    for (key, path) in [("lowerdir", &lower), ("upperdir", &upper), ("workdir", &work)] {
        rustix::mount::fsconfig_set_string(&context, key, path.as_path()).unwrap();
    }
    rustix::mount::fsconfig_create(&context).unwrap();
    let flags = rustix::mount::FsMountFlags::FSMOUNT_CLOEXEC;
    rustix::mount::fsmount(&context, flags, rustix::mount::MountAttrFlags::empty()).unwrap()
}

#[test]
fn a_part_of_a_tree_shows_nothing_else_of_it() {
    let root = Root::new();
    let script =
        "cat /data/file /one/file; ls /data/..; touch /data/new; echo $?; echo x > /one/file";
    let mut spec = root.sh(script);
    let part = |path: &str| MountSource::Part { tree: detached(&root), path: path.into() };
    spec.mounts = vec![mount("/data", part("dir"))];
    spec.mounts[0].read_only = true;
    assert_eq!(
        run(spec).unwrap().1,
        "content\ncat: can't open '/one/file': No such file or directory\nbin\ndata\ndev\nproc\nsys\n\
         touch: /data/new: Read-only file system\n1\nsh: can't create /one/file: nonexistent directory\n"
    );
    let mut spec = root.sh("cat /one; echo x >> /one; cat /one");
    spec.mounts = vec![mount("/one", part("dir/file"))];
    assert_eq!(output(spec), "content\ncontent\nx\n");
    assert_eq!(root.listing(), [""; 0]);
    assert_eq!(fs::read_to_string(root.outside("upper/dir/file")).unwrap(), "content\nx\n");
}

#[test]
fn a_part_is_not_reached_through_links() {
    let root = Root::new();
    for path in ["link/bin", "../x", "missing"] {
        let mut spec = root.exec(&["true"]);
        spec.mounts =
            vec![mount("/data", MountSource::Part { tree: detached(&root), path: path.into() })];
        let error = run(spec).unwrap_err();
        assert!(chain(&error).starts_with(&format!("cannot open /{path}")), "{}", chain(&error));
        assert_eq!(root.listing(), [""; 0]);
    }
}
