//! A profile of somebody's own, and what its conditions are as instructions.

use super::{Action, Profile, Rule};

/// A profile in place of docker's: what becomes of each system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeccompProfile {
    /// For a call of which no rule holds.
    pub others: SeccompAction,
    /// Of several that hold for a call, one with conditions goes first, and of those the first.
    pub rules: Vec<SeccompRule>,
}

/// What becomes of some calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeccompRule {
    /// Their names. One that this program does not know is passed over.
    pub names: Vec<String>,
    /// What becomes of them.
    pub action: SeccompAction,
    /// All of these must hold.
    pub conditions: Vec<SeccompCondition>,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeccompAction {
    /// It is made.
    Allow,
    /// It is made, and noted in the kernel's log.
    Log,
    /// It is not made, and returns this error.
    Errno(u16),
    /// The process gets SIGSYS.
    Trap,
    /// Who traces the process decides, and is told this number.
    Trace(u16),
    /// The thread is ended.
    KillThread,
    /// The process is ended.
    KillProcess,
}

/// What must hold of an argument of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeccompCondition {
    /// Which, from 0.
    pub argument: u8,
    /// How it is compared.
    pub comparison: SeccompComparison,
    /// With what.
    pub value: u64,
}

/// How an argument is compared, as 64 bits without a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeccompComparison {
    /// It is another.
    NotEqual,
    /// It is below.
    Less,
    /// It is below, or the same.
    LessOrEqual,
    /// It is the same.
    Equal,
    /// It is above, or the same.
    GreaterOrEqual,
    /// It is above.
    Greater,
    /// These of its bits are the same.
    MaskedEqual(u64),
}

impl From<SeccompAction> for Action {
    fn from(action: SeccompAction) -> Action {
        match action {
            SeccompAction::Allow => Action::Allow,
            SeccompAction::Log => Action::Log,
            SeccompAction::Errno(errno) => Action::Errno(errno),
            SeccompAction::Trap => Action::Trap,
            SeccompAction::Trace(number) => Action::Trace(number),
            SeccompAction::KillThread => Action::KillThread,
            SeccompAction::KillProcess => Action::KillProcess,
        }
    }
}

/// The profile as rules by name.
pub(super) fn profile(chosen: &SeccompProfile) -> Profile {
    let others = Action::from(chosen.others);
    let mut rules: Vec<(&'static str, Rule)> = Vec::new();
    for rule in &chosen.rules {
        let known = rule.names.iter().filter_map(|name| super::syscalls::numbers(name));
        for name in known.map(super::syscalls::Numbers::name) {
            let at = match rules.iter().position(|(known, _)| *known == name) {
                Some(at) => at,
                None => {
                    rules.push((name, Rule::always(others)));
                    rules.len() - 1
                }
            };
            let (_, known) = &mut rules[at];
            if rule.conditions.is_empty() {
                known.otherwise = rule.action.into();
            } else {
                known.conditions.push((rule.conditions.clone(), rule.action.into()));
            }
        }
    }
    // A program tries the newest call first and must learn that it is not there, as runc has it.
    let newer = match others {
        Action::Errno(_) => Action::Errno(libc::ENOSYS as u16),
        others => others,
    };
    Profile { rules, others, newer }
}
