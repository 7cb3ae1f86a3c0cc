//! The cases of `testdata/dockerfile/`: a Dockerfile, perhaps a context, and what is expected.

use std::collections::BTreeMap;
use std::fs::{self, FileTimes, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Map, Value};

/// The first of the times that files of contexts have, in seconds after 1970.
const FIRST_TIME: u64 = 1_600_000_000;

/// `expect.json`: what a build of the case must give. What is absent is not compared.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expectation {
    /// What is asked of the build.
    pub request: Request,
    /// Every entry of the tree, a line each, but for what came with the base image.
    pub tree: Option<Vec<String>>,
    /// The contents of files, by path.
    pub files: Map<String, Value>,
    /// Members of the image's config.
    pub config: Map<String, Value>,
    /// The entries of the history that the Dockerfile made, those without a layer after `0 `.
    pub history: Option<Vec<String>>,
    /// Parts of what the commands printed.
    pub log: Vec<String>,
    /// The warnings.
    pub warnings: Option<Vec<String>>,
    /// A part of the error, if it is to be refused.
    pub error: Option<String>,
    /// The line of the Dockerfile that the error is at, from 1.
    pub line: Option<usize>,
    /// The exit status of the command that failed.
    pub exit: Option<i32>,
    /// Where another builder does otherwise, deliberately.
    pub deliberate: Vec<Deliberate>,
    /// Why no other builder can be asked.
    pub alone: Option<String>,
}

/// What is asked of a build beside the Dockerfile.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// `--build-arg`.
    pub args: BTreeMap<String, String>,
    /// `--target`.
    pub target: Option<String>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// Whether there is no context at all.
    pub no_context: bool,
    /// `--secret`, the content by id.
    pub secrets: BTreeMap<String, String>,
    /// `--allow`.
    pub allow: Vec<String>,
}

/// A difference to another builder that is meant to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deliberate {
    /// Part of the difference as `cargo xtask compare` prints it.
    pub what: String,
    /// The reason.
    pub why: String,
}

/// A case on disk.
#[derive(Debug)]
pub struct Case {
    /// Its directory's name.
    pub name: String,
    /// Its directory.
    pub dir: PathBuf,
    /// What is expected.
    pub expected: Expectation,
}

impl Case {
    /// The cases in the directory `all`, sorted by name.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn all(all: &Path) -> Result<Vec<Case>, String> {
        let list = fs::read_dir(all).map_err(|e| format!("cannot list {}: {e}", all.display()))?;
        let mut dirs: Vec<PathBuf> = list.flatten().map(|entry| entry.path()).collect();
        dirs.sort();
        dirs.into_iter().map(Case::read).collect()
    }

    /// The case in `dir`. One that is new expects nothing yet.
    ///
    /// # Errors
    /// If its expectation cannot be read.
    pub fn read(dir: PathBuf) -> Result<Case, String> {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let expected = match fs::read_to_string(dir.join("expect.json")) {
            Ok(text) => serde_json::from_str(&text).map_err(|e| format!("{name}: {e}"))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Expectation::default(),
            Err(e) => return Err(format!("{name}: {e}")),
        };
        Ok(Case { name, dir, expected })
    }

    /// The Dockerfile's text.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn dockerfile(&self) -> Result<Vec<u8>, String> {
        fs::read(self.dir.join("Dockerfile")).map_err(|e| format!("{}: {e}", self.name))
    }

    /// Makes a copy of the case's context at `to`, with fixed modes and times, and with what
    /// `context.json` adds: files that git does not keep as they are.
    ///
    /// # Panics
    /// If the case is not in order, or the copy cannot be made.
    pub fn lay_out(&self, to: &Path) {
        fs::create_dir_all(to).expect("a directory for the context");
        let from = self.dir.join("context");
        if from.is_dir() {
            copy(&from, to);
        }
        if let Ok(text) = fs::read_to_string(self.dir.join("context.json")) {
            let entries: Map<String, Value> = serde_json::from_str(&text).expect("context.json");
            for (path, entry) in &entries {
                self.add(to, path, entry);
            }
        }
        set_times(to, SystemTime::UNIX_EPOCH + Duration::from_secs(self.time()));
    }

    /// The time of everything in the context, the same wherever it is copied. Each case has its
    /// own: docker takes a file of one size and time for the one that it was sent before.
    fn time(&self) -> u64 {
        self.name.bytes().fold(FIRST_TIME, |time, byte| {
            FIRST_TIME + (time - FIRST_TIME) * 31 % 100_000_000 + u64::from(byte)
        })
    }

    fn add(&self, to: &Path, path: &str, entry: &Value) {
        let path = to.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        let get = |key: &str| entry.get(key).and_then(Value::as_str);
        let target = || get("to").expect("`to`");
        match get("kind").unwrap_or("file") {
            "link" => std::os::unix::fs::symlink(target(), &path).expect("a symlink"),
            "hard" => fs::hard_link(to.join(target()), &path).expect("a hard link"),
            "dir" => fs::create_dir_all(&path).expect("a directory"),
            "socket" => drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket")),
            "fifo" => {
                let mode = rustix::fs::Mode::from_raw_mode(0o644);
                rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).expect("a fifo");
            }
            "file" => fs::write(&path, get("content").unwrap_or_default()).expect("a file"),
            other => panic!("{}: unknown kind {other}", self.name),
        }
        if let Some(names) = entry.get("tar").and_then(Value::as_array) {
            self.pack(&path, get("flags").unwrap_or("-cf"), names);
        }
        if let Some(mode) = get("mode") {
            let mode = u32::from_str_radix(mode, 8).expect("an octal mode");
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
        }
    }

    /// Makes an archive of files of the case.
    fn pack(&self, archive: &Path, flags: &str, names: &[Value]) {
        let status = Command::new("tar")
            .args(flags.split(' '))
            .arg(archive)
            .arg("-C")
            .arg(self.dir.join("context"))
            .args(["--owner=1:1", "--group=1:1", "--mode=0644", "--mtime=@1600000000"])
            .args(names.iter().map(|name| name.as_str().expect("a name")))
            .status()
            .expect("tar");
        assert!(status.success(), "{}: tar failed", self.name);
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let mode = if entry.file_type().expect("a type").is_dir() {
            fs::create_dir_all(&target).expect("a directory");
            copy(&path, &target);
            0o755
        } else {
            fs::copy(&path, &target).expect("a copy");
            0o644
        };
        fs::set_permissions(&target, Permissions::from_mode(mode)).expect("a mode");
    }
}

/// Gives regular files and directories below `dir` one time; other kinds show none.
fn set_times(dir: &Path, time: SystemTime) {
    for entry in fs::read_dir(dir).expect("a directory").flatten() {
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() {
            set_times(&entry.path(), time);
        } else if kind.is_file() {
            set_time(&entry.path(), time);
        }
    }
    set_time(dir, time);
}

fn set_time(path: &Path, time: SystemTime) {
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path).expect("an open file");
    file.set_times(FileTimes::new().set_modified(time)).expect("a time");
}
