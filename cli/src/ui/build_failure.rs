//! How a failed build is shown: the log's tail, the place in the Dockerfile, what is wrong there.

use std::fmt::Write as _;

use builder::diagnostic::{Diagnostic, render};
use builder::syntax::Source;
use builder::{BuildError, StepCause};

use crate::error::chain;

/// The text that stands before the error line.
pub(crate) fn text(source: &Source, error: &BuildError) -> String {
    let mut out = String::new();
    match error {
        BuildError::Diagnostics(diagnostics) => {
            for diagnostic in diagnostics {
                out += &render(source, diagnostic, true);
                out.push('\n');
            }
        }
        BuildError::Step(step) => {
            if !step.log_tail.is_empty() {
                let _ = writeln!(out, "------\n > {}:", step.name);
                out += String::from_utf8_lossy(&step.log_tail).trim_end();
                out += "\n------\n";
            }
            let mut diagnostic = Diagnostic::error(step.span, chain(step));
            if let Some(advice) = advice(&step.cause) {
                diagnostic = diagnostic.help(advice);
            }
            out += &render(source, &diagnostic, true);
            out.push('\n');
        }
        BuildError::Image { span, .. } => {
            out += &render(source, &Diagnostic::error(*span, chain(error)), true);
            out.push('\n');
        }
        _ => {}
    }
    out
}

/// The option that would have helped.
fn advice(cause: &StepCause) -> Option<String> {
    match cause {
        StepCause::NoSecret { id, .. } => Some(format!("give it with `--secret id={id},src=FILE`")),
        StepCause::NoAgent { id, .. } => Some(format!("give it with `--ssh {id}[=SOCKET]`")),
        StepCause::NoDevice { .. } => {
            Some("the files in /etc/cdi and /var/run/cdi describe devices".to_owned())
        }
        StepCause::DeviceNotAllowed { name, .. } => {
            Some(format!("allow it with `--allow device={name}`"))
        }
        _ => None,
    }
}
