//! `--security-opt seccomp=FILE`: a profile of somebody's own, in docker's JSON.

use std::collections::BTreeSet;

use runtime::{
    Capability, CapabilitySet, SeccompAction, SeccompComparison, SeccompCondition, SeccompProfile,
    SeccompRule,
};
use serde::Deserialize;

/// The file, as docker reads it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    default_action: String,
    default_errno_ret: Option<u16>,
    #[serde(default)]
    syscalls: Vec<Calls>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Calls {
    /// As it was written once.
    name: Option<String>,
    #[serde(default)]
    names: Vec<String>,
    action: String,
    errno_ret: Option<u16>,
    #[serde(default)]
    args: Option<Vec<Argument>>,
    #[serde(default)]
    includes: Filter,
    #[serde(default)]
    excludes: Filter,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

/// Where a rule holds.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    caps: Vec<String>,
    arches: Vec<String>,
    min_kernel: Option<String>,
}

/// The profile of a text, for a container with these capabilities.
pub(super) fn profile(text: &str, capabilities: CapabilitySet) -> Result<SeccompProfile, String> {
    let file: File = serde_json::from_str(text)
        .map_err(|error| format!("the profile cannot be read: {error}"))?;
    let mut rules = Vec::new();
    for calls in file.syscalls {
        if calls.includes.leaves_out(capabilities) || calls.excludes.matches(capabilities) {
            continue;
        }
        let action = action(&calls.action, calls.errno_ret)?;
        let names: Vec<String> = calls.names.into_iter().chain(calls.name).collect();
        for conditions in alternatives(&calls.args.unwrap_or_default())? {
            rules.push(SeccompRule { names: names.clone(), action, conditions });
        }
    }
    Ok(SeccompProfile { others: action(&file.default_action, file.default_errno_ret)?, rules })
}

fn action(name: &str, errno: Option<u16>) -> Result<SeccompAction, String> {
    let errno = errno.unwrap_or(1);
    Ok(match name {
        "SCMP_ACT_ALLOW" => SeccompAction::Allow,
        "SCMP_ACT_LOG" => SeccompAction::Log,
        "SCMP_ACT_ERRNO" => SeccompAction::Errno(errno),
        "SCMP_ACT_TRAP" => SeccompAction::Trap,
        "SCMP_ACT_TRACE" => SeccompAction::Trace(errno),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => SeccompAction::KillThread,
        "SCMP_ACT_KILL_PROCESS" => SeccompAction::KillProcess,
        other => return Err(format!("the profile's action `{other}` is not known here")),
    })
}

/// What the arguments must be; where several conditions are about one of them, runc takes each of
/// all conditions as enough.
fn alternatives(arguments: &[Argument]) -> Result<Vec<Vec<SeccompCondition>>, String> {
    let all: Vec<SeccompCondition> = arguments.iter().map(condition).collect::<Result<_, _>>()?;
    let different: BTreeSet<u8> = all.iter().map(|condition| condition.argument).collect();
    match different.len() == all.len() {
        true => Ok(vec![all]),
        false => Ok(all.into_iter().map(|condition| vec![condition]).collect()),
    }
}

fn condition(argument: &Argument) -> Result<SeccompCondition, String> {
    let Argument { index, value, value_two, op } = argument;
    let (comparison, value) = match op.as_str() {
        "SCMP_CMP_NE" => (SeccompComparison::NotEqual, *value),
        "SCMP_CMP_LT" => (SeccompComparison::Less, *value),
        "SCMP_CMP_LE" => (SeccompComparison::LessOrEqual, *value),
        "SCMP_CMP_EQ" => (SeccompComparison::Equal, *value),
        "SCMP_CMP_GE" => (SeccompComparison::GreaterOrEqual, *value),
        "SCMP_CMP_GT" => (SeccompComparison::Greater, *value),
        "SCMP_CMP_MASKED_EQ" => (SeccompComparison::MaskedEqual(*value), *value_two),
        other => return Err(format!("the profile's comparison `{other}` is not known here")),
    };
    match *index {
        0..6 => Ok(SeccompCondition { argument: *index, comparison, value }),
        _ => Err(format!("the profile asks for argument {index}; calls have 0 to 5")),
    }
}

impl Filter {
    /// Whether what this names is not all there.
    fn leaves_out(&self, capabilities: CapabilitySet) -> bool {
        let lacks = |name: &String| !has(capabilities, name);
        self.caps.iter().any(lacks)
            || !self.arches.is_empty() && !self.names_this_architecture()
            || self.min_kernel.as_deref().is_some_and(|least| !is_kernel_from(least))
    }

    /// Whether any of what this names is there.
    fn matches(&self, capabilities: CapabilitySet) -> bool {
        self.caps.iter().any(|name| has(capabilities, name))
            || self.names_this_architecture()
            || self.min_kernel.as_deref().is_some_and(is_kernel_from)
    }

    /// By Go's name for it.
    fn names_this_architecture(&self) -> bool {
        let ours = oci::Platform::host().architecture;
        self.arches.contains(&ours)
    }
}

fn has(capabilities: CapabilitySet, name: &str) -> bool {
    name.parse::<Capability>().is_ok_and(|capability| capabilities.contains(capability))
}

/// Whether the kernel is that of a version as `4.8`, or a later one.
fn is_kernel_from(least: &str) -> bool {
    let version = |text: &str| {
        let digits =
            |part: &str| part.split(|c: char| !c.is_ascii_digit()).next().map(str::to_owned);
        let mut numbers = text.split('.').map(|part| digits(part)?.parse::<u32>().ok());
        (numbers.next().flatten().unwrap_or(0), numbers.next().flatten().unwrap_or(0))
    };
    version(&rustix::system::uname().release().to_string_lossy()) >= version(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_those_that_hold_here() {
        let text = r#"{
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
            "syscalls": [
                {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
                {"name": "chmod", "action": "SCMP_ACT_ERRNO", "args": null},
                {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
                {"names": ["a"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["sparc"]}},
                {"names": ["b"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.1"}},
                {"names": ["c"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_CHOWN"]}},
                {"names": ["d"], "action": "SCMP_ACT_LOG", "includes": {"minKernel": "3.0"}, "args": [
                    {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
                    {"index": 1, "value": 7, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]},
                {"names": ["e"], "action": "SCMP_ACT_TRAP", "args": [
                    {"index": 0, "value": 1, "op": "SCMP_CMP_LT"},
                    {"index": 0, "value": 5, "op": "SCMP_CMP_GT"}]}
            ]
        }"#;
        let profile = profile(text, CapabilitySet::DOCKER).unwrap();
        assert_eq!(profile.others, SeccompAction::Errno(38));
        let shown: Vec<(String, usize)> = profile
            .rules
            .iter()
            .map(|rule| (rule.names.join(" "), rule.conditions.len()))
            .collect();
        let expected = [("read write", 0), ("chmod", 0), ("d", 2), ("e", 1), ("e", 1)];
        assert_eq!(shown, expected.map(|(names, count)| (names.to_owned(), count)));
        let masked = &profile.rules[2].conditions[1];
        assert_eq!((masked.comparison, masked.value), (SeccompComparison::MaskedEqual(7), 2));
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for text in [
            "",
            "{}",
            r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#,
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "x"}]}"#,
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"],
                "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]}"#,
        ] {
            assert!(profile(text, CapabilitySet::DOCKER).is_err(), "{text}");
        }
    }
}
