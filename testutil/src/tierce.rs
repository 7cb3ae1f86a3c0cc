//! The program under test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Scratch;

/// `tierce` with a store of its own.
pub struct Tierce {
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

impl Tierce {
    /// The program `binary` (`env!("CARGO_BIN_EXE_tierce")`) with an empty store.
    pub fn new(binary: impl Into<PathBuf>) -> Tierce {
        let home = Scratch::new();
        Tierce { binary: binary.into(), root: home.join("store"), home }
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
        let mut command = Command::new(&self.binary);
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
        let output = self.command(args).output().expect("tierce starts");
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        Output {
            code: output.status.code().unwrap_or_else(|| 128 + signal.unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
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
