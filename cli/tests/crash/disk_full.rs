//! A disk with no room left.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use testutil::{Peer, Scratch, Tierce, busybox};

use crate::common::{Template, end, id_and_output, start, tierce, words};

/// A small disk, mounted where nobody but the commands started through it sees it.
struct SmallDisk {
    holder: Child,
    mount_point: Scratch,
}

impl SmallDisk {
    fn new(bytes: u32) -> SmallDisk {
        let mount_point = Scratch::new();
        let script = "mount -t tmpfs -o size=$1 none \"$2\" && echo mounted && exec sleep 1000";
        let mut holder = Peer::command("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
            .arg(bytes.to_string())
            .arg(mount_point.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n");
        SmallDisk { holder, mount_point }
    }

    /// What starts a command that sees the disk.
    fn launcher(&self) -> [String; 4] {
        let pid = self.holder.id().to_string();
        ["nsenter".into(), "--mount".into(), "--target".into(), pid]
    }

    /// `tierce` with its store on the disk.
    fn tierce(&self) -> Tierce {
        tierce().launched_by(self.launcher()).with_root(self.mount_point.join("store"))
    }

    /// Runs a shell script in the disk's directory.
    fn sh(&self, script: &str) -> String {
        let [nsenter, args @ ..] = self.launcher();
        let mut command = Peer::command(&nsenter);
        command.args(args).args(["sh", "-c"]).arg(format!("cd \"$0\" && {script}"));
        testutil::run_ok(&mut command, [self.mount_point.path()])
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

const SIZE: u32 = 12 << 20;

#[test]
fn a_step_that_finds_no_room_fails_and_harms_nothing() {
    let disk = SmallDisk::new(SIZE);
    let store = disk.tierce();
    busybox(&store);
    for number in 0..2 {
        store.scratch().write(&format!("context/{number}"), vec![b'x'; SIZE as usize]);
    }
    for (step, says) in [
        ("RUN dd if=/dev/zero of=/big bs=64k count=1000", "No space left on device"),
        ("COPY 0 1 /big/", "No space left on device"),
    ] {
        store.scratch().write("context/Dockerfile", format!("FROM busybox\nRUN true\n{step}\n"));
        let context = store.scratch().join("context").display().to_string();
        let output = end(start(&store, &words(&["build", "-t", "made", &context])));
        assert_eq!(output.code, 1, "{output:#?}");
        for part in [says, "Dockerfile:3"] {
            assert!(output.stderr.contains(part), "{step}: no `{part}` in {}", output.stderr);
        }
        assert_nobody_works_there(&disk);
        assert_eq!(store.ok(["run", "--rm", "busybox", "echo", "still"]), "still\n");
        assert!(store.run(["inspect", "made"]).code != 0);
    }
    store.scratch().write("context/Dockerfile", "FROM busybox\nRUN echo small > /small\n");
    let context = store.scratch().join("context").display().to_string();
    store.ok(["build", "-q", "-t", "made", &context]);
    assert_eq!(store.ok(["run", "--rm", "made", "cat", "/small"]), "small\n");
}

#[test]
fn an_image_that_finds_no_room_is_not_there_until_there_is_some() {
    let template = Template::new();
    let registry = template.registry();
    let name = format!("{}/big", registry.address);
    let expected = id_and_output(&template.tierce, "big");
    for args in [words(&["pull", &name]), words(&["load", "-i", &template.path("big.tar")])] {
        let disk = SmallDisk::new(SIZE);
        let store = disk.tierce();
        store.ok(["images"]);
        disk.sh("head -c 10500000 /dev/zero > filler");
        let output = end(start(&store, &args));
        assert_eq!(output.code, 1, "{output:#?}");
        // Whoever came first to the last free block says so in its own words: the system or the
        // database.
        let said = ["No space left on device", "database or disk is full"];
        assert!(said.iter().any(|words| output.stderr.contains(words)), "{}", output.stderr);
        for part in ["cannot", "tierce prune --all"] {
            assert!(output.stderr.contains(part), "{args:?}: no `{part}` in {}", output.stderr);
        }
        assert_eq!(store.ok(["images", "-q"]), "");
        assert_nobody_works_there(&disk);

        disk.sh("rm filler");
        let output = end(start(&store, &args));
        assert_eq!(output.code, 0, "{output:#?}");
        let image = if args[0] == "pull" { &name } else { "big" };
        assert_eq!(id_and_output(&store, image), expected, "{args:?}");
    }
}

#[test]
fn a_store_without_a_byte_to_spare_says_so_and_can_still_be_pruned() {
    let disk = SmallDisk::new(SIZE);
    let store = disk.tierce();
    busybox(&store);
    disk.sh("cat /dev/zero > filler 2> /dev/null || true");
    for args in [words(&["tag", "busybox", "other"]), words(&["run", "--rm", "busybox", "true"])] {
        let output = end(start(&store, &args));
        assert!([1, 125].contains(&output.code), "{output:#?}");
        assert!(
            ["No space left", "is full"].iter().any(|text| output.stderr.contains(text)),
            "{output:#?}"
        );
        assert!(output.stderr.contains("`tierce prune --all` makes room"), "{output:#?}");
    }
    assert!(store.ok(["images"]).contains("busybox"));
    for _ in 0..2 {
        store.ok(["prune", "--all", "--force"]);
        assert_eq!(disk.sh("ls store/layers"), "");
        disk.sh("cat /dev/zero >> filler 2> /dev/null || true");
    }
    disk.sh("rm filler");
    busybox(&store);
    assert_eq!(store.ok(["run", "--rm", "busybox", "echo", "again"]), "again\n");
}

fn assert_nobody_works_there(disk: &SmallDisk) {
    assert_eq!(disk.sh("ls store/staging store/leases | grep -v : | grep . || true"), "");
}
