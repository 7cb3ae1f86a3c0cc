//! The program under test.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Peer, Scratch, run_ok};

/// `tierce` with a store of its own.
pub struct Tierce {
    /// What starts it, if it is not started directly.
    launcher: Vec<OsString>,
    binary: PathBuf,
    root: PathBuf,
    home: Scratch,
}

/// What a run of it said.
#[derive(Debug)]
pub struct Output {
    /// Its exit status; 128 and the signal's number if a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl From<std::process::Output> for Output {
    fn from(output: std::process::Output) -> Output {
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        Output {
            code: output.status.code().unwrap_or_else(|| 128 + signal.unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Tierce {
    /// The program `binary` (`env!("CARGO_BIN_EXE_tierce")`) with an empty store.
    pub fn new(binary: impl Into<PathBuf>) -> Tierce {
        let home = Scratch::new();
        Tierce { launcher: Vec::new(), binary: binary.into(), root: home.join("store"), home }
    }

    /// The same, started by another program: by its name, its arguments and then ours.
    pub fn launched_by<S: Into<OsString>>(
        mut self,
        launcher: impl IntoIterator<Item = S>,
    ) -> Tierce {
        self.launcher = launcher.into_iter().map(Into::into).collect();
        self
    }

    /// The same with its store elsewhere.
    pub fn with_root(mut self, root: impl Into<PathBuf>) -> Tierce {
        self.root = root.into();
        self
    }

    /// The same with a copy of the store, in which nobody may be at work.
    pub fn copied(&self) -> Tierce {
        let home = Scratch::new();
        let root = home.join("store");
        run_ok(Peer::command("cp").arg("-a").arg(&self.root), [&root]);
        Tierce { launcher: self.launcher.clone(), binary: self.binary.clone(), root, home }
    }

    /// Its store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A directory of its own, which holds the store.
    pub fn scratch(&self) -> &Scratch {
        &self.home
    }

    /// A command of it, with no configuration of whoever runs the test.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = match self.launcher.split_first() {
            None => Command::new(&self.binary),
            Some((launcher, first)) => {
                let mut command = Command::new(launcher);
                command.args(first).arg(&self.binary);
                command
            }
        };
        command
            .arg("--root")
            .arg(&self.root)
            .args(args)
            .env("HOME", self.home.path())
            .env("DOCKER_CONFIG", self.home.join("docker"))
            .env_remove("REGISTRY_AUTH_FILE")
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("SOURCE_DATE_EPOCH");
        command
    }

    /// Runs it.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.command(args).output().expect("tierce starts").into()
    }

    /// Runs it with something to read.
    pub fn run_with_input<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Output {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("tierce starts");
        child.stdin.take().expect("an input").write_all(input).expect("it reads");
        child.wait_with_output().expect("an end").into()
    }

    /// Runs it and answers with its standard output; it must succeed.
    pub fn ok<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        let args: Vec<S> = args.into_iter().collect();
        let line: Vec<_> = args.iter().map(|a| a.as_ref().to_owned()).collect();
        let output = self.run(args);
        assert!(output.code == 0, "tierce {line:?} ended with {output:#?}");
        output.stdout
    }
}

impl Drop for Tierce {
    /// The store's trees are removed by whoever may: under root, and in a user namespace, that
    /// is `tierce` itself.
    fn drop(&mut self) {
        if self.root.exists() {
            let _ = self.command(["prune", "--all", "--force"]).output();
        }
    }
}
