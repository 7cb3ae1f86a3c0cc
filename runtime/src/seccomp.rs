//! The system call filter.
//!
//! `profile` says in names what Docker's default profile allows; `syscalls` has the numbers;
//! `bpf` makes one program of them. The `seccompiler` crate is not used because one of its
//! programs knows two answers and one architecture, and ends the process on any other: here a
//! call may be allowed, refused with EPERM, with ENOSYS or faked, and 32-bit programs run.

mod bpf;
mod chosen;
mod profile;
mod syscalls;

use crate::capability::CapabilitySet;
use crate::error::Error;
use crate::spec::Seccomp;

/// One instruction of a filter program, as the kernel takes it.
pub(crate) use bpf::Instruction;
pub use chosen::{SeccompAction, SeccompComparison, SeccompCondition, SeccompProfile, SeccompRule};

/// An architecture that a process can make system calls in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arch {
    X86_64,
    I386,
    Aarch64,
}

impl Arch {
    /// Those that a process on this machine can use, this program's own first. 32-bit ARM is left out: its calls get
    /// ENOSYS, so 32-bit programs do not run on aarch64.
    pub(crate) fn native() -> &'static [Self] {
        if cfg!(target_arch = "x86_64") {
            &[Self::X86_64, Self::I386]
        } else if cfg!(target_arch = "aarch64") {
            &[Self::Aarch64]
        } else {
            &[]
        }
    }

    /// `AUDIT_ARCH_*` of `linux/audit.h`.
    pub(crate) fn audit_number(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::I386 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
        }
    }
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It is made.
    Allow,
    /// It is not made, and returns this errno; 0 is success.
    Errno(u16),
    /// It is made, and noted in the kernel's log.
    Log,
    /// The process gets SIGSYS.
    Trap,
    /// Who traces the process decides.
    Trace(u16),
    /// The thread is ended.
    KillThread,
    /// The process is ended.
    KillProcess,
}

/// A question about one argument. The kernel takes each of the arguments tested here as 32 bits,
/// so the upper half is not looked at: it cannot be used to get past the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Test {
    /// Which argument, from 0.
    argument: u8,
    /// Its bits that matter.
    mask: u32,
    /// What they must be.
    value: u32,
}

/// The answer to a system call: that of the first case that holds, or else the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Looked at before the cases: all of the conditions must hold.
    conditions: Vec<(Vec<SeccompCondition>, Action)>,
    cases: Vec<(Test, Action)>,
    otherwise: Action,
}

impl Rule {
    /// The same answer whatever the arguments.
    fn always(action: Action) -> Self {
        Self::cases(Vec::new(), action)
    }

    /// An answer for each of some arguments, and one for all others.
    fn cases(cases: Vec<(Test, Action)>, otherwise: Action) -> Self {
        Self { conditions: Vec::new(), cases, otherwise }
    }
}

/// Rules by the name of the call, and the answer to all others.
#[derive(Debug)]
pub(crate) struct Profile {
    /// Of several rules for a call the last one holds.
    rules: Vec<(&'static str, Rule)>,
    /// For a call that has no rule.
    others: Action,
    /// For a call with a number above every one that has a rule. ENOSYS rather than EPERM, as
    /// runc does it: a program tries the newest call first and must learn that it is not there.
    newer: Action,
}

/// The program for these settings, or nothing when every call is allowed.
///
/// # Errors
/// On an architecture whose calls are not known here: to go on without a filter would be worse.
pub(crate) fn program(
    seccomp: &Seccomp,
    capabilities: CapabilitySet,
    fake_ids: bool,
) -> Result<Option<Vec<Instruction>>, Error> {
    let mut profile = match seccomp {
        Seccomp::Default => profile::docker(capabilities),
        Seccomp::Unconfined if fake_ids => profile::allow_all(),
        Seccomp::Unconfined => return Ok(None),
        Seccomp::Profile(chosen) => chosen::profile(chosen),
    };
    if fake_ids {
        profile::fake_ids(&mut profile);
    }
    bpf::compile(&profile, Arch::native()).map(Some).ok_or(Error::NoFilter)
}

#[cfg(test)]
mod tests;
