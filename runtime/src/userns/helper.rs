//! The process outside of the namespace that maps its ids.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::SingleReason;
use super::id_map::IdMap;
use crate::sys;
use crate::user::Accounts;

/// How the ids get mapped, and to which.
pub(super) struct Means {
    pub(super) uids: IdMap,
    pub(super) gids: IdMap,
    by: By,
}

enum By {
    /// newuidmap(1) and newgidmap(1), which check `/etc/subuid` and `/etc/subgid`.
    Programs { uids: PathBuf, gids: PathBuf },
    /// Writing the maps, which takes CAP_SETUID and CAP_SETGID.
    Direct,
}

/// Where set-user-id programs are; a search path that the user controls is no place for them.
const DIRECTORIES: &[&str] =
    &["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/run/wrappers/bin"];

impl Means {
    /// For an ordinary user.
    pub(super) fn programs(uid: u32, gid: u32) -> Result<Self, SingleReason> {
        let passwd = fs::read("/etc/passwd").unwrap_or_default();
        let name = Accounts { passwd: &passwd, group: &[] }.name_of(uid);
        let name = name.as_deref();
        let map = |id: u32, path: &str| {
            let file = fs::read(path).unwrap_or_default();
            IdMap::subordinate(id, name, uid, &String::from_utf8_lossy(&file))
        };
        let (Some(uids), Some(gids)) = (map(uid, "/etc/subuid"), map(gid, "/etc/subgid")) else {
            let name = name.map_or_else(|| uid.to_string(), str::to_owned);
            return Err(SingleReason::NoRanges(name));
        };
        match (find("newuidmap"), find("newgidmap")) {
            (Some(uid_program), Some(gid_program)) => {
                let by = By::Programs { uids: uid_program, gids: gid_program };
                Ok(Self { uids, gids, by })
            }
            _ => Err(SingleReason::NoProgram),
        }
    }

    /// For a root that lacks CAP_SYS_ADMIN: every id there is.
    pub(super) fn direct() -> Result<Self, SingleReason> {
        let map = |path| fs::read_to_string(path).ok().and_then(|own| IdMap::identity(&own));
        match (map("/proc/self/uid_map"), map("/proc/self/gid_map")) {
            (Some(uids), Some(gids)) => Ok(Self { uids, gids, by: By::Direct }),
            _ => Err(SingleReason::NoRanges("root".into())),
        }
    }

    /// Maps the ids of a process. The message says what failed.
    fn map(&self, pid: u32) -> Result<(), String> {
        match &self.by {
            By::Programs { uids, gids } => {
                run(uids, pid, &self.uids)?;
                run(gids, pid, &self.gids)
            }
            By::Direct => {
                write(&format!("/proc/{pid}/uid_map"), &self.uids)?;
                write(&format!("/proc/{pid}/gid_map"), &self.gids)
            }
        }
    }
}

fn find(program: &str) -> Option<PathBuf> {
    DIRECTORIES.iter().map(|dir| Path::new(dir).join(program)).find(|path| path.exists())
}

fn run(program: &Path, pid: u32, map: &IdMap) -> Result<(), String> {
    let output = Command::new(program)
        .arg(pid.to_string())
        .args(map.arguments())
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    match message.trim() {
        "" => Err(format!("{}: {}", program.display(), output.status)),
        message => Err(message.to_owned()),
    }
}

fn write(path: &str, map: &IdMap) -> Result<(), String> {
    fs::write(path, map.to_string()).map_err(|error| format!("write {path}: {error}"))
}

/// The helper, waiting for its parent to be in the new namespace.
pub(super) struct Helper {
    pid: Pid,
    go: File,
    answer: File,
}

impl Helper {
    /// Forks it. The process must have a single thread.
    pub(super) fn start(means: &Means) -> io::Result<Self> {
        let parent = std::process::id();
        let (go_reader, go) = pipe_with(PipeFlags::CLOEXEC)?;
        let (answer, answer_writer) = pipe_with(PipeFlags::CLOEXEC)?;
        match Pid::from_raw(sys::fork_program()?) {
            Some(pid) => Ok(Self { pid, go: go.into(), answer: answer.into() }),
            None => {
                drop((go, answer));
                serve(means, parent, go_reader.into(), answer_writer.into())
            }
        }
    }

    /// Has it map the ids of this process, and waits for it to end. The inner result is its
    /// answer.
    pub(super) fn map(self) -> io::Result<Result<(), String>> {
        let Self { pid, mut go, mut answer } = self;
        go.write_all(b"g")?;
        let mut message = String::new();
        answer.read_to_string(&mut message)?;
        rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()))?;
        Ok(match message.as_str() {
            "ok" => Ok(()),
            "" => Err("it was killed".into()),
            _ => Err(message),
        })
    }
}

/// The helper's whole life.
fn serve(means: &Means, parent: u32, mut go: File, mut answer: File) -> ! {
    let mut byte = [0];
    // End of file: the parent could not make its namespace, or has gone.
    if go.read_exact(&mut byte).is_ok() {
        let message = means.map(parent).err().unwrap_or_else(|| "ok".into());
        let _ = answer.write_all(message.as_bytes());
    }
    sys::exit(0)
}
