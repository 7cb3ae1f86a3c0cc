//! How a failed build is shown: the log's tail, the place in the Dockerfile, what is wrong there.

use std::fmt::Write as _;

use builder::BuildError;
use builder::diagnostic::{Diagnostic, render};
use builder::syntax::Source;

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
            let diagnostic = Diagnostic::error(step.span, chain(step));
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
