//! Other people's programs.

use std::ffi::OsStr;
use std::process::{Command, Output};

/// A program that a test needs; one that is missing fails the test with how to get it.
pub struct Peer;

impl Peer {
    /// A command of the program `name`.
    pub fn command(name: &str) -> Command {
        let found = std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()));
        assert!(found, "the test needs `{name}`: run `cargo xtask test`, which installs it");
        Command::new(name)
    }
}

/// Runs a command and answers with all it said.
pub fn run<S: AsRef<OsStr>>(command: &mut Command, args: impl IntoIterator<Item = S>) -> Output {
    command.args(args).output().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"))
}

/// Runs a command that must succeed and answers with its standard output.
pub fn run_ok<S: AsRef<OsStr>>(command: &mut Command, args: impl IntoIterator<Item = S>) -> String {
    let output = run(command, args);
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
