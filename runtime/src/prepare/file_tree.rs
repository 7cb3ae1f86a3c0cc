//! The part of a plan that puts the container's file tree together.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountPropagationFlags, OpenTreeFlags};

use super::{fake_ids, string};
use crate::cgroup::Legacy;
use crate::device::{self, Devices};
use crate::error::Error;
use crate::plan::{Attach, EMPTY, Handle, Mask, OLD, Plan, Source, Step};
use crate::root_tree::{Kind, RootTree};
use crate::spec::{
    BindFlags, FileContent, Mount, MountSource, Propagation, ProvidedFile, Rootfs, SystemPaths,
    Tmpfs,
};
use crate::stub::Stubs;
use crate::{sys, system_path};

/// The parts of a specification that concern files.
pub(super) struct Request {
    pub(super) rootfs: Rootfs,
    pub(super) read_only: bool,
    pub(super) mounts: Vec<Mount>,
    pub(super) files: Vec<ProvidedFile>,
    pub(super) system_paths: SystemPaths,
    /// Kernel settings to write.
    pub(super) settings: Vec<Step>,
    /// What is at /dev/shm; something new if there is nothing.
    pub(super) shared_memory: Option<OwnedFd>,
    pub(super) fake_ids: bool,
}

/// nosuid, nodev, noexec.
const INERT: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);
const READ_ONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;

/// Adds the steps, and makes the mount points. When that fails, they are removed again.
pub(super) fn plan(plan: &mut Plan, request: Request) -> Result<Stubs, Error> {
    let root = match request.rootfs {
        Rootfs::Mount(tree) => private(tree)
            .map_err(|errno| Error::setup("make the root file system private", errno))?,
        Rootfs::Path(path) => bind(&path)?,
        Rootfs::Chroot(_) => return Err(Error::NeedsNamespaces { what: "a mount".into() }),
    };
    let mut mounts = request.mounts;
    let shared_memory = match request.shared_memory {
        Some(tree) => Some(tree),
        None => chosen_shared_memory(&mut mounts)?,
    };
    let mut files = request.files;
    if request.fake_ids {
        files.extend(fake_ids::files(root.as_fd()));
    }
    let tree = RootTree::new(root.as_fd())
        .map_err(|errno| Error::setup("keep the root file system", errno))?;
    let stow = stow()?;
    let mut builder = Builder { stow: plan.keep(stow), tree, plan, next_file: 0 };
    let root = builder.plan.keep(root);
    builder.plan.steps.push(Step::AttachRoot { tree: root, read_only: request.read_only });
    builder.plan.steps.push(Step::Stow(builder.stow));
    let result = builder
        .system(request.system_paths, shared_memory)
        .and_then(|()| builder.requested(mounts, files, request.fake_ids));
    if let Err(error) = result {
        builder.tree.into_stubs().remove();
        return Err(error);
    }
    builder.plan.steps.extend(request.settings);
    if request.system_paths == SystemPaths::Protected {
        builder.protect();
    }
    builder.plan.steps.push(Step::Pivot { stow: builder.stow });
    Ok(builder.tree.into_stubs())
}

/// The file system that is asked for in the place of the usual one at /dev/shm: it is mounted once,
/// not over another.
fn chosen_shared_memory(mounts: &mut Vec<Mount>) -> Result<Option<OwnedFd>, Error> {
    let options = |mount: &Mount| match &mount.source {
        MountSource::Tmpfs(options) if mount.target == Path::new("/dev/shm") => Some(*options),
        _ => None,
    };
    let Some(at) = mounts.iter().position(|mount| !mount.read_only && options(mount).is_some())
    else {
        return Ok(None);
    };
    let Some(options) = options(&mounts.remove(at)) else { return Ok(None) };
    let made = device::shared_memory_with(&options, attributes_of(&options));
    made.map(Some).map_err(|errno| Error::setup("make the file system of /dev/shm", errno))
}

/// A file system for what is cloned into the tree piece by piece. It is never seen as a whole.
fn stow() -> Result<OwnedFd, Error> {
    let make = || {
        // A provided file may be a program: whether it is, its mode says.
        let attributes = INERT.difference(MountAttrFlags::MOUNT_ATTR_NOEXEC);
        let tree = device::tmpfs(None, 0o755, attributes)?;
        for name in [EMPTY, OLD] {
            rustix::fs::mkdirat(&tree, name, Mode::from_raw_mode(0o755))?;
            rustix::fs::chmodat(&tree, name, Mode::from_raw_mode(0o755), AtFlags::empty())?;
        }
        Ok(tree)
    };
    make().map_err(|errno: Errno| Error::setup("make a file system for provided files", errno))
}

/// A detached clone of a path of the machine with what is mounted below it.
fn bind(path: &Path) -> Result<OwnedFd, Error> {
    clone_of(path, OpenTreeFlags::AT_RECURSIVE)
        .and_then(private)
        .map_err(|errno| Error::setup(format!("bind {}", path.display()), errno))
}

/// A detached clone that still belongs to the group of mounts that it was cloned from.
fn clone_of(path: &Path, depth: OpenTreeFlags) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | depth;
    rustix::mount::open_tree(CWD, path, flags)
}

fn bind_with(path: &Path, flags: BindFlags) -> Result<OwnedFd, Error> {
    let depth = match flags.no_submounts {
        true => OpenTreeFlags::empty(),
        false => OpenTreeFlags::AT_RECURSIVE,
    };
    let propagation = match flags.propagation {
        Propagation::Private => MountPropagationFlags::PRIVATE,
        Propagation::Slave => MountPropagationFlags::DOWNSTREAM,
        // Where it is shared, so is the clone; what is not, nothing here can share.
        Propagation::Shared => MountPropagationFlags::empty(),
    };
    let failed = |errno| Error::setup(format!("bind {}", path.display()), errno);
    let tree = clone_of(path, depth).map_err(failed)?;
    sys::set_mount(tree.as_fd(), 0, u64::from(propagation.bits())).map_err(failed)?;
    let attributes = [
        (flags.nosuid, MountAttrFlags::MOUNT_ATTR_NOSUID),
        (flags.nodev, MountAttrFlags::MOUNT_ATTR_NODEV),
        (flags.noexec, MountAttrFlags::MOUNT_ATTR_NOEXEC),
    ];
    let set: MountAttrFlags = attributes
        .into_iter()
        .filter(|(wanted, _)| *wanted)
        .map(|(_, attribute)| attribute)
        .collect();
    sys::set_mount(tree.as_fd(), u64::from(set.bits()), 0).map_err(|errno| {
        Error::setup(format!("restrict the mount of {}", path.display()), errno)
    })?;
    Ok(tree)
}

/// Cuts a tree off from what it was cloned from: what is mounted in one must not appear in the
/// other.
fn private(tree: OwnedFd) -> Result<OwnedFd, Errno> {
    sys::set_mount(tree.as_fd(), 0, u64::from(MountPropagationFlags::PRIVATE.bits()))?;
    Ok(tree)
}

struct Builder<'plan> {
    plan: &'plan mut Plan,
    tree: RootTree,
    stow: Handle,
    next_file: usize,
}

/// Something the specification asks for, in the order in which it is mounted.
enum Requested {
    Mount(Mount),
    File(ProvidedFile),
}

impl Requested {
    fn target(&self) -> &Path {
        match self {
            Self::Mount(mount) => &mount.target,
            Self::File(file) => &file.path,
        }
    }
}

impl Builder<'_> {
    /// /proc, /dev and /sys.
    fn system(&mut self, paths: SystemPaths, shared_memory: Option<OwnedFd>) -> Result<(), Error> {
        let sys_mode = match paths {
            SystemPaths::Protected => INERT | READ_ONLY,
            SystemPaths::Open => INERT,
        };
        // Where /proc or /sys of this very container is partly hidden, the kernel refuses a new
        // one that would not be; the machine's own is what is left.
        self.kernel("proc", Source::FileSystem(c"proc"), Some(c"/proc"), INERT)?;
        self.devices(shared_memory)?;
        self.kernel("sys", Source::FileSystem(c"sysfs"), Some(c"/sys"), sys_mode)?;
        self.groups(sys_mode)
    }

    /// What the container sees of control groups, in the version that the machine has them.
    fn groups(&mut self, attributes: MountAttrFlags) -> Result<(), Error> {
        let attach = |source, target| {
            let attributes = u64::from(attributes.bits());
            // A machine may have none.
            Step::Attach(Attach { source, fallback: None, target, attributes, optional: true })
        };
        // Where it cannot be said which there are, there are none.
        let legacy = crate::cgroup::legacy().unwrap_or_default();
        if legacy.is_empty() {
            let source = Source::FileSystem(c"cgroup2");
            self.plan.steps.push(attach(source, c"sys/fs/cgroup".into()));
            return Ok(());
        }
        let tree = groups_directory(&legacy)
            .map_err(|errno| Error::setup("make the file system of /sys/fs/cgroup", errno))?;
        let tree = Source::Tree(self.plan.keep(tree));
        self.plan.steps.push(attach(tree, c"sys/fs/cgroup".into()));
        for Legacy { name, options } in legacy {
            let text = |text: &str| string(text.as_ref(), || format!("the group {text}"));
            let option = |option: &String| match option.split_once('=') {
                Some((name, value)) => Ok((text(name)?, Some(text(value)?))),
                None => Ok((text(option)?, None)),
            };
            let options = options.iter().map(option).collect::<Result<_, Error>>()?;
            let target = text(&format!("sys/fs/cgroup/{name}"))?;
            self.plan.steps.push(attach(Source::Groups(options), target));
        }
        Ok(())
    }

    /// A file system that the new process makes in its own namespaces.
    fn kernel(
        &mut self,
        name: &str,
        source: Source,
        fallback: Option<&std::ffi::CStr>,
        attributes: MountAttrFlags,
    ) -> Result<(), Error> {
        let place = self.tree.system_directory(&Path::new("/").join(name))?;
        self.tree.mounted_by_kernel(&place);
        self.plan.steps.push(Step::Attach(Attach {
            source,
            fallback: fallback.map(|path| Source::Host(path.into())),
            target: constant(name),
            attributes: u64::from(attributes.bits()),
            optional: false,
        }));
        Ok(())
    }

    fn devices(&mut self, shared_memory: Option<OwnedFd>) -> Result<(), Error> {
        let made = |what: &'static str| {
            move |errno: Errno| Error::setup(format!("make the file system of {what}"), errno)
        };
        let Devices { tree, borrowed } = device::devices().map_err(made("/dev"))?;
        self.tree.system_directory(Path::new("/dev"))?;
        self.place(tree, Path::new("dev"))?;
        for name in borrowed {
            self.plan.steps.push(Step::Attach(Attach {
                source: Source::Host(constant(&format!("/dev/{name}"))),
                fallback: None,
                target: constant(&format!("dev/{name}")),
                attributes: 0,
                optional: false,
            }));
        }
        self.place(device::terminals().map_err(made("/dev/pts"))?, Path::new("dev/pts"))?;
        let shared_memory = match shared_memory {
            Some(tree) => tree,
            None => device::shared_memory().map_err(made("/dev/shm"))?,
        };
        self.place(shared_memory, Path::new("dev/shm"))?;
        self.plan.steps.push(Step::Attach(Attach {
            source: Source::FileSystem(c"mqueue"),
            fallback: None,
            target: c"dev/mqueue".into(),
            attributes: u64::from(INERT.bits()),
            // A kernel may come without message queues.
            optional: true,
        }));
        Ok(())
    }

    /// Mounts and files, each after those that it may lie in.
    fn requested(
        &mut self,
        mounts: Vec<Mount>,
        files: Vec<ProvidedFile>,
        fake_ids: bool,
    ) -> Result<(), Error> {
        let mut all: Vec<Requested> = files.into_iter().map(Requested::File).collect();
        all.extend(mounts.into_iter().map(Requested::Mount));
        all.sort_by_cached_key(|one| one.target().components().count());
        for one in all {
            match one {
                Requested::Mount(mount) => self.mount(mount)?,
                Requested::File(file) => self.file(file, fake_ids)?,
            }
        }
        Ok(())
    }

    fn mount(&mut self, mount: Mount) -> Result<(), Error> {
        let target = mount.target;
        let tree = match mount.source {
            MountSource::Part { tree, path } => {
                return self.part(tree, &path, &target, mount.read_only);
            }
            MountSource::Below { directory, path } => {
                return self.part(bind(&directory)?, &path, &target, mount.read_only);
            }
            MountSource::Bind(path) | MountSource::Lend(path) => bind(&path)?,
            MountSource::BindWith(path, flags) => bind_with(&path, flags)?,
            MountSource::Tree(tree) => private(tree).map_err(|errno| {
                Error::setup(format!("make the tree for {} private", target.display()), errno)
            })?,
            MountSource::Tmpfs(options) => device::tmpfs_with(&options, attributes_of(&options))
                .map_err(|errno| {
                    Error::setup(format!("make a tmpfs for {}", target.display()), errno)
                })?,
        };
        self.tree_at(tree, &target, mount.read_only)
    }

    fn file(&mut self, file: ProvidedFile, fake_ids: bool) -> Result<(), Error> {
        let (bytes, mode, owner) = match file.content {
            FileContent::Host(path) => {
                return self.tree_at(bind(&path)?, &file.path, file.read_only);
            }
            FileContent::Bytes { bytes, mode, uid, gid } => {
                (bytes, mode, (!fake_ids).then_some((uid, gid)))
            }
        };
        let name = constant(&self.next_file.to_string());
        self.next_file += 1;
        write_file(self.plan.descriptor(self.stow), &name, &bytes, mode, owner)
            .map_err(|errno| Error::setup(format!("provide {}", file.path.display()), errno))?;
        let place = self.tree.mount_point(&file.path, Kind::File)?;
        let read_only = if file.read_only { READ_ONLY } else { MountAttrFlags::empty() };
        self.plan.steps.push(Step::Attach(Attach {
            source: Source::Within(self.stow, name),
            fallback: None,
            target: place_string(&place)?,
            attributes: u64::from(read_only.bits()),
            optional: false,
        }));
        Ok(())
    }

    /// Mounts a part of a tree. Old kernels clone only what is attached somewhere: the whole tree
    /// goes below the stowed one, where nobody in the container sees it.
    fn part(
        &mut self,
        tree: OwnedFd,
        path: &Path,
        target: &Path,
        read_only: bool,
    ) -> Result<(), Error> {
        let failed = |errno: Errno| Error::setup(format!("mount on {}", target.display()), errno);
        let tree = private(tree).map_err(failed)?;
        let entry = entry_of(tree.as_fd(), path)
            .map_err(|errno| Error::setup(format!("open /{}", path.display()), errno))?;
        let kind = kind_of(entry.as_fd()).map_err(failed)?;
        let name = self.next_file.to_string();
        self.next_file += 1;
        let stow = self.plan.descriptor(self.stow);
        rustix::fs::mkdirat(stow, name.as_str(), Mode::from_raw_mode(0o700)).map_err(failed)?;
        let place = self.tree.mount_point(target, kind)?;
        self.tree.mounted(&place, entry.as_fd()).map_err(failed)?;
        let within = place_string(&Path::new(&name).join(path))?;
        let (tree, stow, path) = (self.plan.keep(tree), self.stow, constant(&name));
        self.plan.steps.push(Step::StowBelow { tree, stow, path });
        let attributes = if read_only { READ_ONLY } else { MountAttrFlags::empty() };
        self.plan.steps.push(Step::Attach(Attach {
            source: Source::Within(self.stow, within),
            fallback: None,
            target: place_string(&place)?,
            attributes: u64::from(attributes.bits()),
            optional: false,
        }));
        Ok(())
    }

    /// Mounts a tree at a path of the container.
    fn tree_at(&mut self, tree: OwnedFd, path: &Path, read_only: bool) -> Result<(), Error> {
        let failed = |errno: Errno| Error::setup(format!("mount on {}", path.display()), errno);
        let kind = kind_of(tree.as_fd()).map_err(failed)?;
        if read_only {
            sys::set_mount(tree.as_fd(), u64::from(READ_ONLY.bits()), 0).map_err(failed)?;
        }
        let place = self.tree.mount_point(path, kind)?;
        self.place(tree, &place)
    }

    /// Mounts a tree at a place that is known to be there.
    fn place(&mut self, tree: OwnedFd, place: &Path) -> Result<(), Error> {
        self.tree
            .mounted(place, tree.as_fd())
            .map_err(|errno| Error::setup(format!("mount on /{}", place.display()), errno))?;
        let source = Source::Tree(self.plan.keep(tree));
        self.plan.steps.push(Step::Attach(Attach {
            source,
            fallback: None,
            target: place_string(place)?,
            attributes: 0,
            optional: false,
        }));
        Ok(())
    }

    /// Docker's masked and read-only paths.
    fn protect(&mut self) {
        let masked = system_path::MASKED.iter().map(|path| (*path).to_owned());
        for path in masked.chain(system_path::thermal_throttle()) {
            let mask = Mask { path: constant(&path), empty: self.stow };
            self.plan.steps.push(Step::Mask(mask));
        }
        for path in system_path::READ_ONLY {
            self.plan.steps.push(Step::ReadOnly(constant(path)));
        }
    }
}

/// A file system with a directory for each hierarchy, and links by the names of controllers that
/// share one.
fn groups_directory(legacy: &[Legacy]) -> Result<OwnedFd, Errno> {
    // As with docker it can be written to, but holds hardly more than these.
    let tree = device::tmpfs(Some(64 << 10), 0o755, INERT)?;
    for Legacy { name, options } in legacy {
        rustix::fs::mkdirat(&tree, name.as_str(), Mode::from_raw_mode(0o755))?;
        for option in options.iter().filter(|option| *option != name && !option.contains('=')) {
            rustix::fs::symlinkat(name.as_str(), &tree, option.as_str())?;
        }
    }
    Ok(tree)
}

/// One entry of a tree, found without following a symbolic link.
fn entry_of(tree: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    loop {
        match rustix::fs::openat2(tree, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
}

/// The attributes of the mount of a file system in memory.
fn attributes_of(options: &Tmpfs) -> MountAttrFlags {
    let unless = |wanted, attribute| if wanted { MountAttrFlags::empty() } else { attribute };
    unless(options.executable, MountAttrFlags::MOUNT_ATTR_NOEXEC)
        | unless(options.set_user_id, MountAttrFlags::MOUNT_ATTR_NOSUID)
        | unless(options.devices, MountAttrFlags::MOUNT_ATTR_NODEV)
}

/// What a mount point for this has to be.
fn kind_of(entry: BorrowedFd<'_>) -> Result<Kind, Errno> {
    match FileType::from_raw_mode(rustix::fs::fstat(entry)?.st_mode) {
        FileType::Directory => Ok(Kind::Directory),
        _ => Ok(Kind::File),
    }
}

/// A new file with this content. No owner is given where no other is possible.
fn write_file(
    directory: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    bytes: &[u8],
    mode: u32,
    owner: Option<(u32, u32)>,
) -> Result<(), Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o600))?;
    let mut left = bytes;
    while !left.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, left))?;
        left = left.get(written..).unwrap_or_default();
    }
    if let Some((uid, gid)) = owner.filter(|owner| *owner != (0, 0)) {
        rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))
}

/// A path that this program wrote itself.
fn constant(path: &str) -> CString {
    CString::new(path).expect("no nul byte in a constant")
}

fn place_string(place: &Path) -> Result<CString, Error> {
    string(place.as_os_str(), || format!("the path {}", PathBuf::from(place).display()))
}
