//! Ways out of containers that others once had, tried on ours.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::fs;
use std::path::PathBuf;

use testutil::{Scratch, Tierce, busybox, wait_until};

const BINARY: &str = env!("CARGO_BIN_EXE_tierce");
/// How often a race is tried.
const ROUNDS: usize = 40;

/// A copy of the program, which an attack may do what it likes to.
fn own_copy() -> (Scratch, PathBuf, Tierce) {
    let machine = Scratch::new();
    let program = machine.join("tierce");
    fs::copy(BINARY, &program).unwrap();
    let tierce = Tierce::new(&program);
    busybox(&tierce);
    (machine, program, tierce)
}

fn tierce() -> Tierce {
    let tierce = Tierce::new(BINARY);
    busybox(&tierce);
    tierce
}

/// CVE-2019-5736: a process that enters is the machine's program until it becomes the container's.
/// Who gets hold of that can write to it later.
#[test]
fn the_program_of_the_machine_is_not_to_be_had_by_who_is_entered() {
    let (_machine, program, tierce) = own_copy();
    let before = fs::read(&program).unwrap();
    // Looks at each process that comes, and writes to what it is if that is not the container's.
    let hunt = "printf '#!/proc/self/exe\\n' > /bin/evil; chmod 755 /bin/evil; touch /caught
        cp /bin/busybox /bin/own; echo ready > /ready
        while :; do for p in /proc/[0-9]*; do
            e=$(readlink $p/exe 2>/dev/null) || continue
            case $e in /bin/*|'') continue;; esac
            echo $e >> /caught; (exec 9<$p/exe && echo evil > /proc/self/fd/9) 2>/dev/null
            echo evil 2>/dev/null > $p/exe
        done; done";
    tierce.ok(["run", "-d", "--name", "box", "busybox", "sh", "-c", hunt]);
    wait_until("it hunts", || tierce.run(["exec", "box", "cat", "/ready"]).stdout == "ready\n");
    for _ in 0..ROUNDS {
        assert_eq!(tierce.run(["exec", "box", "/bin/evil"]).code, 126);
        assert_eq!(tierce.run(["exec", "box", "/proc/self/exe"]).code, 126);
        tierce.ok(["exec", "box", "true"]);
    }
    let caught = tierce.ok(["exec", "box", "cat", "/caught"]);
    tierce.ok(["rm", "-f", "box"]);
    assert!(fs::read(&program).unwrap() == before, "the program was written to");
    let name = program.display().to_string();
    assert!(!caught.contains(&name), "{caught}");
}

/// CVE-2024-21626: a working directory behind a descriptor that was left open.
#[test]
fn no_working_directory_leads_to_the_machine() {
    let tierce = tierce();
    let marker = format!("marker-{}", std::process::id());
    let dir = tierce.scratch().join(&marker);
    fs::write(&dir, "").unwrap();
    tierce.ok(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    let script = format!(
        "for up in . .. ../.. ../../.. ../../../../../../../..; do ls -d $up/{0} $up/tmp/{0} $up{1}; done 2>/dev/null; ls /proc/self/cwd/",
        marker,
        dir.display()
    );
    for number in 0..24 {
        for cwd in [format!("/proc/self/fd/{number}"), format!("/proc/thread-self/fd/{number}")] {
            for how in [&["run", "--rm", "-w", &cwd, "busybox"][..], &["exec", "-w", &cwd, "box"]] {
                let output = tierce.run([how, &["sh", "-c", &script]].concat());
                assert!(output.code >= 125, "{how:?} {output:?}");
            }
        }
    }
    for cwd in ["/proc/1/root", "/proc/self/root", "/proc/self/cwd", "/proc/1/cwd"] {
        let output = tierce.run(["exec", "-w", cwd, "box", "sh", "-c", &script]);
        assert!(!output.stdout.contains(&marker), "{cwd} {output:?}");
    }
    tierce.ok(["rm", "-f", "box"]);
}

/// What a container does for ever: the place is a directory, a link out of it, a directory, …
fn flipping(place: &str, target: &str) -> String {
    format!(
        "mkdir -p {place}.a; touch {place}.a/inside; ln -s {target} {place}.b; mkdir {place}
         while :; do mv {place} {place}.c; mv {place}.b {place}; mv {place} {place}.b
         mv {place}.c {place}; done"
    )
}

#[test]
fn a_copy_does_not_follow_a_link_that_appears_on_its_way() {
    let tierce = tierce();
    let outside = tierce.scratch().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    let file = tierce.scratch().write("file", "copied").display().to_string();
    let into = tierce.scratch().join("into").display().to_string();
    let flip = flipping("/place", &outside.display().to_string());
    tierce.ok(["run", "-d", "--name", "box", "busybox", "sh", "-c", &flip]);
    for _ in 0..ROUNDS {
        // It may fail, since the place is not always there.
        tierce.run(["cp", &file, "box:/place/copied"]);
        tierce.run(["cp", "box:/place/secret", &into]);
        tierce.run(["cp", "-L", "box:/place", &into]);
    }
    tierce.ok(["rm", "-f", "box"]);
    let left: Vec<_> = fs::read_dir(&outside).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["secret"]);
    let stolen = std::process::Command::new("grep").args(["-rl", "secret", &into]).output();
    assert_eq!(String::from_utf8(stolen.unwrap().stdout).unwrap(), "");
}

#[test]
fn a_part_of_a_volume_is_not_the_machine() {
    let tierce = tierce();
    let outside = tierce.scratch().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    let flip = flipping("/v/part", &outside.display().to_string());
    tierce.ok(["run", "-d", "--name", "box", "-v", "shared:/v", "busybox", "sh", "-c", &flip]);
    let mount = "type=volume,source=shared,volume-subpath=part,target=/m";
    for _ in 0..ROUNDS {
        let script = "cat /m/secret; echo mine > /m/written";
        let run = ["run", "--rm", "--mount", mount, "busybox", "sh", "-c", script];
        let output = tierce.run(run);
        assert!(!output.stdout.contains("secret"), "{output:?}");
    }
    tierce.ok(["rm", "-f", "box"]);
    assert!(!outside.join("written").exists());
    tierce.ok(["volume", "rm", "shared"]);
}
