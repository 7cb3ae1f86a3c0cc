//! From a specification to a plan.

mod confined;
mod fake_ids;
mod file_tree;
mod program;
mod shared;

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::thread::{Gid, ThreadNameSpaceType};

use crate::capability::CapabilitySet;
use crate::cgroup::{self, Groups};
use crate::confinement::{Confinement, Guest};
use crate::error::Error;
use crate::fixture::Fixtures;
use crate::plan::{Plan, Step};
use crate::seccomp;
use crate::spec::{GroupsSeen, Join, Namespace, Network, Rootfs, Seccomp, Spec, Stdio, Stream};
use crate::stub::Stubs;
use crate::system_path;
use crate::user::User;
use crate::window::Window;

/// A plan, and what has to be cleared away after it.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// What the new process does.
    pub(crate) plan: Plan,
    /// What was done to the root for it.
    pub(crate) undo: Undo,
    /// The control groups that were made for it; they go when this is dropped.
    pub(crate) groups: Option<Groups>,
    /// What shows it /proc where that cannot be mounted.
    pub(crate) window: Option<Window>,
    /// What it is confined to where it has no namespaces.
    pub(crate) confinement: Option<Arc<Confinement>>,
    /// Its place among those who have joined such a container.
    pub(crate) guest: Option<Guest>,
}

impl Prepared {
    fn plain(plan: Plan, undo: Undo, groups: Option<Groups>) -> Prepared {
        Prepared { plan, undo, groups, window: None, confinement: None, guest: None }
    }
}

/// What was made in a root, to be taken away when the container has ended.
#[derive(Debug, Default)]
pub(crate) struct Undo {
    fixtures: Option<Fixtures>,
    stubs: Stubs,
}

impl Undo {
    /// Takes it away.
    pub(crate) fn now(self) {
        if let Some(fixtures) = self.fixtures {
            fixtures.remove();
        }
        // What was in the way of a fixture may be a mount point itself.
        self.stubs.remove();
    }
}

/// Makes the plan, and the mount points that it needs. When that fails nothing is left behind.
pub(crate) fn prepare(spec: Spec) -> Result<Prepared, Error> {
    if matches!(spec.rootfs, Rootfs::Chroot(_)) {
        return confined::prepare(spec);
    }
    let own_network = !matches!(spec.network, Network::Host);
    let only_loopback = matches!(spec.network, Network::None);
    let mut groups = Groups::with(&spec.limits)?;
    let namespaces = shared::new_namespaces(&spec.network, &spec.namespaces);
    let mut plan = Plan::new(namespaces, program::program(&spec.process)?);
    if let Some(groups) = &mut groups {
        for join in groups.joins() {
            let group = plan.keep(join);
            plan.steps.push(Step::JoinGroup(group));
        }
        if spec.namespaces.groups == GroupsSeen::Own {
            // What it sees of groups begins with those that it has joined by then.
            plan.namespaces &= !u64::from(libc::CLONE_NEWCGROUP.cast_unsigned());
            plan.steps.push(Step::GroupNamespace);
        }
    }
    let working_directory = program::working_directory(&spec.process)?;
    let privileges = privileges(&Privileges::of(&spec))?;
    let hostname = string(spec.hostname.as_ref(), || "the host name".into())?;
    let domain = spec.domain.as_deref();
    let domain = domain.map(|name| string(name.as_ref(), || "the domain's name".into()));
    let domain = domain.transpose()?;

    plan.steps.push(Step::Session);
    if let Network::Namespace(namespace) = spec.network {
        // Before anything is mounted: what /sys shows of networks is those of who mounts it.
        let namespace = plan.keep(namespace);
        plan.steps.push(Step::EnterNetwork(namespace));
    }
    let has_name = matches!(spec.namespaces.name, Namespace::Own);
    let is_among_all = matches!(spec.namespaces.processes, Namespace::Machine);
    let shared_memory = shared::enter(&mut plan, spec.namespaces)?;
    plan.steps.push(Step::PrivateMounts);
    let mut settings = if own_network { system_path::own_network_settings() } else { Vec::new() };
    settings.extend(shared::settings(&spec.sysctls, spec.oom_score_adj)?);
    let owner = spec.process.user.uid;
    let umask = spec.process.umask;
    let limits = spec.process.limits.iter().copied().map(Step::Limit).collect::<Vec<_>>();
    let stubs = file_tree::plan(
        &mut plan,
        file_tree::Request {
            rootfs: spec.rootfs,
            read_only: spec.read_only,
            mounts: spec.mounts,
            files: spec.files,
            system_paths: spec.system_paths,
            settings,
            shared_memory,
            fake_ids: spec.fake_ids,
        },
    )?;
    if only_loopback {
        plan.steps.push(Step::Loopback);
    }
    if has_name {
        plan.steps.push(Step::HostName(hostname));
        plan.steps.extend(domain.map(Step::DomainName));
    }
    plan.steps.push(Step::Umask(umask));
    plan.steps.extend(limits);
    let stays = if is_among_all { shared::stay_behind(&mut plan) } else { Ok(()) };
    if let Err(error) = stays.and_then(|()| streams(&mut plan, spec.stdio, owner)) {
        stubs.remove();
        return Err(error);
    }
    plan.steps.push(Step::WorkingDirectory(working_directory));
    plan.steps.extend(privileges);
    Ok(Prepared::plain(plan, Undo { fixtures: None, stubs }, groups))
}

/// Makes the plan of a process that joins a container.
pub(crate) fn prepare_join(init: BorrowedFd<'_>, pid: i32, spec: Join) -> Result<Prepared, Error> {
    if let Some(confinement) = spec.confinement.clone() {
        return confined::prepare_join(&confinement, spec);
    }
    let mut plan = Plan::new(0, program::program(&spec.process)?);
    let user = &spec.process.user;
    let privileges = privileges(&Privileges {
        user,
        capabilities: spec.capabilities,
        seccomp: spec.seccomp,
        no_new_privileges: spec.no_new_privileges,
        fake_ids: spec.fake_ids,
        init: false,
    })?;
    let process = init
        .try_clone_to_owned()
        .map_err(|error| Error::setup("keep the container's process", error))?;
    let process = plan.keep(process);
    // To enter the one that we are in may be refused.
    if namespace_number("pid", "self")? != namespace_number("pid", &pid.to_string())? {
        plan.joins = Some(process);
    }
    for directory in &spec.groups {
        let group = plan.keep(cgroup::entrance(directory)?);
        plan.steps.push(Step::JoinGroup(group));
    }
    plan.steps.push(Step::Session);
    let namespaces = namespaces_of(pid)?;
    if !namespaces.contains(ThreadNameSpaceType::MOUNT) {
        return Err(Error::NeedsNamespaces { what: "one more process in a container".into() });
    }
    plan.steps.push(Step::Join { process, namespaces });
    plan.steps.push(Step::Umask(spec.process.umask));
    plan.steps.extend(spec.process.limits.iter().copied().map(Step::Limit));
    streams(&mut plan, spec.stdio, user.uid)?;
    plan.steps.push(Step::WorkingDirectory(program::working_directory(&spec.process)?));
    plan.steps.extend(privileges);
    Ok(Prepared::plain(plan, Undo::default(), None))
}

/// The namespaces of a container's process that are not ours, its process namespace excepted. To
/// enter one that both share may be refused, as to an ordinary user the machine's network.
fn namespaces_of(pid: i32) -> Result<ThreadNameSpaceType, Error> {
    let mut found = ThreadNameSpaceType::empty();
    for (name, namespace) in [
        ("mnt", ThreadNameSpaceType::MOUNT),
        ("ipc", ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION),
        ("uts", ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME),
        ("cgroup", ThreadNameSpaceType::CONTROL_GROUP),
        ("net", ThreadNameSpaceType::NETWORK),
    ] {
        if namespace_number(name, "self")? != namespace_number(name, &pid.to_string())? {
            found |= namespace;
        }
    }
    Ok(found)
}

/// Which namespace of a kind a process is in.
fn namespace_number(kind: &str, process: &str) -> Result<Option<u64>, Error> {
    use std::os::unix::fs::MetadataExt;
    let path = format!("/proc/{process}/ns/{kind}");
    match std::fs::metadata(&path) {
        Ok(metadata) => Ok(Some(metadata.ino())),
        // This kernel has none of the kind.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::setup(format!("look at {path}"), error)),
    }
}

/// What a process may keep.
struct Privileges<'a> {
    user: &'a User,
    capabilities: CapabilitySet,
    seccomp: Seccomp,
    no_new_privileges: bool,
    fake_ids: bool,
    /// Whether an init stays behind.
    init: bool,
}

impl Privileges<'_> {
    fn of(spec: &Spec) -> Privileges<'_> {
        Privileges {
            user: &spec.process.user,
            capabilities: spec.capabilities,
            seccomp: spec.seccomp.clone(),
            no_new_privileges: spec.no_new_privileges,
            fake_ids: spec.fake_ids,
            init: spec.init,
        }
    }
}

/// The steps that give privileges up, in the only order in which each is still allowed.
fn privileges(kept: &Privileges<'_>) -> Result<Vec<Step>, Error> {
    let Privileges { user, capabilities, .. } = *kept;
    let filter = seccomp::program(&kept.seccomp, capabilities, kept.fake_ids)?.map(Step::Filter);
    let as_root = kept.fake_ids || user.uid == 0;
    let mut steps = vec![Step::Bound(capabilities)];
    if !kept.fake_ids {
        if may_set_groups()? {
            steps.push(Step::Groups(groups(user)));
        }
        steps.push(Step::Identity { uid: user.uid, gid: user.gid });
    }
    // As soon as it may do no more than the container's own processes, those might look into it.
    steps.push(Step::Undumpable);
    let held = if as_root { capabilities } else { CapabilitySet::NONE };
    steps.push(Step::Capabilities(held));
    if kept.no_new_privileges {
        steps.push(Step::NoNewPrivileges);
        steps.push(Step::EndWithParent);
        // Last, so that it restricts none of the steps before.
        steps.extend(filter);
    } else {
        // Without no_new_privs only a privileged process may install a filter.
        steps.splice(0..0, filter);
        steps.push(Step::EndWithParent);
    }
    if kept.init {
        steps.push(Step::Init);
    }
    Ok(steps)
}

/// The supplementary groups of a process: as with Docker, its own group is one of them, so that
/// it stays a member when a program of another group (setgid) runs.
fn groups(user: &User) -> Vec<Gid> {
    let others = user.additional_gids.iter().copied().filter(|gid| *gid != user.gid);
    std::iter::once(user.gid).chain(others).map(Gid::from_raw).collect()
}

/// Whether this user namespace lets anyone set supplementary groups. One made without a
/// privileged helper does not (user_namespaces(7), `/proc/PID/setgroups`).
fn may_set_groups() -> Result<bool, Error> {
    match std::fs::read("/proc/self/setgroups") {
        Ok(answer) => Ok(!answer.starts_with(b"deny")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Error::setup("read /proc/self/setgroups", error)),
    }
}

fn streams(plan: &mut Plan, stdio: Stdio, owner: u32) -> Result<(), Error> {
    for (target, stream) in [(0, stdio.stdin), (1, stdio.stdout), (2, stdio.stderr)] {
        let is_terminal = matches!(stream, Stream::Terminal(_));
        let source = match stream {
            Stream::Inherit => continue,
            Stream::Terminal(descriptor) | Stream::Fd(descriptor) => descriptor,
            Stream::Null => std::fs::File::options()
                .read(true)
                .write(true)
                .open("/dev/null")
                .map_err(|error| Error::setup("open /dev/null", error))?
                .into(),
        };
        // Above 2, so that redirecting one does not close another.
        let source = rustix::io::fcntl_dupfd_cloexec(source.as_fd(), 3)
            .map_err(|errno| Error::setup(format!("keep descriptor {target}"), errno))?;
        let source = plan.keep(source);
        plan.steps.push(Step::Stream { target, source, owner });
        if is_terminal {
            plan.steps.push(Step::ControllingTerminal { source, owner });
        }
    }
    Ok(())
}

/// A string as the kernel takes it.
fn string(text: &OsStr, what: impl FnOnce() -> String) -> Result<CString, Error> {
    CString::new(text.as_bytes()).map_err(|_| Error::NulByte { what: what() })
}

#[cfg(test)]
mod tests;
