//! Which system calls are told of: those that find a file by its path.

use crate::seccomp::{Arch, Instruction};

/// `SECCOMP_RET_USER_NOTIF` of `linux/seccomp.h`.
const TELL: u32 = 0x7fc0_0000;
/// `SECCOMP_RET_ALLOW`.
const ALLOW: u32 = 0x7fff_0000;

/// The calls.
#[cfg(target_arch = "x86_64")]
const CALLS: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
];
/// The calls.
#[cfg(not(target_arch = "x86_64"))]
const CALLS: &[libc::c_long] = &[
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
];

/// The program. Calls of another architecture are not told of. Nothing where this program does not
/// know the processor's architecture.
pub(super) fn program() -> Option<Vec<Instruction>> {
    let statement = |code, k| Instruction { code, jt: 0, jf: 0, k };
    let load = |offset| statement(0x20, offset);
    let mut program = vec![load(4)];
    program.push(Instruction {
        code: 0x15,
        jt: 1,
        jf: 0,
        k: Arch::native().first()?.audit_number(),
    });
    program.push(statement(0x06, ALLOW));
    program.push(load(0));
    for (at, call) in CALLS.iter().enumerate() {
        // To the last instruction.
        let jt = u8::try_from(CALLS.len() - at).ok()?;
        program.push(Instruction { code: 0x15, jt, jf: 0, k: u32::try_from(*call).ok()? });
    }
    program.push(statement(0x06, ALLOW));
    program.push(statement(0x06, TELL));
    Some(program)
}
