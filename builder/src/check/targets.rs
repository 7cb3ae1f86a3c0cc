//! The stages that a file offers to build: `--call targets`.

use std::collections::HashMap;

use crate::error::BuildError;
use crate::stage::{Dockerfile, parse};
use crate::syntax::{Comment, Source};

use super::lines::{LineRange, Lines};

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name in lower case.
    pub name: Option<String>,
    /// What the comment above it says of it.
    pub description: Option<String>,
    /// Whether it is built where no target is named.
    pub is_default: bool,
    /// What it starts from, as written.
    pub base: String,
    /// Its `--platform`, as written.
    pub platform: Option<String>,
    /// Where its FROM stands.
    pub lines: LineRange,
}

/// The stages of `source`, in order.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn targets(source: &Source) -> Result<Vec<Target>, BuildError> {
    let dockerfile = readable(source)?;
    let lines = Lines::of(source);
    let count = dockerfile.stages.len();
    let stages = dockerfile.stages.iter().map(|stage| {
        let from = &stage.from.instruction;
        Target {
            name: stage.name().map(str::to_owned),
            description: stage
                .name()
                .and_then(|name| Descriptions::of(&stage.from.comments).of_name(name)),
            is_default: stage.index + 1 == count,
            base: from.image.text.clone(),
            platform: from.platform.as_ref().map(|flag| flag.value.text.clone()),
            lines: lines.statement(&stage.from),
        }
    });
    Ok(stages.collect())
}

/// The file, if nothing is wrong with it.
pub(super) fn readable(source: &Source) -> Result<Dockerfile, BuildError> {
    let parsed = parse(source);
    match parsed.has_errors() {
        true => Err(BuildError::Diagnostics(parsed.diagnostics)),
        false => Ok(parsed.dockerfile),
    }
}

/// What the comments above an instruction say of names: each begins with the one that it is
/// about.
pub(super) struct Descriptions<'a>(HashMap<&'a str, &'a str>);

impl<'a> Descriptions<'a> {
    pub(super) fn of(comments: &'a [Comment]) -> Descriptions<'a> {
        let mut said = HashMap::new();
        for (name, rest) in comments.iter().filter_map(|comment| comment.text.split_once(' ')) {
            said.entry(name).or_insert(rest);
        }
        Descriptions(said)
    }

    /// What the first comment about `name` says.
    pub(super) fn of_name(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|said| (*said).to_owned())
    }
}
