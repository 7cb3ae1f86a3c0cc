//! `build --check` and `build --call`: answers about a Dockerfile instead of a build.

use std::str::FromStr;

use builder::check::show::{json, tables, text};
use builder::check::{self, Checked};
use builder::syntax::Source;
use builder::{BaseImages, BuildRequest};

use crate::error::{Failure, Outcome, chain};
use crate::ui::say_bytes;

// What `tierce build` takes to answer instead of building.
#[derive(clap::Args)]
pub(crate) struct CallArgs {
    /// Check the Dockerfile and build nothing: `--call check`
    #[arg(long)]
    check: bool,
    /// What is done with the Dockerfile: build, check, outline or targets; `,format=json` answers
    /// in JSON
    #[arg(long, value_name = "METHOD", default_value = "build", conflicts_with = "check")]
    call: Call,
}

/// A question about a Dockerfile, and the form of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    method: Method,
    is_json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Build,
    Check,
    Outline,
    Targets,
}

impl FromStr for Call {
    type Err = String;

    fn from_str(text: &str) -> Result<Call, String> {
        let (method, format) = text.split_once(',').unwrap_or((text, "format=text"));
        let method = match method {
            "build" => Method::Build,
            "check" | "lint" => Method::Check,
            "outline" => Method::Outline,
            "targets" => Method::Targets,
            other => {
                return Err(format!("`{other}` is none of build, check, outline and targets"));
            }
        };
        let is_json = match format {
            "format=json" => true,
            "format=text" => false,
            other => return Err(format!("`{other}` is neither format=text nor format=json")),
        };
        Ok(Call { method, is_json })
    }
}

impl CallArgs {
    /// What is asked for, unless it is a build.
    pub(super) fn question(&self) -> Option<Call> {
        let check = Call { method: Method::Check, is_json: false };
        let call = if self.check { check } else { self.call };
        (call.method != Method::Build).then_some(call)
    }
}

/// Answers on standard output; `path` is that of the Dockerfile as people would write it.
pub(super) fn answer(
    call: Call,
    path: &str,
    request: &BuildRequest,
    images: &dyn BaseImages,
) -> Outcome {
    let source = &request.dockerfile;
    let failed = |error| super::failure(source, &error);
    match call.method {
        Method::Build => Ok(0),
        Method::Check => report(call, path, source, check::check(request, images)),
        Method::Outline => {
            let outline = check::outline(request, images).map_err(failed)?;
            say(&match call.is_json {
                true => json::outline(&outline, source),
                false => tables::outline(&outline),
            })
        }
        Method::Targets => {
            let targets = check::targets(source).map_err(failed)?;
            say(&match call.is_json {
                true => json::targets(&targets, source),
                false => tables::targets(&targets),
            })
        }
    }
}

fn say(text: &str) -> Outcome {
    say_bytes(text.as_bytes())?;
    Ok(0)
}

/// The findings; findings and errors both make the status 1.
fn report(call: Call, path: &str, source: &Source, checked: Checked) -> Outcome {
    let violated = checked.violated();
    let error = match &checked.failure {
        Some(error) => Some(chain(error)),
        None if violated.is_empty() => None,
        None => Some(format!("lint violation found for rules: {}", violated.join(", "))),
    };
    let answer = match call.is_json {
        true => {
            let lines = checked.failure.as_ref().and_then(|e| check::error_lines(e, source));
            let failure = error.as_deref().map(|message| json::Failure { message, lines });
            json::check(&checked.findings, failure.as_ref(), source)
        }
        false => {
            let shown = text::Shown { path, source };
            text::findings(&checked.findings, &shown, error.is_some())
        }
    };
    say_bytes(answer.as_bytes())?;
    match (checked.failure, error) {
        (Some(failure), _) => Err(super::failure(source, &failure)),
        (None, Some(error)) => Err(Failure::new(error)),
        (None, None) => Ok(u8::from(!checked.findings.is_empty())),
    }
}
