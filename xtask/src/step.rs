//! Running programs and saying so.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

/// What a chore ends with; the error is a text for people.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// A command as one would type it.
pub(crate) fn typed(command: &Command) -> String {
    let mut line = String::new();
    for word in std::iter::once(command.get_program()).chain(command.get_args()) {
        let word = word.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
        let separator = if line.is_empty() { "" } else { " " };
        let _ = if word.chars().all(plain) && !word.is_empty() {
            write!(line, "{separator}{word}")
        } else {
            write!(line, "{separator}'{}'", word.replace('\'', r"'\''"))
        };
    }
    line
}

/// Runs a command that prints for itself.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = typed(command);
    let status = command.status().map_err(|e| format!("cannot run `{line}`: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` ended with {status}")) }
}

/// Runs a command and answers with what it printed on standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = typed(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot run `{line}`: {e}"))?;
    if !output.status.success() {
        return Err(format!("`{line}` ended with {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{line}` printed what is no text"))
}

/// Whether a program is on the path or in the system's own folders.
pub(crate) fn has_program(name: impl AsRef<OsStr>) -> bool {
    find_program(name).is_some()
}

/// Where a program is.
pub(crate) fn find_program(name: impl AsRef<OsStr>) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/bin", "/usr/bin"];
    std::env::split_paths(&path)
        .chain(system.iter().map(std::path::PathBuf::from))
        .map(|dir| dir.join(name.as_ref()))
        .find(|file| file.is_file())
}

/// Whether this process may install packages.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}
