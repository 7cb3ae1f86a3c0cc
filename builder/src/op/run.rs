//! RUN: a process in the tree, and what it says.

mod agent;
mod device;
mod handed;
mod log;
mod privileges;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::Path;

use layerfs::{Active, COVERED, IdMode};
use oci::DiffId;
use runtime::user::{Accounts, Numeric, resolve};
use runtime::{
    Chroot, FileContent, Mount, MountSource, Namespaces, Network, Process, ProvidedFile, Rootfs,
    Spec, Stdio, Stream, Tmpfs,
};

use self::handed::Handed;
use self::log::Log;
use self::privileges::Privileges;
use super::copy::read_account_file;
use super::{MountContent, Run};
use crate::cache::{CacheKey, KeyHasher};
use crate::cancel::Cancel;
use crate::error::StepCause;
use crate::grants::Grants;
use crate::lower::SCRIPT_DIR;
use crate::progress::{Progress, StepId};
use crate::request::{NetworkMode, RunSettings, Sandbox};

pub(crate) use self::device::Device;
pub(crate) use self::handed::{Access, Agent, Secret, Wanted};

/// The key of a command on `below`: all that its process can see, but for the proxies and the
/// files of the machine that everybody has in another form (`/etc/hosts`, `/etc/resolv.conf`),
/// and for what caches and secrets hold. `contents` is what it sees of other trees, one each.
pub(crate) fn key(op: &Run, below: &[DiffId], contents: &[CacheKey]) -> CacheKey {
    let mut hasher = KeyHasher::new("run/3");
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
            MountContent::Host(_) => {
                hasher.text("host");
                false
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
    op.wanted.hash(&mut hasher);
    hasher.flag(op.insecure);
    hash_settings(&op.settings, &mut hasher);
    hasher.optional(op.times.latest.map(|time| time.to_string()).as_deref());
    hasher.finish()
}

/// Nothing where nothing was chosen.
fn hash_settings(settings: &RunSettings, hasher: &mut KeyHasher) {
    if *settings == RunSettings::default() {
        return;
    }
    let RunSettings { hosts, shm_size, limits, capabilities } = settings;
    hasher.text("settings");
    hasher.number(hosts.len() as u64);
    for (name, address) in hosts {
        hasher.text(name);
        hasher.text(&address.to_string());
    }
    hasher.optional(shm_size.map(|size| size.to_string()).as_deref());
    hasher.number(limits.len() as u64);
    for limit in limits {
        hasher.text(&format!("{limit:?}"));
    }
    if let Some(capabilities) = capabilities {
        hasher.number(capabilities.bits());
    }
}

/// `/etc/hosts` with what was chosen beside the machine's.
fn hosts(bench: &Bench<'_>, settings: &RunSettings) -> Vec<u8> {
    let mut text = bench.sandbox.hosts.clone();
    for (name, address) in &settings.hosts {
        text.extend_from_slice(format!("{address}\t{name}\n").as_bytes());
    }
    text
}

/// `/dev/shm` of the size that was chosen.
fn shared_memory(size: u64) -> Mount {
    Mount {
        target: "/dev/shm".into(),
        source: MountSource::Tmpfs(Tmpfs { size: Some(size), ..Tmpfs::default() }),
        read_only: false,
    }
}

/// What running a command needs beside the operation.
pub(crate) struct Bench<'a> {
    /// The tree that it runs in.
    pub(crate) tree: &'a Active,
    /// What it sees of the machine.
    pub(crate) sandbox: &'a Sandbox,
    /// What it gets of the machine when it asks.
    pub(crate) grants: &'a Grants,
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
    // Where nothing can be mounted, sockets are lent to the process from beside its tree.
    let sockets = bench.tree.mount.is_none().then(|| bench.tree.place.work.join("agents"));
    let sockets = sockets.as_deref();
    // Agents answer as long as the process runs.
    let mut handed = op.wanted.hand_over(bench.grants, bench.ids, sockets).map_err(bare)?;
    let spec = spec(op, mounts, &mut handed, bench, stdout, stderr).map_err(bare)?;
    let ran = runtime::run(spec, |container| log.follow(container, bench.cancel));
    let (finished, status) = ran.map_err(failed).map_err(bare)?;
    if !finished.map_err(io_failed).map_err(bare)? {
        return Err(bare(StepCause::Cancelled));
    }
    let status = status.map_err(failed).map_err(bare)?;
    log.finish().map_err(io_failed).map_err(bare)?;
    if status.success() {
        return Ok(());
    }
    let code = status.shell_code();
    Err((StepCause::Exit { command: command.clone(), code }, log.into_tail()))
}

fn spec(
    op: &Run,
    mut mounts: Vec<Mount>,
    handed: &mut Handed,
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
    mounts.append(&mut handed.mounts);
    let is_shm = |mount: &Mount| mount.target == Path::new("/dev/shm");
    if let (Some(size), false) = (op.settings.shm_size, mounts.iter().any(is_shm)) {
        mounts.push(shared_memory(size));
    }
    let mut files = vec![
        provided("/etc/resolv.conf", FileContent::text(bench.sandbox.resolv_conf.clone())),
        provided("/etc/hosts", FileContent::text(hosts(bench, &op.settings))),
    ];
    // What is mounted over them hides them.
    files.retain(|file| !mounts.iter().any(|mount| file.path.starts_with(&mount.target)));
    if let Some(script) = &op.script {
        let bytes = script.content.clone().into_bytes();
        let content = FileContent::Bytes { bytes, mode: 0o755, uid: 0, gid: 0 };
        files.push(provided(&format!("{SCRIPT_DIR}/{}", script.name), content));
    }
    files.append(&mut handed.files);
    let privileges = Privileges::of(op);
    mounts.extend(privileges.devices);
    Ok(Spec {
        rootfs: rootfs(bench)?,
        process: Process {
            args: op.args.iter().map(OsString::from).collect(),
            env: handed.environment(&env),
            cwd: op.cwd.clone().into(),
            user,
            umask: 0o022,
            limits: op.settings.limits.clone(),
        },
        hostname: op.hostname.clone(),
        domain: None,
        namespaces: Namespaces::default(),
        sysctls: Vec::new(),
        oom_score_adj: None,
        network: match op.network {
            NetworkMode::Host => Network::Host,
            NetworkMode::None => Network::None,
        },
        mounts,
        files,
        capabilities: privileges.capabilities,
        seccomp: privileges.seccomp,
        no_new_privileges: privileges.no_new_privileges,
        read_only: false,
        system_paths: privileges.system_paths,
        // Orphans are reaped, and a build that is killed leaves no process, whatever programs do.
        init: true,
        limits: bench.sandbox.limits.clone(),
        fake_ids: bench.ids == IdMode::Single,
        stdio: Stdio {
            stdin: Stream::Null,
            stdout: Stream::Fd(stdout),
            stderr: Stream::Fd(stderr),
        },
    })
}

fn rootfs(bench: &Bench<'_>) -> Result<Rootfs, StepCause> {
    let tree = bench.tree;
    match &tree.mount {
        Some(mount) => {
            let mount = mount.try_clone().map_err(|source| StepCause::Io {
                operation: "hand the tree to the process",
                source,
            })?;
            Ok(Rootfs::Mount(mount))
        }
        None if bench.sandbox.chroot => {
            let directory = tree.root.try_clone();
            let directory = directory.map_err(StepCause::store("hand the tree to the process"))?;
            let aside = tree.place.work.join(COVERED);
            Ok(Rootfs::Chroot(Chroot { directory: directory.into_fd(), aside }))
        }
        None => Ok(Rootfs::Path(tree.direct.clone())),
    }
}

fn provided(path: &str, content: FileContent) -> ProvidedFile {
    ProvidedFile { path: path.into(), content, read_only: false }
}
