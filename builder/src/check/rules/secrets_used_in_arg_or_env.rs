//! A variable whose name tells of a secret, which would stay in the image.

use super::{Phase, Report, Rule, Subject};
use crate::check::walk::{each_argument, walk};
use crate::instruction::Instruction;

/// Words that tell of a secret.
const SECRET: [&str; 10] = [
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "password",
    "pword",
    "passwd",
    "secret",
    "token",
];

/// Words that tell that it is none.
const HARMLESS: [&str; 3] = ["public", "file", "version"];

/// The rule.
pub(super) static RULE: Rule = Rule {
    name: "SecretsUsedInArgOrEnv",
    description: "Sensitive data should not be used in the ARG or ENV commands",
    url: "https://docs.docker.com/go/dockerfile/rule/secrets-used-in-arg-or-env/",
    is_experimental: false,
    phase: Phase::Instructions,
    find,
};

fn find(subject: &Subject<'_>, report: &mut Report) {
    walk(subject, |visit| {
        let mut check = |keyword: &str, name: &str| {
            if tells_of_secret(name) {
                let detail = format!(
                    "Do not use ARG or ENV instructions for sensitive data ({keyword} {name:?})"
                );
                report.add(&RULE, visit.place, detail);
            }
        };
        match visit.instruction {
            Instruction::Arg(arg) => each_argument(subject, &visit.state.env, arg, |declared| {
                check("ARG", &declared.definition.name.text);
            }),
            Instruction::Env(env) => {
                for pair in &env.variables {
                    if let Some(name) = subject.expand(&pair.key, &visit.state.env) {
                        check("ENV", &name.text);
                    }
                }
            }
            _ => {}
        }
    });
}

/// Whether one of the words between underscores says so and none that it is harmless.
fn tells_of_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let says = |words: &[&str]| name.split('_').any(|word| words.contains(&word));
    says(&SECRET) && !says(&HARMLESS)
}
