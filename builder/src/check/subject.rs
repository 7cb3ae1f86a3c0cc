//! What the rules look at.

use crate::dockerignore::Ignore;
use crate::environment::Environment;
use crate::expand::{self, Expansion, Mode};
use crate::instruction::{From, Statement};
use crate::request::BuildRequest;
use crate::stage::{Dockerfile, Parsed, Stage};
use crate::syntax::{Span, Word};

use super::finding::Place;
use super::stages::Stages;

/// A parsed file with all that surrounds it.
pub(super) struct Subject<'a> {
    pub(super) request: &'a BuildRequest,
    pub(super) dockerfile: &'a Dockerfile,
    /// The blank lines inside of instructions, the first of each instruction.
    pub(super) blank_continuations: Vec<Span>,
    pub(super) ignore: Ignore,
    pub(super) stages: Stages,
}

impl<'a> Subject<'a> {
    pub(super) fn new(
        request: &'a BuildRequest,
        parsed: &'a Parsed,
        ignore: Ignore,
        stages: Stages,
    ) -> Subject<'a> {
        let rule = Some(super::rules::NO_EMPTY_CONTINUATION);
        let blank = parsed.diagnostics.iter().filter(|diagnostic| diagnostic.rule == rule);
        let blank_continuations = blank.map(|diagnostic| diagnostic.span).collect();
        Subject { request, dockerfile: &parsed.dockerfile, blank_continuations, ignore, stages }
    }

    /// Every FROM.
    pub(super) fn froms(&self) -> impl Iterator<Item = (&'a Statement<From>, Place<'a>)> {
        self.dockerfile.stages.iter().map(|stage| (&stage.from, Place::of(&stage.from)))
    }

    /// Every instruction of every stage, with its stage.
    pub(super) fn statements(&self) -> impl Iterator<Item = (&'a Stage, &'a Statement)> {
        self.dockerfile.stages.iter().flat_map(|s| s.body.iter().map(move |b| (s, b)))
    }

    /// What `word` expands into; none if it cannot be expanded, which the build reports.
    pub(super) fn expand(&self, word: &Word, env: &Environment) -> Option<Expansion> {
        let get = |name: &str| env.get(name).map(str::to_owned);
        let escape = self.dockerfile.directives.escape;
        expand::expand(&word.text, &get, escape, Mode::Word).ok()
    }
}
