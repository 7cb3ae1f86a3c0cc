//! Build checks: what is doubtful in a Dockerfile that builds.
//!
//! One file per rule below `rules`; the table [`RULES`] lists them. A rule looks at the whole
//! [`Subject`] and adds its findings to a [`Report`], which drops what the file's `check`
//! directive, the build argument of the same meaning and the comments above instructions skip.

mod config;
mod finding;
mod lines;
mod outline;
mod remember;
mod rules;
pub mod show;
mod stages;
mod subject;
mod suggest;
mod targets;
mod walk;

use crate::build::read_ignore;
use crate::error::BuildError;
use crate::images::BaseImages;
use crate::lower::certain_errors;
use crate::request::BuildRequest;
use crate::stage::{Parsed, parse};

use config::Config;
use finding::Report;
use stages::Stages;
use subject::Subject;

pub use finding::Finding;
pub use lines::{LineRange, error_lines};
pub use outline::{Outline, OutlineArgument, OutlineMount, outline};
pub use rules::{RULES, Rule};
pub use targets::{Target, targets};

pub(crate) use remember::Remembered;

/// The build argument that stands above the file's `check` directive.
const BUILD_ARGUMENT: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// What the checks say of a file.
#[derive(Debug)]
pub struct Checked {
    /// The findings, in the order in which a build comes to them; not more than a thousand.
    pub findings: Vec<Finding>,
    /// Whether the file asks for findings to be errors.
    pub is_error: bool,
    /// Why the file cannot be built, where that is known without running anything.
    pub failure: Option<BuildError>,
}

impl Checked {
    /// The names of the rules that found something, each once, sorted; nothing if findings are
    /// no errors.
    pub fn violated(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = match self.is_error {
            true => self.findings.iter().map(|finding| finding.rule.name).collect(),
            false => Vec::new(),
        };
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Which stages the rules about instructions look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All of them, unless the request names a target.
    All,
    /// Those that the target is made from.
    Target,
}

/// Checks the Dockerfile of `request` without building it. Where no target is named, stages
/// that a build would not reach are checked, too.
///
/// What cannot be read cannot be checked: the failure is then all that is known.
pub fn check(request: &BuildRequest, images: &dyn BaseImages) -> Checked {
    let parsed = parse(&request.dockerfile);
    let checked = match parsed.has_errors() {
        true => Err(BuildError::Diagnostics(certain_errors(request, parsed))),
        false => check_parsed(request, &parsed, images, Reach::All),
    };
    checked.unwrap_or_else(|failure| Checked {
        findings: Vec::new(),
        is_error: false,
        failure: Some(failure),
    })
}

/// Checks what has been parsed without errors.
///
/// # Errors
/// If the ignore file or the check options cannot be read.
pub(crate) fn check_parsed(
    request: &BuildRequest,
    parsed: &Parsed,
    images: &dyn BaseImages,
    reach: Reach,
) -> Result<Checked, BuildError> {
    let config = Config::of(request, &parsed.dockerfile.directives)?;
    let is_error = config.is_error;
    let ignore = read_ignore(request.ignore())?;
    let (stages, failure) = Stages::resolve(request, &parsed.dockerfile, images, reach);
    let subject = Subject::new(request, parsed, ignore, stages);
    let mut report = Report::new(config, &request.dockerfile);
    for rule in RULES {
        (rule.find)(&subject, &mut report);
    }
    Ok(Checked { findings: report.into_findings(), is_error, failure })
}
