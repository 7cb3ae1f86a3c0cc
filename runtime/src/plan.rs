//! What the new process has to do, as data.
//!
//! The process that carries a plan out can neither allocate nor lock, so everything that needs
//! either is in here already: strings with their nul, descriptors opened, programs compiled.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::thread::ThreadNameSpaceType;

use crate::capability::CapabilitySet;
use crate::seccomp::Instruction;
use crate::spec::Limit;

/// A descriptor of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handle(usize);

/// Everything that happens between the clone and the new program.
#[derive(Debug)]
pub(crate) struct Plan {
    /// `CLONE_NEW*`.
    pub(crate) namespaces: u64,
    /// The process whose process namespace the new one belongs to, in place of ours.
    pub(crate) joins: Option<Handle>,
    /// In this order; the first that fails ends the process.
    pub(crate) steps: Vec<Step>,
    /// After the last step.
    pub(crate) program: Program,
    /// What the handles stand for.
    descriptors: Vec<OwnedFd>,
}

impl Plan {
    /// A plan without steps.
    pub(crate) fn new(namespaces: u64, program: Program) -> Self {
        Self { namespaces, joins: None, steps: Vec::new(), program, descriptors: Vec::new() }
    }

    /// Keeps a descriptor for the new process.
    pub(crate) fn keep(&mut self, descriptor: OwnedFd) -> Handle {
        self.descriptors.push(descriptor);
        Handle(self.descriptors.len() - 1)
    }

    /// What a handle stands for. Only a handle of this plan, before `close`.
    pub(crate) fn descriptor(&self, handle: Handle) -> BorrowedFd<'_> {
        self.descriptors[handle.0].as_fd()
    }

    /// Whether process 1 stays an init of ours.
    pub(crate) fn has_init(&self) -> bool {
        self.steps.contains(&Step::Init)
    }

    /// Whether a process stays behind that ends all the others; without it the kernel does.
    pub(crate) fn has_reaper(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Reaper(_)))
    }

    /// Whether nobody but a warden ends the container of a killed program for certain: an init
    /// never changes its user, so that the kernel's own signal is enough; and who joined ends with
    /// the init.
    pub(crate) fn needs_warden(&self) -> bool {
        !self.has_init() && !self.has_reaper() && self.joins.is_none()
    }

    /// Closes the descriptors: in the caller, once the new process has its copies. A reader of
    /// the container's output would wait for ever for the end of what the caller holds open.
    pub(crate) fn close(&mut self) {
        self.descriptors.clear();
    }
}

/// One thing to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Starts a session of its own, with a keyring of its own.
    Session,
    /// Moves to the control group of this descriptor.
    JoinGroup(Handle),
    /// Makes the groups it is in the first that it sees.
    GroupNamespace,
    /// Enters the network namespace of this descriptor.
    EnterNetwork(Handle),
    /// Enters namespaces of another process.
    Join {
        /// The process.
        process: Handle,
        /// Which of its namespaces.
        namespaces: ThreadNameSpaceType,
    },
    /// Cuts the mounts off from those of the machine.
    PrivateMounts,
    /// Attaches a tree where parts of it can be cloned: over the root, and gone with the pivot.
    Stow(Handle),
    /// Attaches a tree at a directory of the stowed one, with which it goes.
    StowBelow {
        /// The detached mount.
        tree: Handle,
        /// The stowed tree.
        stow: Handle,
        /// Path below the stowed tree.
        path: CString,
    },
    /// Attaches the tree that becomes `/`; through a read-only clone if so asked, which leaves
    /// the mount itself writable.
    AttachRoot {
        /// The detached mount.
        tree: Handle,
        /// Whether nobody in the container may write.
        read_only: bool,
    },
    /// Mounts something below the root.
    Attach(Attach),
    /// Covers a file or directory with an empty one, if it is there.
    Mask(Mask),
    /// Makes what is below a path read-only, if it is there.
    ReadOnly(CString),
    /// Writes a kernel setting below the root.
    Setting {
        /// Path below the root.
        path: CString,
        /// What is written.
        value: CString,
        /// Whether the container is nothing without it.
        required: bool,
    },
    /// Brings the loopback interface up.
    Loopback,
    /// Names the machine.
    HostName(CString),
    /// Sets the domain's name.
    DomainName(CString),
    /// Makes the attached root `/`, and detaches all that was mounted before.
    Pivot {
        /// The stowed tree, which takes the old root with it.
        stow: Handle,
    },
    /// Sets the file creation mask.
    Umask(u32),
    /// Limits what the process may use.
    Limit(Limit),
    /// Puts a descriptor at 0, 1 or 2.
    Stream {
        /// Where it goes.
        target: u8,
        /// What.
        source: Handle,
        /// Whether a pipe is given to this user.
        owner: u32,
    },
    /// Makes a terminal the session's own, and gives it to this user.
    ControllingTerminal {
        /// The terminal.
        source: Handle,
        /// The user.
        owner: u32,
    },
    /// Enters the working directory.
    WorkingDirectory(CString),
    /// Lowers the bounding set to this.
    Bound(CapabilitySet),
    /// Sets the supplementary groups.
    Groups(Vec<rustix::thread::Gid>),
    /// Sets group and user, all three of each.
    Identity {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// Sets permitted and effective capabilities to what is held of these; clears the others.
    Capabilities(CapabilitySet),
    /// Gives up ever getting more privileges.
    NoNewPrivileges,
    /// Lets nobody look into this process.
    Undumpable,
    /// Ends this process when the thread that started it ends.
    EndWithParent,
    /// Installs a system call filter.
    Filter(Vec<Instruction>),
    /// Goes on in a child, and stays behind as its init.
    Init,
    /// Goes on in a child, and stays behind to end all that it starts; with the directory of all
    /// processes.
    Reaper(Handle),
    /// Makes a directory the root.
    Chroot(Handle),
    /// Opens a window to /proc: the socket for its other side, and the filter.
    Window(Handle, Vec<Instruction>),
}

/// Something to mount below the root.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Attach {
    /// What.
    pub(crate) source: Source,
    /// What instead, when the kernel refuses the first.
    pub(crate) fallback: Option<Source>,
    /// Path below the root, without symbolic links.
    pub(crate) target: CString,
    /// `MOUNT_ATTR_*` to set; a tree that came as a whole has its own already.
    pub(crate) attributes: u64,
    /// Whether the container can do without.
    pub(crate) optional: bool,
}

/// Where a mount comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A detached tree.
    Tree(Handle),
    /// A clone of one entry of a tree that is attached already: no symbolic link is followed.
    Within(Handle, CString),
    /// A clone of a path of the machine, with what is mounted below it.
    Host(CString),
    /// A new file system, which belongs to the namespaces that it is made in.
    FileSystem(&'static CStr),
    /// The same of a hierarchy of control groups of version 1, which is known by its options.
    Groups(Vec<(CString, Option<CString>)>),
}

/// What to cover, and what with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mask {
    /// Path below the root.
    pub(crate) path: CString,
    /// A stowed tree with an empty directory `EMPTY` in it.
    pub(crate) empty: Handle,
}

/// Name of the stowed tree's empty directory that covers masked ones.
pub(crate) const EMPTY: &CStr = c"empty";
/// Name of the stowed tree's directory that the old root is mounted on before both go.
pub(crate) const OLD: &CStr = c"old";

/// What is executed in the end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// Paths to try, in order.
    pub(crate) candidates: Vec<CString>,
    /// Arguments, the program's name first.
    pub(crate) args: Pointers,
    /// Environment.
    pub(crate) env: Pointers,
}

/// Strings, and the array of pointers to them that execve(2) takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pointers {
    strings: Vec<CString>,
    /// Addresses of the strings, then 0.
    addresses: Vec<usize>,
}

impl Pointers {
    /// The array for these strings. They do not move when this value does.
    pub(crate) fn new(strings: Vec<CString>) -> Self {
        let addresses = strings.iter().map(|string| string.as_ptr().addr()).chain([0]).collect();
        Self { strings, addresses }
    }

    /// The array, ended by a null pointer.
    pub(crate) fn array(&self) -> *const *const libc::c_char {
        self.addresses.as_ptr().cast()
    }
}

impl Step {
    /// The step as a verb with its object, to stand after "cannot".
    pub(crate) fn describe(&self) -> String {
        let show = |path: &CStr| format!("/{}", path.to_string_lossy());
        match self {
            Self::Session => "start a session".into(),
            Self::EnterNetwork(_) => "enter its network".into(),
            Self::JoinGroup(_) => "join its control group".into(),
            Self::GroupNamespace => "make a namespace of control groups".into(),
            Self::Join { .. } => "enter the container's namespaces".into(),
            Self::PrivateMounts => "make the mounts private".into(),
            Self::Stow(_) | Self::StowBelow { .. } => "attach the container's files".into(),
            Self::AttachRoot { .. } => "attach the root file system".into(),
            Self::Attach(attach) => {
                format!("mount {} on {}", attach.source.describe(), show(&attach.target))
            }
            Self::Mask(mask) => format!("mask {}", show(&mask.path)),
            Self::ReadOnly(path) => format!("make {} read-only", show(path)),
            Self::Setting { path, .. } => format!("write {}", show(path)),
            Self::Loopback => "bring the loopback interface up".into(),
            Self::HostName(name) => format!("set the host name {:?}", name.to_string_lossy()),
            Self::DomainName(_) => "set the domain's name".into(),
            Self::Pivot { .. } | Self::Chroot(_) => "change to the new root".into(),
            Self::Umask(_) => "set the file creation mask".into(),
            Self::Limit(limit) => format!("limit {:?}", limit.resource),
            Self::Stream { target, .. } => format!("redirect descriptor {target}"),
            Self::ControllingTerminal { .. } => "take the terminal over".into(),
            Self::WorkingDirectory(path) => {
                format!("change to the working directory {}", path.to_string_lossy())
            }
            Self::Bound(_) => "lower the capability bounding set".into(),
            Self::Groups(_) => "set the supplementary groups".into(),
            Self::Identity { uid, gid } => format!("become user {uid} and group {gid}"),
            Self::Capabilities(_) => "set the capabilities".into(),
            Self::NoNewPrivileges => "set no_new_privs".into(),
            Self::Undumpable => "keep others from looking into the process".into(),
            Self::EndWithParent => "tie the process to its parent".into(),
            Self::Filter(_) => "install the seccomp filter".into(),
            Self::Init => "start the process below its init".into(),
            Self::Reaper(_) => "start the process below its reaper".into(),
            Self::Window(..) => "open a window to /proc".into(),
        }
    }
}

impl Source {
    fn describe(&self) -> String {
        match self {
            Self::Tree(_) => "a file tree".into(),
            Self::Within(..) => "a part of a tree".into(),
            Self::Host(path) => path.to_string_lossy().into_owned(),
            Self::FileSystem(kind) => kind.to_string_lossy().into_owned(),
            Self::Groups(_) => "cgroup".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_say_what_they_do() {
        let proc = Attach {
            source: Source::FileSystem(c"proc"),
            fallback: None,
            target: c"proc".into(),
            attributes: 0,
            optional: false,
        };
        let cases = [
            (Step::Attach(proc), "mount proc on /proc"),
            (Step::ReadOnly(c"proc/sys".into()), "make /proc/sys read-only"),
            (Step::Identity { uid: 5, gid: 6 }, "become user 5 and group 6"),
            (Step::WorkingDirectory(c"/app".into()), "change to the working directory /app"),
        ];
        for (step, expected) in cases {
            assert_eq!(step.describe(), expected);
        }
    }

    #[test]
    fn pointers_stay_valid_when_moved() {
        let pointers = Pointers::new(vec![c"a".into(), c"bc".into()]);
        let before: Vec<usize> = pointers.addresses.clone();
        let moved = Box::new(pointers);
        let now: Vec<usize> = moved.strings.iter().map(|s| s.as_ptr().addr()).collect();
        assert_eq!(before[..2], now);
        assert_eq!(before[2], 0);
    }
}
