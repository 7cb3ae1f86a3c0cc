//! What the tests start from, and what must be true afterwards.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use testutil::{EmbeddedRegistry, Output, Tierce, busybox, processes_with, wait_until};

/// So that the same steps make the same image at any time.
const EPOCH: &str = "1700000000";

/// The program with an empty store.
pub(crate) fn tierce() -> Tierce {
    Tierce::new(env!("CARGO_BIN_EXE_tierce"))
}

/// A store to copy, with the images `busybox` and `big`, the container `box` and, beside it, the
/// context of a build and an archive of `big`.
pub(crate) struct Template {
    pub(crate) tierce: Tierce,
}

/// Three stages of steps that write a hundred files or more each, and a copy between them.
const DOCKERFILE: &str = "\
ARG BASE=busybox
FROM $BASE AS other
RUN mkdir /other && for n in $(seq 150); do echo other $n > /other/$n; done

FROM $BASE
RUN mkdir /made && for n in $(seq 150); do echo made $n > /made/$n; done
RUN rm /made/*1 && for n in $(seq 100); do echo more $n >> /made/more; done && sleep 0.02
COPY files /files
COPY --from=other /other /other
CMD cat /made/2 /made/more /files/7 /other/150 | md5sum
";

impl Template {
    pub(crate) fn new() -> Template {
        let template = Template { tierce: tierce() };
        busybox(&template.tierce);
        template.write_contexts();
        template.tierce.ok(["build", "-q", "-t", "big", &template.path("big")]);
        template.tierce.ok(["save", "-o", &template.path("big.tar"), "big"]);
        let script = "for n in $(seq 300); do echo $n > /root/$n; done; rm /etc/group";
        template.tierce.ok(["run", "--name", "box", "busybox", "sh", "-c", script]);
        template
    }

    fn write_contexts(&self) {
        let scratch = self.tierce.scratch();
        scratch.write("context/Dockerfile", DOCKERFILE);
        for number in 0..200 {
            scratch.write(&format!("context/files/{number}"), number.to_string().repeat(500));
        }
        let mut dockerfile = "FROM busybox\n".to_owned();
        for number in 0..6_u32 {
            scratch.write(&format!("big/{number}"), noise(number, 200_000));
            dockerfile += &format!("COPY {number} /big/{number}\n");
        }
        scratch.write("big/Dockerfile", dockerfile + "CMD cat /big/* | md5sum\n");
    }

    /// The path of something beside the store.
    pub(crate) fn path(&self, name: &str) -> String {
        self.tierce.scratch().join(name).display().to_string()
    }

    /// A registry that has `big`.
    pub(crate) fn registry(&self) -> EmbeddedRegistry {
        let registry = EmbeddedRegistry::in_memory(&self.tierce);
        self.tierce.ok(["push", "-q", "big", &format!("{}/big", registry.address)]);
        registry
    }
}

/// Bytes that do not compress.
pub(crate) fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// What every process that works in a store has in its arguments or among its mounts: the name of
/// the directory that is the test's alone.
fn mark(tierce: &Tierce) -> String {
    tierce.scratch().path().file_name().unwrap().to_string_lossy().into_owned()
}

/// A command that is not started yet; the same one makes the same image at any time.
pub(crate) fn command(tierce: &Tierce, args: &[String]) -> Command {
    let mut command = tierce.command(args);
    command.env("SOURCE_DATE_EPOCH", EPOCH);
    command
}

/// A command under way, its output kept.
pub(crate) fn start(tierce: &Tierce, args: &[String]) -> Child {
    command(tierce, args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The end of a command that was started.
pub(crate) fn end(child: Child) -> Output {
    child.wait_with_output().unwrap().into()
}

pub(crate) fn words(args: &[&str]) -> Vec<String> {
    args.iter().map(|&arg| arg.to_owned()).collect()
}

/// An image's id and what it prints.
pub(crate) fn id_and_output(tierce: &Tierce, image: &str) -> String {
    // With the layers, so that a difference says where it is.
    let id = tierce.ok(["inspect", "--format", "{{.Id}} {{json .RootFS.Layers}}", image]);
    id + &tierce.ok(["run", "--rm", image])
}

/// No process and no mount is there any more that belongs to the store.
pub(crate) fn assert_nothing_runs(tierce: &Tierce) {
    let mark = mark(tierce);
    wait_until("all processes are gone", || processes_with(&mark).is_empty());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&mark), "{mounts}");
}

/// Everything goes when it is asked to.
pub(crate) fn assert_prune_leaves_nothing(tierce: &Tierce) {
    tierce.ok(["prune", "--all", "--force"]);
    assert_eq!(tierce.ok(["ps", "-a", "-q"]), "");
    assert_eq!(tierce.ok(["images", "-q"]), "");
    for dir in ["layers", "blobs/sha256", "containers"] {
        assert_eq!(names_in(&tierce.root().join(dir)), Vec::<String>::new(), "{dir}");
    }
    assert_nobody_works(tierce);
}

/// Nothing is left of work in progress.
pub(crate) fn assert_nobody_works(tierce: &Tierce) {
    for dir in ["staging", "leases"] {
        assert_eq!(names_in(&tierce.root().join(dir)), Vec::<String>::new(), "{dir}");
    }
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
