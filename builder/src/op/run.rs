//! RUN: a process in the tree, and what it says.

mod log;

use std::ffi::OsString;
use std::os::fd::OwnedFd;

use layerfs::{Active, IdMode};
use oci::DiffId;
use runtime::user::{Accounts, Numeric, resolve};
use runtime::{
    CapabilitySet, FileContent, Mount, Network, Process, ProvidedFile, Rootfs, Seccomp, Spec,
    Stdio, Stream, SystemPaths,
};

use self::log::Log;
use super::copy::read_account_file;
use super::{MountContent, Run};
use crate::cache::{CacheKey, KeyHasher};
use crate::cancel::Cancel;
use crate::error::StepCause;
use crate::lower::SCRIPT_DIR;
use crate::progress::{Progress, StepId};
use crate::request::{NetworkMode, Sandbox};

/// The key of a command on `below`: all that its process can see, but for the proxies and the
/// files of the machine that everybody has in another form (`/etc/hosts`, `/etc/resolv.conf`),
/// and for what caches hold. `contents` is what it sees of other trees, one each.
pub(crate) fn key(op: &Run, below: &[DiffId], contents: &[CacheKey]) -> CacheKey {
    let mut hasher = KeyHasher::new("run/2");
    hasher.layers(below);
    hasher.texts(op.args.iter().map(String::as_str));
    hasher.number(op.env.iter().len() as u64);
    for (name, value) in op.env.iter() {
        hasher.text(name);
        hasher.text(value);
    }
    hasher.text(&op.cwd);
    hasher.text(&op.user);
    hasher.text(op.network.as_str());
    hasher.text(&op.hostname);
    hasher.flag(op.script.is_some());
    if let Some(script) = &op.script {
        hasher.text(&script.name);
        hasher.text(&script.content);
    }
    hasher.number(op.mounts.len() as u64);
    let mut contents = contents.iter();
    for mount in &op.mounts {
        hasher.text(&mount.target);
        hasher.flag(mount.read_only);
        let of_tree = match &mount.content {
            MountContent::Tree(_) => {
                hasher.text("bind");
                true
            }
            MountContent::Cache(cache) => {
                hasher.text("cache");
                hasher.flag(cache.seed.is_some());
                cache.seed.is_some()
            }
            MountContent::Tmpfs { size } => {
                hasher.text("tmpfs");
                hasher.number(size.unwrap_or(0));
                false
            }
        };
        if of_tree {
            hasher.bytes(contents.next().map_or(&[][..], |content| &content.0[..]));
        }
    }
    hasher.optional(op.times.latest.map(|time| time.to_string()).as_deref());
    hasher.finish()
}

/// What running a command needs beside the operation.
pub(crate) struct Bench<'a> {
    /// The tree that it runs in.
    pub(crate) tree: &'a Active,
    /// What it sees of the machine.
    pub(crate) sandbox: &'a Sandbox,
    /// Which owners can be given.
    pub(crate) ids: IdMode,
    /// Whether to stop.
    pub(crate) cancel: &'a Cancel,
    /// Who hears what it says.
    pub(crate) progress: &'a dyn Progress,
    /// As what step it says so.
    pub(crate) step: StepId,
}

/// Runs the command to its end. Beside a failure stands the last that the process said.
pub(crate) fn run(
    op: &Run,
    mounts: Vec<Mount>,
    bench: &Bench<'_>,
) -> Result<(), (StepCause, Vec<u8>)> {
    let bare = |cause| (cause, Vec::new());
    let command = op.args.join(" ");
    let failed = |source| StepCause::Run { command: command.clone(), source: Box::new(source) };
    let io_failed = |source: std::io::Error| StepCause::Io { operation: "read the output", source };
    let (mut log, stdout, stderr) =
        Log::new(bench.step, bench.progress).map_err(io_failed).map_err(bare)?;
    let spec = spec(op, mounts, bench, stdout, stderr).map_err(bare)?;
    let mut container = runtime::spawn(spec).map_err(failed).map_err(bare)?;
    let finished = log.follow(&container, bench.cancel).map_err(io_failed).map_err(bare)?;
    if !finished {
        // Dropping the container ends everything in it.
        return Err(bare(StepCause::Cancelled));
    }
    let status = container.wait().map_err(failed).map_err(bare)?;
    log.finish().map_err(io_failed).map_err(bare)?;
    if status.success() {
        return Ok(());
    }
    let code = status.shell_code();
    Err((StepCause::Exit { command: command.clone(), code }, log.into_tail()))
}

fn spec(
    op: &Run,
    mounts: Vec<Mount>,
    bench: &Bench<'_>,
    stdout: OwnedFd,
    stderr: OwnedFd,
) -> Result<Spec, StepCause> {
    let root = &bench.tree.root;
    let passwd = read_account_file(root, "/etc/passwd")?;
    let group = read_account_file(root, "/etc/group")?;
    let accounts = Accounts { passwd: &passwd, group: &group };
    let user = resolve(&op.user, accounts, Numeric::GroupZero)
        .map_err(|source| StepCause::User { user: op.user.clone(), source })?;

    let mut env = op.env.clone();
    for (name, value) in op.proxies.iter() {
        env.set_default(name, value);
    }
    env.set_default("HOME", &user.home.to_string_lossy());
    let mut files = vec![
        provided("/etc/resolv.conf", FileContent::text(bench.sandbox.resolv_conf.clone())),
        provided("/etc/hosts", FileContent::text(bench.sandbox.hosts.clone())),
    ];
    // What is mounted over them hides them.
    files.retain(|file| !mounts.iter().any(|mount| file.path.starts_with(&mount.target)));
    if let Some(script) = &op.script {
        let bytes = script.content.clone().into_bytes();
        let content = FileContent::Bytes { bytes, mode: 0o755, uid: 0, gid: 0 };
        files.push(provided(&format!("{SCRIPT_DIR}/{}", script.name), content));
    }
    Ok(Spec {
        rootfs: rootfs(bench.tree)?,
        process: Process {
            args: op.args.iter().map(OsString::from).collect(),
            env: env.to_config().into_iter().map(OsString::from).collect(),
            cwd: op.cwd.clone().into(),
            user,
            umask: 0o022,
        },
        hostname: op.hostname.clone(),
        network: match op.network {
            NetworkMode::Host => Network::Host,
            NetworkMode::None => Network::None,
        },
        mounts,
        files,
        capabilities: CapabilitySet::DOCKER,
        seccomp: Seccomp::Default,
        no_new_privileges: true,
        read_only: false,
        system_paths: SystemPaths::Protected,
        // Orphans are reaped, and a build that is killed leaves no process, whatever programs do.
        init: true,
        fake_ids: bench.ids == IdMode::Single,
        stdio: Stdio {
            stdin: Stream::Null,
            stdout: Stream::Fd(stdout),
            stderr: Stream::Fd(stderr),
        },
    })
}

fn rootfs(tree: &Active) -> Result<Rootfs, StepCause> {
    match &tree.mount {
        Some(mount) => {
            let mount = mount.try_clone().map_err(|source| StepCause::Io {
                operation: "hand the tree to the process",
                source,
            })?;
            Ok(Rootfs::Mount(mount))
        }
        None => Ok(Rootfs::Path(tree.place.upper.clone())),
    }
}

fn provided(path: &str, content: FileContent) -> ProvidedFile {
    ProvidedFile { path: path.into(), content, read_only: false }
}
