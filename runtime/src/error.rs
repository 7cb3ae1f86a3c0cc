//! What can go wrong when a container is started or watched.

use std::io;
use std::path::PathBuf;

/// Why a container could not be started or watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part of the specification can never be carried out.
    #[error("{what} contains a nul byte")]
    NulByte {
        /// Which part, for example "argument 2".
        what: String,
    },
    /// The process has no argument, so there is nothing to run.
    #[error("no command to run")]
    NoCommand,
    /// The program is in no directory of `PATH`, or is not at its path.
    #[error("exec {program:?}: executable file not found{}", if *.searched { " in $PATH" } else { "" })]
    ExecNotFound {
        /// The program as given.
        program: String,
        /// Whether `PATH` was searched for it.
        searched: bool,
    },
    /// The program exists, and this user may not execute it.
    #[error("exec {program:?}")]
    ExecPermission {
        /// The program as given.
        program: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The program is no executable for this machine, nor a script with a `#!` line.
    #[error("exec {program:?}")]
    ExecFormat {
        /// The program as given.
        program: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The program could not be executed for another reason.
    #[error("exec {program:?}")]
    Exec {
        /// The program as given.
        program: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The working directory cannot be entered.
    #[error("cannot change to the working directory {}", path.display())]
    WorkingDirectory {
        /// The directory, in the container.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The image has a symbolic link where a system directory is mounted.
    #[error("cannot mount on {}: it is a symbolic link in the image", path.display())]
    SystemDirectoryIsLink {
        /// The system directory.
        path: PathBuf,
    },
    /// A mount point cannot be found or made inside the root.
    #[error("cannot make the mount point {}", path.display())]
    MountPoint {
        /// The mount point as given.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A mount was asked for over the root itself.
    #[error("cannot mount on the root of the container")]
    MountOnRoot,
    /// This program cannot filter the system calls of this processor's architecture.
    #[error("no seccomp filter for {}", std::env::consts::ARCH)]
    NoFilter,
    /// No control group can keep a limit.
    #[error("cannot limit {limit}: no control group with the controller {controller} ({reason})")]
    NoController {
        /// What was to be limited.
        limit: &'static str,
        /// The kernel's part that does it.
        controller: &'static str,
        /// Why there is none.
        reason: String,
    },
    /// A container that is confined by chroot(2) alone cannot have it.
    #[error("{what} needs namespaces and mounts, which cannot be made here")]
    NeedsNamespaces {
        /// What was asked for.
        what: String,
    },
    /// One step of the set-up failed.
    #[error("cannot {operation}")]
    Setup {
        /// The step, as a verb with its object: "mount proc on /proc".
        operation: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The process was started, and cannot be waited for or signalled.
    #[error("cannot {operation} container process {pid}")]
    Process {
        /// What was tried.
        operation: &'static str,
        /// The process.
        pid: i32,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The new process ended before it could say whether the set-up succeeded.
    #[error("the container process ended during its set-up ({status})")]
    DiedInSetup {
        /// How it ended.
        status: &'static str,
    },
}

impl Error {
    /// A failed step of the set-up.
    pub(crate) fn setup(operation: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Setup { operation: operation.into(), source: source.into() }
    }

    /// The exit status that docker gives for it: 127 when the program is not there, 126 when it
    /// cannot be executed, 125 for all else.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::ExecNotFound { .. } => 127,
            Self::ExecPermission { .. } | Self::ExecFormat { .. } | Self::Exec { .. } => 126,
            _ => 125,
        }
    }
}
