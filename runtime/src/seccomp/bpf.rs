//! From rules to a classic BPF program (Documentation/userspace-api/seccomp_filter.rst).
//!
//! The number of the call is found by binary search over ranges with the same answer, so a call
//! costs some eight comparisons, not one for each of the profile's four hundred names.

use super::syscalls::{self, Numbers};
use super::{Action, Arch, Profile, Rule, SeccompComparison, SeccompCondition, Test};

/// `struct sock_filter` of `linux/filter.h`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// Operation.
    pub(crate) code: u16,
    /// How many instructions to skip if true.
    pub(crate) jt: u8,
    /// How many instructions to skip if false.
    pub(crate) jf: u8,
    /// Operand.
    pub(crate) k: u32,
}

/// The longest program that the kernel takes, BPF_MAXINSNS.
const LONGEST: usize = 4096;

// Operations: BPF_LD|BPF_W|BPF_ABS, BPF_ALU|BPF_AND|BPF_K, BPF_JMP with JA, JEQ and JGE, BPF_RET.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_GREATER: u16 = 0x25;
const JUMP_IF_GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;

// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Numbers from here on are of the x32 ABI, which shares x86-64's architecture number.
const X32: u32 = 0x4000_0000;

/// The most conditions of one answer: what they skip has to be in reach of a conditional jump.
const MOST_CONDITIONS: usize = 30;

const ENOSYS: Action = Action::Errno(libc::ENOSYS as u16);

/// One program for all the architectures. Calls of any other, and of x32, get ENOSYS. Nothing
/// when no architecture is given or the program would be longer than the kernel takes.
pub(super) fn compile(profile: &Profile, archs: &[Arch]) -> Option<Vec<Instruction>> {
    // Looked up once for all architectures: it is what most of the time goes into.
    let is_short = |(conditions, _): &(Vec<_>, _)| conditions.len() <= MOST_CONDITIONS;
    if !profile.rules.iter().all(|(_, rule)| rule.conditions.iter().all(is_short)) {
        return None;
    }
    let rules: Vec<(&Numbers, &Rule)> = profile
        .rules
        .iter()
        .filter_map(|(name, rule)| Some((syscalls::numbers(name)?, rule)))
        .collect();
    let mut program = vec![load(ARCHITECTURE)];
    for arch in archs {
        let ranges = ranges(&rules, *arch, profile);
        let block = block(&ranges, *arch);
        program.push(jump(JUMP_IF_EQUAL, arch.audit_number(), 1, 0));
        program.push(jump(JUMP, block.len() as u32, 0, 0));
        program.extend(block);
    }
    program.push(answer(ENOSYS));
    (!archs.is_empty() && program.len() <= LONGEST).then_some(program)
}

/// Calls of one architecture.
fn block(ranges: &[Range], arch: Arch) -> Vec<Instruction> {
    let mut block = vec![load(NUMBER)];
    if arch == Arch::X86_64 {
        block.push(jump(JUMP_IF_GREATER_OR_EQUAL, X32, 0, 1));
        block.push(answer(ENOSYS));
    }
    block.extend(search(ranges));
    block
}

/// A rule and the first number it holds for. It holds up to the next range.
type Range = (u32, Rule);

/// The rules in order of their numbers, without gaps, neighbours with the same rule joined.
fn ranges(rules: &[(&Numbers, &Rule)], arch: Arch, profile: &Profile) -> Vec<Range> {
    let mut known: Vec<(u32, &Rule)> =
        rules.iter().filter_map(|(numbers, rule)| Some((numbers.of(arch)?, *rule))).collect();
    // A stable sort, so that of several rules the last one comes last.
    known.sort_by_key(|(number, _)| *number);
    let number_after = |index: usize| known.get(index + 1).map(|(next, _)| *next);

    let others = Rule::always(profile.others);
    let newer = Rule::always(profile.newer);
    let mut ranges: Vec<Range> = Vec::new();
    let mut push = |start: u32, rule: &Rule| {
        if ranges.last().is_none_or(|(_, last)| last != rule) {
            ranges.push((start, rule.clone()));
        }
    };
    let mut next = 0;
    for (index, (number, rule)) in known.iter().enumerate() {
        if number_after(index) == Some(*number) {
            continue;
        }
        if next < *number {
            push(next, &others);
        }
        push(*number, rule);
        next = number + 1;
    }
    push(next, &newer);
    ranges
}

/// Finds the range of the number in the accumulator.
fn search(ranges: &[Range]) -> Vec<Instruction> {
    if let [(_, rule)] = ranges {
        return decide(rule);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let Some((start, _)) = high.first() else { return Vec::new() };
    let (below, above) = (search(low), search(high));
    let mut found = match u8::try_from(below.len()) {
        Ok(skip) => vec![jump(JUMP_IF_GREATER_OR_EQUAL, *start, skip, 0)],
        // A conditional jump reaches 255 instructions.
        Err(_) => {
            vec![jump(JUMP_IF_GREATER_OR_EQUAL, *start, 0, 1), jump(JUMP, below.len() as u32, 0, 0)]
        }
    };
    found.extend(below);
    found.extend(above);
    found
}

/// Answers by the arguments.
fn decide(rule: &Rule) -> Vec<Instruction> {
    let mut found = Vec::new();
    for (conditions, action) in &rule.conditions {
        // From behind: each has to know how much to skip where it does not hold.
        let mut rest = vec![answer(*action)];
        for condition in conditions.iter().rev() {
            let mut block = ask(condition, rest.len() as u8);
            block.append(&mut rest);
            rest = block;
        }
        found.append(&mut rest);
    }
    for (Test { argument, mask, value }, action) in &rule.cases {
        found.push(load(ARGUMENTS + 8 * u32::from(*argument)));
        if *mask != u32::MAX {
            found.push(jump(AND, *mask, 0, 0));
        }
        found.push(jump(JUMP_IF_EQUAL, *value, 0, 1));
        found.push(answer(*action));
    }
    found.push(answer(rule.otherwise));
    found
}

/// Goes on with the next instruction if a condition holds, and else skips so many behind its own.
fn ask(condition: &SeccompCondition, skip: u8) -> Vec<Instruction> {
    let place = ARGUMENTS + 8 * u32::from(condition.argument);
    let (low, high) = (load(place), load(place + 4));
    let (below, above) = (condition.value as u32, (condition.value >> 32) as u32);
    // `holds` and `fails` of the lower half, where the upper halves are the same.
    let ordered = |larger: [u8; 2], last: Instruction| {
        vec![
            high,
            jump(JUMP_IF_GREATER, above, larger[0], 0),
            jump(JUMP_IF_EQUAL, above, 0, larger[1]),
            low,
            last,
        ]
    };
    // Where a larger argument is meant, that ends the question with yes, a smaller one with no.
    let (more, less) = ([3, 2 + skip], [3 + skip, 2]);
    match condition.comparison {
        SeccompComparison::Equal => vec![
            high,
            jump(JUMP_IF_EQUAL, above, 0, 2 + skip),
            low,
            jump(JUMP_IF_EQUAL, below, 0, skip),
        ],
        SeccompComparison::NotEqual => {
            vec![high, jump(JUMP_IF_EQUAL, above, 0, 2), low, jump(JUMP_IF_EQUAL, below, skip, 0)]
        }
        SeccompComparison::Greater => ordered(more, jump(JUMP_IF_GREATER, below, 0, skip)),
        SeccompComparison::GreaterOrEqual => {
            ordered(more, jump(JUMP_IF_GREATER_OR_EQUAL, below, 0, skip))
        }
        SeccompComparison::Less => ordered(less, jump(JUMP_IF_GREATER_OR_EQUAL, below, skip, 0)),
        SeccompComparison::LessOrEqual => ordered(less, jump(JUMP_IF_GREATER, below, skip, 0)),
        SeccompComparison::MaskedEqual(mask) => vec![
            high,
            jump(AND, (mask >> 32) as u32, 0, 0),
            jump(JUMP_IF_EQUAL, above, 0, 3 + skip),
            low,
            jump(AND, mask as u32, 0, 0),
            jump(JUMP_IF_EQUAL, below, 0, skip),
        ],
    }
}

fn load(offset: u32) -> Instruction {
    Instruction { code: LOAD, jt: 0, jf: 0, k: offset }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

fn answer(action: Action) -> Instruction {
    let k = match action {
        Action::Allow => 0x7fff_0000,
        Action::Errno(errno) => 0x0005_0000 | u32::from(errno),
        Action::Log => 0x7ffc_0000,
        Action::Trap => 0x0003_0000,
        Action::Trace(number) => 0x7ff0_0000 | u32::from(number),
        Action::KillThread => 0,
        Action::KillProcess => 0x8000_0000,
    };
    Instruction { code: RETURN, jt: 0, jf: 0, k }
}
