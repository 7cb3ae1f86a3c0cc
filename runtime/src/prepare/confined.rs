//! The plan of a container that is confined by chroot(2) alone.
//!
//! For where neither namespaces nor mounts are to be had. Such a container has a file tree of its
//! own, the user, capabilities and system calls that it may have, and an end with all that it
//! started. It sees the network, the processes and the name of the machine. What asks for more
//! ends in an error.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::thread::CapabilitySet;

use super::{Prepared, Privileges, Undo, privileges, program, shared, streams};
use crate::cgroup::{self, Groups};
use crate::confinement::Confinement;
use crate::device;
use crate::error::Error;
use crate::fixture::{Fixtures, Looks};
use crate::plan::{Plan, Step};
use crate::root_tree::{Kind, RootTree};
use crate::spec::{
    Chroot, FileContent, Join, Mount, MountSource, Namespace, Network, Process, ProvidedFile,
    Rootfs, Spec, Stdio, Tmpfs,
};
use crate::window::{self, Window};

/// Makes the plan, and puts into the root what it asks for. When that fails, nothing is left.
pub(super) fn prepare(spec: Spec) -> Result<Prepared, Error> {
    refuse(&spec)?;
    let mut groups = Groups::with(&spec.limits)?;
    let joins = groups.as_mut().map(Groups::joins).unwrap_or_default();
    let (mut plan, privileges) = begin(
        &spec.process,
        joins,
        spec.stdio,
        &Privileges {
            user: &spec.process.user,
            capabilities: spec.capabilities,
            seccomp: spec.seccomp,
            no_new_privileges: spec.no_new_privileges,
            fake_ids: spec.fake_ids,
            init: spec.init,
        },
    )?;
    let Rootfs::Chroot(chroot) = spec.rootfs else {
        return Err(Error::NeedsNamespaces { what: "the root file system".into() });
    };
    let confinement = Confinement::new(chroot.directory.as_fd())
        .map_err(|error| Error::setup("keep the root file system", error))?;
    let undo = furnish(&chroot, spec.mounts, spec.files, spec.fake_ids)?;
    match end(&mut plan, &confinement, &spec.process, privileges) {
        Ok(window) => Ok(Prepared {
            window,
            confinement: Some(confinement),
            ..Prepared::plain(plan, undo, groups)
        }),
        Err(error) => {
            undo.now();
            Err(error)
        }
    }
}

/// Makes the plan of a process that joins such a container.
pub(super) fn prepare_join(confinement: &Arc<Confinement>, spec: Join) -> Result<Prepared, Error> {
    let guest =
        confinement.enter().ok_or(Error::DiedInSetup { status: "the container has ended" })?;
    let mut joins = Vec::new();
    for directory in &spec.groups {
        joins.push(cgroup::entrance(directory)?);
    }
    let (mut plan, privileges) = begin(
        &spec.process,
        joins,
        spec.stdio,
        &Privileges {
            user: &spec.process.user,
            capabilities: spec.capabilities,
            seccomp: spec.seccomp,
            no_new_privileges: spec.no_new_privileges,
            fake_ids: spec.fake_ids,
            init: false,
        },
    )?;
    let window = end(&mut plan, confinement, &spec.process, privileges)?;
    Ok(Prepared { window, guest: Some(guest), ..Prepared::plain(plan, Undo::default(), None) })
}

/// What comes before the root is changed, and the steps that give privileges up after it.
fn begin(
    process: &Process,
    groups: Vec<OwnedFd>,
    stdio: Stdio,
    kept: &Privileges<'_>,
) -> Result<(Plan, Vec<Step>), Error> {
    let mut plan = Plan::new(0, program::program(process)?);
    for group in groups {
        let group = plan.keep(group);
        plan.steps.push(Step::JoinGroup(group));
    }
    // The one that stays behind is there already.
    // Only with no_new_privs may who has no privileges install a filter.
    let seccomp = kept.seccomp.clone();
    let kept = Privileges { init: false, no_new_privileges: true, seccomp, ..*kept };
    let mut privileges = privileges(&kept)?;
    if !holds(CapabilitySet::SETPCAP) {
        // The set is that of who confined us.
        privileges.retain(|step| !matches!(step, Step::Bound(_)));
    }
    plan.steps.push(Step::Session);
    plan.steps.push(Step::Umask(process.umask));
    plan.steps.extend(process.limits.iter().copied().map(Step::Limit));
    streams(&mut plan, stdio, process.user.uid)?;
    shared::stay_behind(&mut plan)?;
    Ok((plan, privileges))
}

/// Changes the root, gives privileges up, and opens the window.
fn end(
    plan: &mut Plan,
    confinement: &Confinement,
    process: &Process,
    privileges: Vec<Step>,
) -> Result<Option<Window>, Error> {
    let working_directory = program::working_directory(process)?;
    let root = confinement.directory().try_clone_to_owned();
    let root = plan.keep(root.map_err(|error| Error::setup("keep the root file system", error))?);
    plan.steps.push(Step::Chroot(root));
    plan.steps.push(Step::WorkingDirectory(working_directory));
    plan.steps.extend(privileges);
    match window::window() {
        Ok(Some((opening, window))) => {
            let socket = plan.keep(opening.socket);
            plan.steps.push(Step::Window(socket, opening.program));
            Ok(Some(window))
        }
        Ok(None) => Ok(None),
        Err(errno) => Err(Error::setup("open a window to /proc", errno)),
    }
}

fn holds(capability: CapabilitySet) -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(capability))
}

/// What cannot be had.
fn refuse(spec: &Spec) -> Result<(), Error> {
    let namespaces = &spec.namespaces;
    let all = [&namespaces.processes, &namespaces.ipc, &namespaces.name];
    let what = match spec.network {
        _ if all.iter().any(|one| matches!(one, Namespace::Of(_))) => {
            "a namespace of another container"
        }
        _ if !spec.sysctls.is_empty() || spec.oom_score_adj.is_some() => "a kernel setting",
        Network::None | Network::Namespace(_) => "a network of its own",
        Network::Host if spec.read_only => "a read-only root file system",
        Network::Host => return Ok(()),
    };
    Err(Error::NeedsNamespaces { what: what.into() })
}

/// Puts into the root what the container is to find there.
fn furnish(
    chroot: &Chroot,
    mounts: Vec<Mount>,
    files: Vec<ProvidedFile>,
    fake_ids: bool,
) -> Result<Undo, Error> {
    let failed = |error| Error::setup("prepare the root file system", error);
    let root = chroot.directory.as_fd();
    let tree = RootTree::new(root).map_err(|errno| failed(errno.into()))?;
    let fixtures = Fixtures::new(root, chroot.aside.clone()).map_err(failed)?;
    let mut room = Room { tree, fixtures, fake_ids };
    let mut all: Vec<Furniture> = files.into_iter().map(Furniture::File).collect();
    all.extend(mounts.into_iter().map(Furniture::Mount));
    all.sort_by_cached_key(|one| one.target().components().count());
    let result = room.system().and_then(|()| all.into_iter().try_for_each(|one| room.place(one)));
    let undo = Undo { fixtures: Some(room.fixtures), stubs: room.tree.into_stubs() };
    match result {
        Ok(()) => Ok(undo),
        Err(error) => {
            undo.now();
            Err(error)
        }
    }
}

/// Something that is asked for.
enum Furniture {
    Mount(Mount),
    File(ProvidedFile),
}

impl Furniture {
    fn target(&self) -> &Path {
        match self {
            Self::Mount(mount) => &mount.target,
            Self::File(file) => &file.path,
        }
    }
}

struct Room {
    tree: RootTree,
    fixtures: Fixtures,
    fake_ids: bool,
}

impl Room {
    /// /dev with what every container has, and places for /proc and /sys, which stay empty.
    fn system(&mut self) -> Result<(), Error> {
        for name in ["/proc", "/sys"] {
            self.tree.system_directory(Path::new(name))?;
        }
        let place = self.tree.system_directory(Path::new("/dev"))?;
        let failed = |error| Error::setup("make /dev", error);
        let made = self.fixtures.directory(&place, Looks { mode: 0o755, owner: None });
        device::fill(made.map_err(failed)?.as_fd()).map_err(|errno| failed(errno.into()))
    }

    fn place(&mut self, one: Furniture) -> Result<(), Error> {
        match one {
            Furniture::File(file) => self.file(file),
            Furniture::Mount(mount) => self.mount(mount),
        }
    }

    fn file(&mut self, file: ProvidedFile) -> Result<(), Error> {
        let place = self.tree.mount_point(&file.path, Kind::File)?;
        let made = match file.content {
            FileContent::Host(path) => self.fixtures.copy(&place, &path),
            FileContent::Bytes { bytes, mode, uid, gid } => {
                let owner = (!self.fake_ids).then_some((uid, gid));
                self.fixtures.file(&place, &bytes, Looks { mode, owner })
            }
        };
        made.map_err(|error| Error::setup(format!("provide {}", file.path.display()), error))
    }

    fn mount(&mut self, mount: Mount) -> Result<(), Error> {
        let Mount { target, source, .. } = mount;
        let failed =
            |error: io::Error| Error::setup(format!("provide {}", target.display()), error);
        let made = match source {
            MountSource::Lend(path) => {
                let place = self.tree.mount_point(&target, kind_of(&path).map_err(failed)?)?;
                self.fixtures.lend(&place, &path)
            }
            MountSource::Tmpfs(options) => {
                let place = self.tree.mount_point(&target, Kind::Directory)?;
                let looks = self.looks_of(&options);
                self.fixtures.directory(&place, looks).map(drop)
            }
            MountSource::Bind(path) if is_device(&path) => {
                let place = self.tree.mount_point(&target, Kind::File)?;
                self.fixtures.copy(&place, &path)
            }
            _ => {
                let what = format!("the mount on {}", target.display());
                return Err(Error::NeedsNamespaces { what });
            }
        };
        made.map_err(failed)
    }

    fn looks_of(&self, options: &Tmpfs) -> Looks {
        Looks { mode: options.mode, owner: (!self.fake_ids).then_some(options.owner) }
    }
}

fn kind_of(path: &Path) -> io::Result<Kind> {
    let is_dir = std::fs::symlink_metadata(path)?.is_dir();
    Ok(if is_dir { Kind::Directory } else { Kind::File })
}

fn is_device(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|found| {
        let kind = found.file_type();
        kind.is_char_device() || kind.is_block_device()
    })
}
