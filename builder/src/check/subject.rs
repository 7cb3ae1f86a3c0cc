//! What the rules look at.

use std::cell::Cell;

use crate::dockerignore::Ignore;
use crate::environment::Environment;
use crate::expand::{self, Expansion, Mode};
use crate::instruction::{From, Instruction, Statement};
use crate::request::BuildRequest;
use crate::stage::{Dockerfile, Parsed, Stage};
use crate::syntax::{Escape, Heredoc, Span, Word};

use super::finding::Place;
use super::stages::Stages;

/// A walk over the instructions ends when this many bytes were expanded and copied: a short file
/// can double a value in each of its lines.
const BUDGET: usize = 64 << 20;

/// What expanding a word costs, beside the bytes that it reads.
const WORD: usize = 32;

/// A parsed file with all that surrounds it.
pub(super) struct Subject<'a> {
    pub(super) request: &'a BuildRequest,
    pub(super) dockerfile: &'a Dockerfile,
    /// The blank lines inside of instructions, the first of each instruction.
    pub(super) blank_continuations: Vec<Span>,
    pub(super) ignore: Ignore,
    pub(super) stages: Stages,
    /// What each stage's ONBUILDs make the stages do that start from it.
    pub(super) triggers: Vec<Vec<&'a Statement>>,
    budget: Cell<usize>,
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
        let dockerfile = &parsed.dockerfile;
        let triggers = dockerfile.stages.iter().map(triggers).collect();
        let budget = Cell::new(BUDGET);
        Subject { request, dockerfile, blank_continuations, ignore, stages, triggers, budget }
    }

    /// Every FROM.
    pub(super) fn froms(&self) -> impl Iterator<Item = (&'a Statement<From>, Place<'a>)> {
        self.dockerfile.stages.iter().map(|stage| (&stage.from, Place::of(&stage.from)))
    }

    /// Every instruction of every stage, with its stage.
    pub(super) fn statements(&self) -> impl Iterator<Item = (&'a Stage, &'a Statement)> {
        self.dockerfile.stages.iter().flat_map(|s| s.body.iter().map(move |b| (s, b)))
    }

    /// What `word` expands into; none if it cannot be expanded, which the build reports, or if
    /// the budget is spent.
    pub(super) fn expand(&self, word: &Word, env: &Environment) -> Option<Expansion> {
        self.expand_by(word, |name| env.get(name))
    }

    /// The same with the variables that `get` knows.
    pub(super) fn expand_by<'e>(
        &self,
        word: &Word,
        get: impl Fn(&str) -> Option<&'e str>,
    ) -> Option<Expansion> {
        self.expand_text(&word.text, get, self.dockerfile.directives.escape, Mode::Word)
    }

    /// What the body of a here-document expands into.
    pub(super) fn expand_heredoc(&self, doc: &Heredoc, env: &Environment) -> Option<Expansion> {
        self.expand_text(&doc.body(), |name| env.get(name), Escape::Backslash, Mode::Heredoc)
    }

    fn expand_text<'e>(
        &self,
        text: &str,
        get: impl Fn(&str) -> Option<&'e str>,
        escape: Escape,
        mode: Mode,
    ) -> Option<Expansion> {
        self.spend(WORD + text.len());
        if self.is_spent() {
            return None;
        }
        let get = |name: &str| {
            let value = get(name)?;
            self.spend(value.len());
            Some(value.to_owned())
        };
        expand::expand(text, &get, escape, mode).ok()
    }

    /// Begins the budget anew.
    pub(super) fn fill_budget(&self) {
        self.budget.set(BUDGET);
    }

    /// Takes `bytes` off the budget.
    pub(super) fn spend(&self, bytes: usize) {
        self.budget.set(self.budget.get().saturating_sub(bytes));
    }

    /// Whether nothing is left of the budget.
    pub(super) fn is_spent(&self) -> bool {
        self.budget.get() == 0
    }
}

fn triggers(stage: &Stage) -> Vec<&Statement> {
    let instructions = stage.body.iter().map(|statement| &statement.instruction);
    let triggers = instructions.filter_map(|instruction| match instruction {
        Instruction::Onbuild(onbuild) => Some(&*onbuild.statement),
        _ => None,
    });
    triggers.collect()
}
