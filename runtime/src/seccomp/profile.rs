//! Docker's default profile, as data (github.com/moby/profiles, `seccomp/default.json`).

use super::{Action, Profile, Rule, Test};
use crate::capability::CapabilitySet;

const EPERM: Action = Action::Errno(libc::EPERM as u16);
const ENOSYS: Action = Action::Errno(libc::ENOSYS as u16);
/// Success, and nothing was done.
const FAKED: Action = Action::Errno(0);
/// Every bit of an argument.
const WHOLE: u32 = u32::MAX;

/// The profile for a container with these capabilities.
pub(super) fn docker(capabilities: CapabilitySet) -> Profile {
    let allow = |name: &&'static str| (*name, Rule::always(Action::Allow));
    let mut rules: Vec<(&str, Rule)> = ALLOWED.iter().map(allow).collect();
    rules.push(("socket", socket()));
    rules.push(("personality", personality()));
    rules.push(("clone", clone()));
    rules.push(("clone3", Rule::always(ENOSYS)));
    // Docker lets control groups keep containers from the machine's devices; so does who cannot
    // make their nodes.
    rules.extend([("mknod", mknod(1)), ("mknodat", mknod(2))]);
    for (capability, names) in ALLOWED_WITH {
        if capability.parse().is_ok_and(|capability| capabilities.contains(capability)) {
            rules.extend(names.iter().map(allow));
        }
    }
    Profile { rules, others: EPERM, newer: ENOSYS }
}

/// A profile that refuses nothing.
pub(super) fn allow_all() -> Profile {
    Profile { rules: Vec::new(), others: Action::Allow, newer: Action::Allow }
}

/// Lets changes of owner and identity succeed without happening. FIFOs, sockets and plain files
/// are still made by mknod; devices are not.
pub(super) fn fake_ids(profile: &mut Profile) {
    for name in FAKED_CALLS {
        profile.rules.push((name, Rule::always(FAKED)));
    }
    for (name, argument) in [("mknod", 1), ("mknodat", 2)] {
        let is = |kind| (Test { argument, mask: libc::S_IFMT, value: kind }, FAKED);
        let cases = vec![is(libc::S_IFCHR), is(libc::S_IFBLK)];
        profile.rules.push((name, Rule::cases(cases, Action::Allow)));
    }
}

/// All families but AF_ALG and AF_VSOCK, both ways around namespaces.
fn socket() -> Rule {
    let family =
        |value: i32| (Test { argument: 0, mask: WHOLE, value: value.cast_unsigned() }, EPERM);
    Rule::cases(vec![family(libc::AF_ALG), family(libc::AF_VSOCK)], Action::Allow)
}

/// No block device, and of the others those that every container has, beside overlayfs's whiteouts.
/// `mode` is the number of the argument, and the device's number comes after it.
fn mknod(mode: u8) -> Rule {
    let kind = |value| (Test { argument: mode, mask: libc::S_IFMT, value }, EPERM);
    let device = |value| (Test { argument: mode + 1, mask: WHOLE, value }, Action::Allow);
    // whiteout, null, zero, full, random, urandom; tty, ptmx.
    let harmless = [0, 0x103, 0x105, 0x107, 0x108, 0x109, 0x500, 0x502].map(device);
    let mut cases = vec![kind(libc::S_IFBLK)];
    cases.extend(harmless);
    cases.push(kind(libc::S_IFCHR));
    Rule::cases(cases, Action::Allow)
}

/// PER_LINUX, PER_LINUX32, UNAME26 with either, and the question what it is.
fn personality() -> Rule {
    let allowed = |value| (Test { argument: 0, mask: WHOLE, value }, Action::Allow);
    let cases = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff].map(allowed).to_vec();
    Rule::cases(cases, EPERM)
}

/// No new namespace.
fn clone() -> Rule {
    let none = Test { argument: 0, mask: NAMESPACE_FLAGS, value: 0 };
    Rule::cases(vec![(none, Action::Allow)], EPERM)
}

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const NAMESPACE_FLAGS: u32 = 0x7e02_0000;

/// Calls that change an owner or the process's own identity.
#[rustfmt::skip]
const FAKED_CALLS: &[&str] = &[
    "chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32", "setfsgid",
    "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32",
    "setregid", "setregid32", "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid",
    "setreuid32", "setuid", "setuid32",
];

/// Allowed to every container.
#[rustfmt::skip]
const ALLOWED: &[&str] = &[
    "_llseek", "_newselect", "accept", "accept4", "access", "adjtimex", "alarm", "arch_prctl",
    "bind", "brk", "cachestat", "capget", "capset", "chdir", "chmod", "chown", "chown32",
    "clock_adjtime", "clock_adjtime64", "clock_getres", "clock_getres_time64", "clock_gettime",
    "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "close", "close_range",
    "connect", "copy_file_range", "creat", "dup", "dup2", "dup3", "epoll_create",
    "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait",
    "epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit", "exit_group",
    "faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate", "fanotify_mark",
    "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fcntl",
    "fcntl64", "fdatasync", "fgetxattr", "flistxattr", "flock", "fork", "fremovexattr",
    "fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate",
    "ftruncate64", "futex", "futex_requeue", "futex_time64", "futex_wait", "futex_waitv",
    "futex_wake", "futimesat", "get_robust_list", "get_thread_area", "getcpu", "getcwd",
    "getdents", "getdents64", "getegid", "getegid32", "geteuid", "geteuid32", "getgid",
    "getgid32", "getgroups", "getgroups32", "getitimer", "getpeername", "getpgid", "getpgrp",
    "getpid", "getppid", "getpriority", "getrandom", "getresgid", "getresgid32", "getresuid",
    "getresuid32", "getrlimit", "getrusage", "getsid", "getsockname", "getsockopt", "gettid",
    "gettimeofday", "getuid", "getuid32", "getxattr", "getxattrat", "inotify_add_watch",
    "inotify_init", "inotify_init1", "inotify_rm_watch", "io_cancel", "io_destroy",
    "io_getevents", "io_pgetevents", "io_pgetevents_time64", "io_setup", "io_submit", "ioctl",
    "ioprio_get", "ioprio_set", "ipc", "kill", "landlock_add_rule", "landlock_create_ruleset",
    "landlock_restrict_self", "lchown", "lchown32", "lgetxattr", "link", "linkat", "listen",
    "listmount", "listxattr", "listxattrat", "llistxattr", "lremovexattr", "lseek", "lsetxattr",
    "lstat", "lstat64", "madvise", "map_shadow_stack", "membarrier", "memfd_create",
    "memfd_secret", "mincore", "mkdir", "mkdirat", "mknod", "mknodat", "mlock", "mlock2",
    "mlockall", "mmap", "mmap2", "modify_ldt", "mprotect", "mq_getsetattr", "mq_notify",
    "mq_open", "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend",
    "mq_timedsend_time64", "mq_unlink", "mremap", "mseal", "msgctl", "msgget", "msgrcv",
    "msgsnd", "msync", "munlock", "munlockall", "munmap", "name_to_handle_at", "nanosleep",
    "newfstatat", "open", "openat", "openat2", "pause", "pidfd_open", "pidfd_send_signal",
    "pipe", "pipe2", "pkey_alloc", "pkey_free", "pkey_mprotect", "poll", "ppoll", "ppoll_time64",
    "prctl", "pread64", "preadv", "preadv2", "prlimit64", "process_mrelease", "process_vm_readv",
    "process_vm_writev", "pselect6", "pselect6_time64", "ptrace", "pwrite64", "pwritev",
    "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "recvfrom", "recvmmsg",
    "recvmmsg_time64", "recvmsg", "remap_file_pages", "removexattr", "removexattrat", "rename",
    "renameat", "renameat2", "restart_syscall", "rmdir", "rseq", "rt_sigaction", "rt_sigpending",
    "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
    "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sched_get_priority_max",
    "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam",
    "sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64",
    "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield",
    "seccomp", "select", "semctl", "semget", "semop", "semtimedop", "semtimedop_time64",
    "sendfile", "sendfile64", "sendmmsg", "sendmsg", "sendto", "set_robust_list",
    "set_thread_area", "set_tid_address", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32",
    "setgid", "setgid32", "setgroups", "setgroups32", "setitimer", "setpgid", "setpriority",
    "setregid", "setregid32", "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid",
    "setreuid32", "setrlimit", "setsid", "setsockopt", "setuid", "setuid32", "setxattr",
    "setxattrat", "shmat", "shmctl", "shmdt", "shmget", "shutdown", "sigaltstack", "signalfd",
    "signalfd4", "sigprocmask", "sigreturn", "socketcall", "socketpair", "splice", "stat",
    "stat64", "statfs", "statfs64", "statmount", "statx", "symlink", "symlinkat", "sync",
    "sync_file_range", "syncfs", "sysinfo", "tee", "tgkill", "time", "timer_create",
    "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime",
    "timer_settime64", "timerfd_create", "timerfd_gettime", "timerfd_gettime64",
    "timerfd_settime", "timerfd_settime64", "times", "tkill", "truncate", "truncate64",
    "ugetrlimit", "umask", "uname", "unlink", "unlinkat", "uretprobe", "utime", "utimensat",
    "utimensat_time64", "utimes", "vfork", "vmsplice", "wait4", "waitid", "waitpid", "write",
    "writev",
];

/// Allowed to a container with the capability.
#[rustfmt::skip]
const ALLOWED_WITH: &[(&str, &[&str])] = &[
    ("CAP_DAC_READ_SEARCH", &["open_by_handle_at"]),
    ("CAP_SYS_ADMIN", &[
        "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick",
        "lookup_dcookie", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "mount",
        "mount_setattr", "move_mount", "open_tree", "perf_event_open", "quotactl", "quotactl_fd",
        "setdomainname", "sethostname", "setns", "syslog", "umount", "umount2", "unshare",
    ]),
    ("CAP_SYS_BOOT", &["reboot"]),
    ("CAP_SYS_CHROOT", &["chroot"]),
    ("CAP_SYS_MODULE", &["delete_module", "finit_module", "init_module"]),
    ("CAP_SYS_PACCT", &["acct"]),
    ("CAP_SYS_PTRACE", &[
        "kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev",
        "ptrace",
    ]),
    ("CAP_SYS_RAWIO", &["ioperm", "iopl"]),
    ("CAP_SYS_TIME", &["clock_settime", "clock_settime64", "settimeofday", "stime"]),
    ("CAP_SYS_TTY_CONFIG", &["vhangup"]),
    ("CAP_SYS_NICE", &["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"]),
    ("CAP_SYSLOG", &["syslog"]),
    ("CAP_BPF", &["bpf"]),
    ("CAP_PERFMON", &["perf_event_open"]),
];
