//! The filter, run over an interpreter of its instructions.

use std::collections::BTreeMap;

use super::*;
use crate::capability::Capability;

const ALLOW: u32 = 0x7fff_0000;

fn errno(errno: i32) -> u32 {
    0x0005_0000 | errno.cast_unsigned()
}

fn number(name: &str, arch: Arch) -> Option<u32> {
    syscalls::numbers(name)?.of(arch)
}

/// What the kernel would do with a call.
fn run(program: &[Instruction], arch: Arch, number: u32, args: &[u64]) -> u32 {
    let mut data = [0u8; 64];
    data[0..4].copy_from_slice(&number.to_le_bytes());
    data[4..8].copy_from_slice(&arch.audit_number().to_le_bytes());
    for (index, arg) in args.iter().enumerate() {
        data[16 + 8 * index..24 + 8 * index].copy_from_slice(&arg.to_le_bytes());
    }
    let (mut at, mut a) = (0, 0u32);
    for _ in 0..program.len() {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let skip = |holds| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => {
                let from = k as usize;
                a = u32::from_le_bytes(data[from..from + 4].try_into().unwrap());
            }
            0x54 => a &= k,
            0x05 => at += k as usize,
            0x15 => at += skip(a == k),
            0x25 => at += skip(a > k),
            0x35 => at += skip(a >= k),
            0x06 => return k,
            other => panic!("unknown instruction {other:#x}"),
        }
    }
    panic!("program without end")
}

fn with(names: &[&str]) -> CapabilitySet {
    names
        .iter()
        .map(|name| name.parse::<Capability>().unwrap())
        .fold(CapabilitySet::DOCKER, CapabilitySet::with)
}

fn answer(profile: &Profile, name: &str, args: &[u64]) -> u32 {
    let program = bpf::compile(profile, &[Arch::X86_64, Arch::I386]).unwrap();
    run(&program, Arch::X86_64, number(name, Arch::X86_64).unwrap(), args)
}

#[test]
fn dockers_profile_answers_like_docker() {
    let profile = profile::docker(CapabilitySet::DOCKER);
    let (eperm, enosys) = (errno(libc::EPERM), errno(libc::ENOSYS));
    let newns = u64::from(libc::CLONE_NEWNS.cast_unsigned());
    let table: &[(&str, &[u64], u32)] = &[
        ("read", &[], ALLOW),
        ("execve", &[], ALLOW),
        ("chown", &[], ALLOW),
        ("chroot", &[], ALLOW),
        ("ptrace", &[], ALLOW),
        ("mount", &[], eperm),
        ("umount2", &[], eperm),
        ("unshare", &[], eperm),
        ("setns", &[], eperm),
        ("bpf", &[], eperm),
        ("reboot", &[], eperm),
        ("init_module", &[], eperm),
        ("open_by_handle_at", &[], eperm),
        ("clone3", &[], enosys),
        ("clone", &[17], ALLOW),
        ("clone", &[newns | 17], eperm),
        ("personality", &[0], ALLOW),
        ("personality", &[0xffff_ffff], ALLOW),
        ("personality", &[0x40000], eperm),
        ("socket", &[libc::AF_INET as u64], ALLOW),
        ("socket", &[libc::AF_VSOCK as u64], eperm),
        // The kernel takes the family as 32 bits: the rest does not hide it.
        ("socket", &[1 << 32 | libc::AF_VSOCK as u64], eperm),
        ("socket", &[libc::AF_ALG as u64], eperm),
    ];
    for (name, args, expected) in table {
        assert_eq!(answer(&profile, name, args), *expected, "{name} {args:?}");
    }
    let program = bpf::compile(&profile, &[Arch::X86_64]).unwrap();
    assert_eq!(run(&program, Arch::X86_64, 250, &[]), eperm, "keyctl, which no rule names");
}

#[test]
fn capabilities_open_their_calls() {
    let profile = profile::docker(with(&["SYS_ADMIN"]));
    for name in ["mount", "unshare", "clone3", "setns"] {
        assert_eq!(answer(&profile, name, &[]), ALLOW, "{name}");
    }
    assert_eq!(answer(&profile, "clone", &[libc::CLONE_NEWUSER as u64]), ALLOW);
    let profile = profile::docker(with(&["SYS_TIME"]));
    assert_eq!(answer(&profile, "clock_settime", &[]), ALLOW);
    assert_eq!(answer(&profile, "mount", &[]), errno(libc::EPERM));
}

#[test]
fn unknown_calls_are_not_there() {
    let profile = profile::docker(CapabilitySet::DOCKER);
    let program = bpf::compile(&profile, &[Arch::X86_64, Arch::I386]).unwrap();
    let enosys = errno(libc::ENOSYS);
    assert_eq!(run(&program, Arch::X86_64, 5000, &[]), enosys);
    assert_eq!(run(&program, Arch::X86_64, 0x4000_0000, &[]), enosys, "x32");
    assert_eq!(run(&program, Arch::Aarch64, 0, &[]), enosys, "another architecture");
}

#[test]
fn thirty_two_bit_programs_have_their_own_numbers() {
    let profile = profile::docker(CapabilitySet::DOCKER);
    let program = bpf::compile(&profile, &[Arch::X86_64, Arch::I386]).unwrap();
    assert_eq!(run(&program, Arch::I386, 4, &[]), ALLOW, "write");
    assert_eq!(run(&program, Arch::I386, 21, &[]), errno(libc::EPERM), "mount");
}

#[test]
fn every_number_gets_the_answer_of_its_rule() {
    for capabilities in [CapabilitySet::NONE, CapabilitySet::DOCKER, CapabilitySet::ALL] {
        let profile = profile::docker(capabilities);
        for arch in [Arch::X86_64, Arch::I386, Arch::Aarch64] {
            let program = bpf::compile(&profile, &[arch]).unwrap();
            let mut expected: BTreeMap<u32, u32> =
                (0..400).map(|number| (number, errno(libc::EPERM))).collect();
            for (name, rule) in &profile.rules {
                if let Some(number) = number(name, arch) {
                    let action = match rule.otherwise {
                        Action::Allow => ALLOW,
                        Action::Errno(value) => errno(value.into()),
                        other => panic!("docker's profile has no {other:?}"),
                    };
                    // No case holds for a first argument like this one.
                    expected.insert(number, action);
                }
            }
            for (number, action) in expected {
                assert_eq!(
                    run(&program, arch, number, &[0x7ead_0000]),
                    action,
                    "{arch:?} {number}"
                );
            }
        }
    }
}

#[test]
fn faked_calls_succeed_and_do_nothing() {
    for mut profile in [profile::docker(CapabilitySet::DOCKER), profile::allow_all()] {
        profile::fake_ids(&mut profile);
        for name in ["chown", "fchownat", "setuid", "setgroups", "setresgid"] {
            assert_eq!(answer(&profile, name, &[0, 1, 2]), errno(0), "{name}");
        }
        assert_eq!(answer(&profile, "mknod", &[0, u64::from(libc::S_IFCHR | 0o600)]), errno(0));
        assert_eq!(answer(&profile, "mknod", &[0, u64::from(libc::S_IFIFO | 0o600)]), ALLOW);
    }
}

#[test]
fn only_devices_that_every_container_has_are_made() {
    let profile = profile::docker(CapabilitySet::DOCKER);
    let (file, fifo) = (libc::S_IFREG | 0o644, libc::S_IFIFO | 0o644);
    let (device, disk) = (libc::S_IFCHR | 0o666, libc::S_IFBLK | 0o666);
    for (mode, number, expected) in [
        (file, 0, ALLOW),
        (0o644, 0x801, ALLOW),
        (fifo, 0x801, ALLOW),
        (device, 0x103, ALLOW),
        (device, 0x502, ALLOW),
        (device, 0, ALLOW),
        (device, 0x101, errno(libc::EPERM)),
        (device, 0xae8, errno(libc::EPERM)),
        (disk, 0x801, errno(libc::EPERM)),
        (disk, 0x103, errno(libc::EPERM)),
    ] {
        let (mode, number) = (u64::from(mode), number);
        assert_eq!(answer(&profile, "mknod", &[0, mode, number]), expected, "{mode:o} {number:x}");
        assert_eq!(answer(&profile, "mknodat", &[0, 0, mode, number]), expected, "{mode:o}");
        // The kernel looks at no more of either than this.
        let wide = [0, mode | 0xdead_0000_0000, number | 0xbeef_0000_0000];
        assert_eq!(answer(&profile, "mknod", &wide), expected, "{mode:o} {number:x}, wide");
    }
}

#[test]
fn unconfined_has_no_program() {
    assert!(program(&Seccomp::Unconfined, CapabilitySet::DOCKER, false).unwrap().is_none());
    assert!(program(&Seccomp::Unconfined, CapabilitySet::DOCKER, true).unwrap().is_some());
}

#[test]
fn every_name_of_the_profile_is_a_call_somewhere() {
    let mut profile = profile::docker(CapabilitySet::ALL);
    profile::fake_ids(&mut profile);
    let archs = [Arch::X86_64, Arch::I386, Arch::Aarch64];
    for name in profile.rules.iter().map(|(name, _)| *name) {
        assert!(archs.iter().any(|arch| number(name, *arch).is_some()), "{name}");
    }
}

#[test]
fn conditions_compare_all_bits_of_arguments() {
    use SeccompComparison::{
        Equal, Greater, GreaterOrEqual, Less, LessOrEqual, MaskedEqual, NotEqual,
    };
    let values = [0, 1, 6, 7, 8, 1 << 32, (1 << 32) + 7, (2 << 32) + 7, u64::MAX];
    for value in values {
        let mask = (1 << 32) | 5;
        let masked = value & mask;
        let table = [
            (Equal, value),
            (NotEqual, value),
            (Greater, value),
            (GreaterOrEqual, value),
            (Less, value),
            (LessOrEqual, value),
            (MaskedEqual(mask), masked),
        ];
        let holds = |comparison, argument: u64| match comparison {
            Equal => argument == value,
            NotEqual => argument != value,
            Greater => argument > value,
            GreaterOrEqual => argument >= value,
            Less => argument < value,
            LessOrEqual => argument <= value,
            MaskedEqual(mask) => argument & mask == masked,
        };
        for (comparison, value) in table {
            let first = SeccompCondition { argument: 1, comparison, value };
            let second = SeccompCondition { argument: 0, comparison: Equal, value: 3 };
            let refuse = |conditions, errno| SeccompRule {
                names: vec!["chmod".into()],
                action: SeccompAction::Errno(errno),
                conditions,
            };
            let profile = chosen::profile(&SeccompProfile {
                others: SeccompAction::Allow,
                rules: vec![refuse(vec![first, second], 7), refuse(vec![second], 8)],
            });
            for argument in values {
                let expected = errno(if holds(comparison, argument) { 7 } else { 8 });
                let found = answer(&profile, "chmod", &[3, argument]);
                assert_eq!(found, expected, "{argument:#x} {comparison:?} {value:#x}");
                assert_eq!(answer(&profile, "chmod", &[4, argument]), ALLOW);
            }
        }
    }
}

#[test]
fn a_profile_decides_about_calls_that_dockers_does_not_name() {
    let refuse = |name: &str, action| SeccompRule {
        names: vec![name.into(), "no_call_at_all".into()],
        action,
        conditions: Vec::new(),
    };
    let profile = chosen::profile(&SeccompProfile {
        others: SeccompAction::Allow,
        rules: vec![
            refuse("kexec_load", SeccompAction::Errno(1)),
            refuse("swapon", SeccompAction::KillProcess),
            refuse("keyctl", SeccompAction::Trap),
        ],
    });
    assert_eq!(answer(&profile, "kexec_load", &[]), errno(1));
    assert_eq!(answer(&profile, "swapon", &[]), 0x8000_0000);
    assert_eq!(answer(&profile, "keyctl", &[]), 0x0003_0000);
    assert_eq!(answer(&profile, "read", &[]), ALLOW);
}
