//! What to run, and in which surroundings: plain data.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use crate::capability::CapabilitySet;
use crate::cgroup::Limits;
use crate::confinement::Confinement;
use crate::seccomp::SeccompProfile;
use crate::user::User;

pub use rustix::process::Resource;

/// Everything there is to say about one container process.
#[derive(Debug)]
pub struct Spec {
    /// The file tree that becomes `/`.
    pub rootfs: Rootfs,
    /// The process that runs in it.
    pub process: Process,
    /// Its name for the machine (`uname -n`).
    pub hostname: String,
    /// Its domain (`/proc/sys/kernel/domainname`), in a name space of its own alone, as the name.
    pub domain: Option<String>,
    /// What it shares with others, its network and mounts excepted.
    pub namespaces: Namespaces,
    /// The kernel's settings in its namespaces (`/proc/sys`): names with dots, and values.
    pub sysctls: Vec<(String, String)>,
    /// How likely the kernel ends it when memory runs out, -1000 to 1000; as the caller if it is
    /// not said (`/proc/PID/oom_score_adj`).
    pub oom_score_adj: Option<i32>,
    /// Which network it sees.
    pub network: Network,
    /// How much it may use.
    pub limits: Limits,
    /// What else is mounted. Order does not matter: parents come before what lies in them.
    pub mounts: Vec<Mount>,
    /// Files put over the image's, that never become part of a layer.
    pub files: Vec<ProvidedFile>,
    /// The bounding set; permitted and effective set too when the user is root.
    pub capabilities: CapabilitySet,
    /// Which system calls are refused.
    pub seccomp: Seccomp,
    /// Whether set-user-id programs and file capabilities give nothing more
    /// (`PR_SET_NO_NEW_PRIVS`).
    pub no_new_privileges: bool,
    /// Whether the root is mounted read-only. Mounts and files keep their own mode.
    pub read_only: bool,
    /// Whether the dangerous parts of /proc and /sys are hidden or read-only.
    pub system_paths: SystemPaths,
    /// Whether process 1 is a small init, which reaps orphans, passes signals on and ends with
    /// the process. It survives programs that change their user, and still ends when the caller
    /// is killed; without it, process 1 is the process itself, and loses that link
    /// (`PR_SET_PDEATHSIG`) when it executes a set-user-id program. With it, a signal that ends the
    /// process shows as exit status 128 and the signal's number.
    pub init: bool,
    /// Whether changes of owner, user and group succeed without happening. For a user namespace
    /// with one id, where the real calls must fail. The process then runs as root whatever
    /// [`Process::user`] says.
    pub fake_ids: bool,
    /// Standard input, output and error.
    pub stdio: Stdio,
}

/// Whose some namespaces of a container are.
#[derive(Debug, Default)]
pub struct Namespaces {
    /// Its processes. Without a namespace of its own, all that it starts still ends with it,
    /// unless the namespace is another container's: then it is with that one.
    pub processes: Namespace,
    /// Message queues and shared memory, `/dev/shm` included.
    pub ipc: Namespace,
    /// Its name. [`Spec::hostname`] is set in one of its own alone.
    pub name: Namespace,
    /// What it sees of control groups. Another container's is not to be had.
    pub groups: GroupsSeen,
}

/// Whose a namespace is.
#[derive(Debug, Default)]
pub enum Namespace {
    /// The container's own.
    #[default]
    Own,
    /// The machine's.
    Machine,
    /// That of a process of another container: a descriptor of it (pidfd_open(2)).
    Of(OwnedFd),
}

/// What a container sees of control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupsSeen {
    /// Its own are the first.
    #[default]
    Own,
    /// All of the machine.
    Machine,
}

/// The file tree that becomes the container's `/`. It serves one container at a time: the end of
/// one takes away mount points that another may still use.
#[derive(Debug)]
pub enum Rootfs {
    /// A detached mount, from fsmount(2) or open_tree(2). It is attached in the container's mount
    /// namespace only, and is gone with the last descriptor.
    Mount(OwnedFd),
    /// A directory of the machine.
    Path(PathBuf),
    /// A directory of the machine that the container is confined to by chroot(2) alone, where
    /// neither namespaces nor mounts are to be had. It then sees the machine's network and name,
    /// whatever [`Spec::hostname`] says, and of /proc and /sys what it opens by name; it never gets
    /// new privileges, whatever [`Spec::no_new_privileges`] says.
    Chroot(Chroot),
}

/// A directory to be confined to.
#[derive(Debug)]
pub struct Chroot {
    /// The directory.
    pub directory: OwnedFd,
    /// A directory on the same file system for what is hidden meanwhile: entries `0`, `1`, … and
    /// beside each, as `0.place`, its path below the root. It is made where it is missing. What
    /// is in it, because an earlier container's keeper was killed, is put back first. Beside what
    /// stands in the place of something that was [lent](MountSource::Lend) it says as `0.lent` where
    /// that goes back to.
    pub aside: PathBuf,
}

/// One more process for a container that runs.
#[derive(Debug)]
pub struct Join {
    /// The process.
    pub process: Process,
    /// As [`Spec::capabilities`].
    pub capabilities: CapabilitySet,
    /// As [`Spec::seccomp`].
    pub seccomp: Seccomp,
    /// As [`Spec::no_new_privileges`].
    pub no_new_privileges: bool,
    /// As [`Spec::fake_ids`].
    pub fake_ids: bool,
    /// The container's control groups ([`Container::groups`](crate::Container::groups)).
    pub groups: Vec<PathBuf>,
    /// What it is confined to ([`Container::confinement`](crate::Container::confinement)).
    pub confinement: Option<Arc<Confinement>>,
    /// Standard input, output and error.
    pub stdio: Stdio,
}

/// A program, its surroundings, and as whom it runs.
#[derive(Debug, Clone)]
pub struct Process {
    /// Program and arguments. A program without a slash is looked for in the `PATH` of `env`.
    pub args: Vec<OsString>,
    /// The whole environment, as `NAME=VALUE`.
    pub env: Vec<OsString>,
    /// Where it starts. The directory must exist in the container.
    pub cwd: PathBuf,
    /// As whom it runs.
    pub user: User,
    /// The file creation mask, 0o022 as a rule.
    pub umask: u32,
    /// What it may use (getrlimit(2)); of the rest as much as the caller.
    pub limits: Vec<Limit>,
}

/// The most that a process may use of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Of what.
    pub resource: Resource,
    /// The limit; nothing is none.
    pub soft: Option<u64>,
    /// The most that the process itself may raise it to.
    pub hard: Option<u64>,
}

/// Which network the container sees.
#[derive(Debug)]
pub enum Network {
    /// The machine's.
    Host,
    /// One of its own, with nothing but the loopback interface, which is up.
    None,
    /// That of a namespace, such as [`new_namespace`](crate::network::new_namespace) makes.
    Namespace(OwnedFd),
}

/// Something mounted into the container.
#[derive(Debug)]
pub struct Mount {
    /// Where, in the container. Symbolic links are followed inside the container's root; what is
    /// missing is made, and removed again when the container has ended.
    pub target: PathBuf,
    /// What.
    pub source: MountSource,
    /// Whether nothing can be written through it, mounts below it included.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug)]
pub enum MountSource {
    /// A file or directory of the machine, with what is mounted below it.
    Bind(PathBuf),
    /// The same, with less.
    BindWith(PathBuf, BindFlags),
    /// A detached mount, from fsmount(2) or open_tree(2).
    Tree(OwnedFd),
    /// One file or directory of such a tree; the rest of it is not to be seen.
    Part {
        /// The detached mount.
        tree: OwnedFd,
        /// The path from its root, without symbolic links and `..`.
        path: PathBuf,
    },
    /// A file or directory below a directory of the machine.
    Below {
        /// The directory.
        directory: PathBuf,
        /// The path from there, without symbolic links and `..`.
        path: PathBuf,
    },
    /// A file or directory of the machine that nobody else uses meanwhile. In a
    /// [`Rootfs::Chroot`], whose file system it must be on, it is moved to its place and back in
    /// the end; in others it is mounted.
    Lend(PathBuf),
    /// A new file system in memory.
    Tmpfs(Tmpfs),
}

/// A file system in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tmpfs {
    /// The most it may hold, in bytes; the kernel's default is half of the memory.
    pub size: Option<u64>,
    /// The most files it may have; the kernel's default depends on the memory.
    pub inodes: Option<u64>,
    /// Mode of its root directory.
    pub mode: u32,
    /// User and group of its root directory, as the container sees them.
    pub owner: (u32, u32),
    /// Whether programs can be executed from it.
    pub executable: bool,
    /// Whether set-user-id programs and file capabilities count.
    pub set_user_id: bool,
    /// Whether devices work.
    pub devices: bool,
}

impl Default for Tmpfs {
    /// Docker's: for everybody, without programs, set-user-id programs and devices.
    fn default() -> Self {
        Self {
            size: None,
            inodes: None,
            mode: 0o1777,
            owner: (0, 0),
            executable: false,
            set_user_id: false,
            devices: false,
        }
    }
}

/// What does not work below a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BindFlags {
    /// Set-user-id programs and file capabilities.
    pub nosuid: bool,
    /// Devices.
    pub nodev: bool,
    /// Programs.
    pub noexec: bool,
    /// What is mounted below it on the machine.
    pub no_submounts: bool,
    /// Which later mounts are seen through it.
    pub propagation: Propagation,
}

/// Whether what is mounted below one side of a bind mount appears below the other
/// (mount_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagation {
    /// Neither way.
    #[default]
    Private,
    /// From the machine to the container.
    Slave,
    /// Both ways, where the machine shares the mount.
    Shared,
}

/// A file mounted over the image's. The file below stays as it is; when there was none, a
/// mount point is made and removed again when the container has ended.
#[derive(Debug)]
pub struct ProvidedFile {
    /// Where, in the container.
    pub path: PathBuf,
    /// What it holds.
    pub content: FileContent,
    /// Whether the container cannot change it.
    pub read_only: bool,
}

/// What a provided file holds.
#[derive(Debug)]
pub enum FileContent {
    /// These bytes, kept in memory. Changes are lost with the container.
    Bytes {
        /// The content.
        bytes: Vec<u8>,
        /// Mode of the file.
        mode: u32,
        /// Its owner, as the container sees it.
        uid: u32,
        /// Its group, as the container sees it.
        gid: u32,
    },
    /// A file of the machine. Changes go to that file.
    Host(PathBuf),
}

impl FileContent {
    /// A file of root's that all may read, such as `/etc/hosts`.
    pub fn text(content: impl Into<Vec<u8>>) -> Self {
        Self::Bytes { bytes: content.into(), mode: 0o644, uid: 0, gid: 0 }
    }
}

/// Which system calls are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seccomp {
    /// What Docker's default profile refuses, given the capabilities.
    Default,
    /// None.
    Unconfined,
    /// What a profile says.
    Profile(Arc<SeccompProfile>),
}

/// What the container may do with the kernel's own files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemPaths {
    /// Docker's masked and read-only paths; /sys is read-only.
    Protected,
    /// Everything is there, and /sys is writable, as for `--privileged`.
    Open,
}

/// Standard input, output and error of the process.
#[derive(Debug)]
pub struct Stdio {
    /// Descriptor 0.
    pub stdin: Stream,
    /// Descriptor 1.
    pub stdout: Stream,
    /// Descriptor 2.
    pub stderr: Stream,
}

/// Where one of the three goes.
#[derive(Debug)]
pub enum Stream {
    /// To where the caller's own goes.
    Inherit,
    /// To `/dev/null`.
    Null,
    /// To this terminal, which becomes the process's controlling terminal and is given to the
    /// container's user.
    Terminal(OwnedFd),
    /// To this descriptor. A pipe is given to the container's user, so that it can be opened
    /// again through `/dev/stdout`.
    Fd(OwnedFd),
}
