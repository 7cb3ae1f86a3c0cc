//! The rules, and the table of them.

mod consistent_instruction_casing;
mod copy_ignored_file;
mod duplicate_stage_name;
mod expose_invalid_format;
mod expose_proto_casing;
mod from_as_casing;
mod from_platform_flag_const_disallowed;
mod invalid_base_image_platform;
mod invalid_default_arg_in_from;
mod invalid_definition_description;
mod json_args_recommended;
mod legacy_key_value_format;
mod maintainer_deprecated;
mod multiple_instructions_disallowed;
mod no_empty_continuation;
mod ports;
mod redundant_target_platform;
mod reserved_stage_name;
mod secrets_used_in_arg_or_env;
mod stage_name_casing;
mod undefined_arg_in_from;
mod undefined_var;
mod workdir_relative_path;

use super::finding::Report;
use super::subject::Subject;

/// Something that files should not do.
#[derive(Debug)]
pub struct Rule {
    /// The name that directives skip it by.
    pub name: &'static str,
    /// What it asks for.
    pub description: &'static str,
    /// Where it is explained; empty if nowhere.
    pub url: &'static str,
    /// Whether it is only run where it is asked for.
    pub is_experimental: bool,
    pub(super) phase: Phase,
    pub(super) find: fn(&Subject<'_>, &mut Report),
}

impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        self.name == other.name
    }
}

/// When in a build a rule is looked at, which is the order of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// While lines are joined.
    Lines,
    /// While instructions are read, one after the other.
    Parse,
    /// When the names of all stages are known.
    Names,
    /// When all keywords are known.
    Casing,
    /// When FROM is expanded without build arguments.
    Defaults,
    /// When FROM is expanded.
    From,
    /// When base images are known.
    Bases,
    /// While instructions are carried out.
    Instructions,
}

/// The name of the rule whose findings are made while the file is parsed.
pub(super) const NO_EMPTY_CONTINUATION: &str = "NoEmptyContinuation";

/// Every rule, in the order in which findings about one instruction come.
pub const RULES: &[&Rule] = &[
    &no_empty_continuation::RULE,
    &stage_name_casing::RULE,
    &from_as_casing::RULE,
    &invalid_definition_description::RULE,
    &maintainer_deprecated::RULE,
    &reserved_stage_name::RULE,
    &duplicate_stage_name::RULE,
    &consistent_instruction_casing::RULE,
    &invalid_default_arg_in_from::RULE,
    &undefined_arg_in_from::RULE,
    &redundant_target_platform::RULE,
    &from_platform_flag_const_disallowed::RULE,
    &invalid_base_image_platform::RULE,
    &undefined_var::RULE,
    &legacy_key_value_format::RULE,
    &secrets_used_in_arg_or_env::RULE,
    &multiple_instructions_disallowed::RULE,
    &json_args_recommended::RULE,
    &workdir_relative_path::RULE,
    &copy_ignored_file::RULE,
    &expose_proto_casing::RULE,
    &expose_invalid_format::RULE,
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_rule_has_a_name_of_its_own() {
        let names: HashSet<_> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!((names.len(), RULES.len()), (22, 22));
        assert!(names.contains(NO_EMPTY_CONTINUATION));
    }
}
