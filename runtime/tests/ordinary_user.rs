//! Containers of an ordinary user. The example `run_in` stands for the program, because a
//! process enters a user namespace as a whole, before it has threads.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;
use std::process::{Command, Output};

use support::Root;

/// An ordinary user that exists on no machine.
const UID: u32 = 61234;
const GID: u32 = 61235;

/// A root that belongs to the user, and the example beside it.
fn fixture() -> Root {
    let root = Root::new();
    root.example();
    own(&root.path());
    root
}

fn own(path: &Path) {
    lchown(path, Some(UID), Some(GID)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            own(&entry.unwrap().path());
        }
    }
}

/// Runs a script in a mount namespace in which the user has these subordinate ids.
fn run(root: &Root, subordinate: &str, options: &str, script: &str) -> Output {
    run_after(root, "", subordinate, options, script)
}

/// The same after some commands that root runs in the mount namespace.
fn run_after(root: &Root, before: &str, subordinate: &str, options: &str, script: &str) -> Output {
    for (name, content) in [
        ("subuid", subordinate.to_owned()),
        ("subgid", subordinate.to_owned()),
        ("passwd", format!("root:x:0:0::/root:/bin/sh\nsomebody:x:{UID}:{GID}::/:/bin/sh\n")),
    ] {
        let path = root.outside(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
    }
    fs::write(root.path().join("script"), script).unwrap();
    let set_up = "set -e; eval \"$4\"; cd \"$0\"; for name in subuid subgid passwd; do \
                  test -e /etc/$name || touch /etc/$name; mount --bind $name /etc/$name; done; \
                  exec setpriv --reuid \"$1\" --regid \"$2\" --clear-groups \
                  ./run_in $3 root sh /script";
    Command::new("unshare")
        .args(["--mount", "sh", "-c", set_up])
        .arg(root.outside(""))
        .args([UID.to_string(), GID.to_string(), options.to_owned(), before.to_owned()])
        .output()
        .unwrap()
}

/// Standard output and standard error of a run that must end well.
fn texts(output: Output) -> (String, String) {
    let (text, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{text}{errors}");
    (text, errors)
}

#[test]
fn subordinate_ids_make_many_users() {
    let root = fixture();
    let script = "id -u; touch /mine /theirs; chown 12:34 /theirs; \
                  stat -c '%u:%g' /mine /theirs; cat /proc/self/uid_map /proc/self/gid_map; \
                  echo x > /dev/null; cat /proc/1/comm; ls /sys/class/net | head -1";
    let (text, errors) = texts(run(&root, "somebody:100000:65536\n", "", script));
    assert_eq!(errors, "65537 users, 65537 groups\n");
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (uid, gid) = (UID.to_string(), GID.to_string());
    let maps = ["0", &uid, "1", "1", "100000", "65536", "0", &gid, "1", "1", "100000", "65536"];
    let expected = [["0", "0:0", "12:34"].as_slice(), &maps, &["sh"]].concat();
    assert_eq!(words[..expected.len()], expected);
    use std::os::unix::fs::MetadataExt;
    let theirs = fs::metadata(root.path().join("theirs")).unwrap();
    assert_eq!((theirs.uid(), theirs.gid()), (100_011, 100_033));
    assert_eq!(root.listing(), ["mine", "script", "theirs"]);
}

#[test]
fn another_user_is_possible_with_them() {
    let root = fixture();
    let (text, _) =
        texts(run(&root, &format!("{UID}:100000:65536\n"), "--user 5:6", "id -u; id -g; id -G"));
    assert_eq!(text, "5\n6\n6\n");
}

#[test]
fn without_subordinate_ids_there_is_one_user() {
    let root = fixture();
    let (text, errors) = texts(run(&root, "", "", "id -u; cat /proc/self/uid_map"));
    assert_eq!(
        errors,
        "one user: no subordinate ids for user somebody in /etc/subuid and /etc/subgid\n"
    );
    assert_eq!(text.split_ascii_whitespace().collect::<Vec<_>>(), ["0", "0", "61234", "1"]);
}

#[test]
fn ranges_that_are_refused_leave_one_user() {
    let root = fixture();
    // newuidmap does not take ids that are mapped twice.
    let twice = "somebody:100000:10\nsomebody:100005:10\n";
    let (text, errors) = texts(run(&root, twice, "", "id -u"));
    assert_eq!(text, "0\n");
    assert!(errors.starts_with("one user: newuidmap failed: newuidmap: "), "{errors}");
}

#[test]
fn one_user_can_only_fake_others() {
    let root = fixture();
    let script = "touch /file; chown 12:34 /file";
    let output = run(&root, "", "--single", script);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let script = "touch /file && chown 12:34 /file && mknod /device c 1 3; stat -c '%u:%g' /file; \
                  id -u; test -e /device || echo none; mknod /pipe p && test -p /pipe && echo pipe";
    let (text, _) = texts(run(&root, "", "--single --fake-ids --user 5", script));
    assert_eq!(text, "0:0\n0\nnone\npipe\n");
}

#[test]
fn root_that_may_not_make_a_namespace_is_told_so() {
    // Like root in a container of docker's: no CAP_SYS_ADMIN, and a filter that refuses unshare.
    let root = fixture();
    let example = root.outside("run_in");
    let mut spec = root.exec(&[example.to_str().unwrap(), "/", "true"]);
    spec.rootfs = runtime::Rootfs::Path("/".into());
    let (status, text) = support::run(spec).unwrap();
    assert_eq!(status.shell_code(), 125, "{text}");
    assert!(text.contains("root has no CAP_SYS_ADMIN here, and"), "{text}");
}

#[test]
fn apt_learns_that_there_is_one_user() {
    let root = fixture();
    let directory = root.path().join("etc/apt/apt.conf.d");
    fs::create_dir_all(&directory).unwrap();
    own(&root.path());
    let script = "cat /etc/apt/apt.conf.d/*";
    let (text, _) = texts(run(&root, "", "--fake-ids", script));
    assert_eq!(text, "APT::Sandbox::User \"root\";\n");
    assert!(fs::read_dir(directory).unwrap().next().is_none());
    assert_eq!(run(&root, "", "", script).status.code(), Some(1));
}

#[test]
fn where_proc_is_partly_hidden_the_machines_is_used() {
    let root = fixture();
    // As in a container of docker's, where the kernel refuses a proc that would show more.
    let hide = "mount -t tmpfs none /proc/sys; mount -t tmpfs none /sys/kernel;";
    let script = "test -d /proc/self && test -d /sys/class && \
                  grep -q ' /proc/sys tmpfs ' /proc/self/mounts && echo there; echo 1 > /sys/x";
    let output = run_after(&root, hide, "", "", script);
    let (text, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(text, "there\n", "{errors}");
    assert!(errors.contains("ead-only"), "{errors}");
}

#[test]
fn a_network_of_its_own_needs_no_privilege() {
    let root = fixture();
    let (text, _) = texts(run(&root, "", "--no-network", "ls /sys/class/net"));
    assert_eq!(text, "lo\n");
}

#[test]
fn root_without_admin_rights_gets_a_namespace_with_all_its_ids() {
    let root = fixture();
    let example = root.outside("run_in");
    fs::write(root.path().join("script"), "cat /proc/self/uid_map").unwrap();
    let set_up = "exec setpriv --bounding-set -sys_admin --inh-caps -all \
                  \"$0\" \"$1\" sh /script";
    let output = Command::new("sh").args(["-c", set_up]).args([&example, &root.path()]).output();
    let (text, errors) = texts(output.unwrap());
    assert!(errors.contains("users"), "{errors}");
    assert!(text.trim_start().starts_with("0 "), "{text}");
}
