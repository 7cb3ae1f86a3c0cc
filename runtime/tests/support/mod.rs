//! A root file system of busybox, and containers on it.
#![allow(dead_code, reason = "no test file needs all of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use runtime::{
    CapabilitySet, Error, ExitStatus, Limits, Namespaces, Network, Process, Rootfs, Seccomp, Spec,
    Stdio, Stream, SystemPaths, User, spawn,
};

/// From Debian's package busybox-static.
const BUSYBOX: &str = "/bin/busybox";

/// A directory that becomes a container's root, and is removed in the end.
pub(crate) struct Root {
    scratch: tempfile::TempDir,
}

impl Root {
    /// Nothing but /bin with busybox and the names it goes by.
    pub(crate) fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let bin = scratch.path().join("root/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::copy(BUSYBOX, bin.join("busybox"))
            .expect("/bin/busybox is missing: install the package busybox-static");
        for name in [
            "sh", "cat", "id", "ls", "mount", "true", "false", "sleep", "mkdir", "rm", "touch",
            "env", "pwd", "kill", "ps", "hostname", "ip", "stat", "chown", "chmod", "mknod", "wc",
            "echo", "readlink", "head", "grep", "umount", "dd", "unshare", "test", "date", "ln",
        ] {
            symlink("busybox", bin.join(name)).unwrap();
        }
        Self { scratch }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.scratch.path().join("root")
    }

    /// A path beside the root, which no container should reach.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The example that stands for the program in tests of whole processes.
    pub(crate) fn example(&self) -> PathBuf {
        let test = std::env::current_exe().unwrap();
        let built = test.ancestors().nth(2).unwrap().join("examples/run_in");
        let copy = self.outside("run_in");
        fs::copy(built, &copy).unwrap();
        copy
    }

    /// All names in the root but those in /bin.
    pub(crate) fn listing(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut left = vec![self.path()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.path()).unwrap().to_str().unwrap().to_owned();
                if name == "bin" {
                    continue;
                }
                if path.symlink_metadata().unwrap().is_dir() {
                    left.push(path.clone());
                }
                found.push(name);
            }
        }
        found.sort();
        found
    }

    /// A specification with docker's defaults that runs a shell script.
    pub(crate) fn sh(&self, script: &str) -> Spec {
        self.exec(&["sh", "-c", script])
    }

    pub(crate) fn exec(&self, args: &[&str]) -> Spec {
        Spec {
            rootfs: Rootfs::Path(self.path()),
            process: Process {
                args: args.iter().map(Into::into).collect(),
                env: vec!["PATH=/bin".into()],
                cwd: "/".into(),
                user: User::root(),
                umask: 0o022,
                limits: Vec::new(),
            },
            hostname: "box".into(),
            domain: None,
            namespaces: Namespaces::default(),
            sysctls: Vec::new(),
            oom_score_adj: None,
            network: Network::Host,
            mounts: Vec::new(),
            files: Vec::new(),
            capabilities: CapabilitySet::DOCKER,
            seccomp: Seccomp::Default,
            no_new_privileges: true,
            read_only: false,
            system_paths: SystemPaths::Protected,
            init: false,
            limits: Limits::default(),
            fake_ids: false,
            stdio: Stdio { stdin: Stream::Null, stdout: Stream::Null, stderr: Stream::Inherit },
        }
    }
}

/// Runs to the end: status, and what was written to standard output and error.
pub(crate) fn run(mut spec: Spec) -> Result<(ExitStatus, String), Error> {
    let (mut reader, writer) = std::io::pipe().unwrap();
    spec.stdio.stderr = Stream::Fd(OwnedFd::from(writer.try_clone().unwrap()));
    spec.stdio.stdout = Stream::Fd(OwnedFd::from(writer));
    let mut container = spawn(spec)?;
    let mut output = String::new();
    reader.read_to_string(&mut output).unwrap();
    Ok((container.wait()?, output))
}

/// What a run to a successful end has written.
pub(crate) fn output(spec: Spec) -> String {
    let (status, output) = run(spec).unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(status, ExitStatus::Code(0), "{output}");
    output
}

/// An error and its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text += &format!(": {error}");
        next = error.source();
    }
    text
}

/// The value of a line `NAME: value`, as in /proc/PID/status.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .unwrap_or_else(|| panic!("no {name} in {text}"))
        .trim()
}
