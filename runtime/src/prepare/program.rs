//! The program, its arguments and environment, as execve(2) takes them.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::string;
use crate::error::Error;
use crate::plan::{Pointers, Program};
use crate::spec::Process;

/// Where programs are looked for when the environment does not say: Docker's default.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What will be executed.
pub(super) fn program(process: &Process) -> Result<Program, Error> {
    let name = process.args.first().ok_or(Error::NoCommand)?;
    let args = strings(&process.args, "argument")?;
    let env = strings(&process.env, "environment variable")?;
    let path = process.env.iter().find_map(|variable| variable.as_bytes().strip_prefix(b"PATH="));
    let candidates = candidates(name, path.unwrap_or(DEFAULT_PATH))
        .iter()
        .map(|path| string(path.as_os_str(), || "the program's path".into()))
        .collect::<Result<_, _>>()?;
    Ok(Program { candidates, args: Pointers::new(args), env: Pointers::new(env) })
}

/// The paths that a program may be at. An empty or relative entry of `PATH` is passed over: the
/// working directory is no place to look for programs.
fn candidates(name: &OsStr, path: &[u8]) -> Vec<PathBuf> {
    if name.is_empty() {
        return Vec::new();
    }
    if name.as_bytes().contains(&b'/') {
        return vec![name.into()];
    }
    path.split(|byte| *byte == b':')
        .map(|directory| Path::new(OsStr::from_bytes(directory)))
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .collect()
}

/// The working directory, from the root.
pub(super) fn working_directory(process: &Process) -> Result<CString, Error> {
    let path = Path::new("/").join(&process.cwd);
    string(path.as_os_str(), || "the working directory".into())
}

fn strings(texts: &[std::ffi::OsString], what: &str) -> Result<Vec<CString>, Error> {
    texts
        .iter()
        .enumerate()
        .map(|(index, text)| string(text, || format!("{what} {index}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_in_path() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("ls", "/bin:/usr/bin", &["/bin/ls", "/usr/bin/ls"]),
            ("ls", "", &[]),
            ("ls", ":bin:/bin:.", &["/bin/ls"]),
            ("/opt/x", "/bin", &["/opt/x"]),
            ("./x", "/bin", &["./x"]),
            ("", "/bin", &[]),
        ];
        for (name, path, expected) in cases {
            let found = candidates(OsStr::new(name), path.as_bytes());
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(found, expected, "{name} in {path}");
        }
    }
}
