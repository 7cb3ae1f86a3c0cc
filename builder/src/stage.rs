//! Instructions into stages.

use std::collections::HashMap;

use crate::diagnostic::{Diagnostic, Severity, suggest};
use crate::instruction::{Arg, From, Instruction, Statement, parse_statement, takes_heredocs};
use crate::syntax::{Directives, LogicalLine, LogicalLines, Source, Span, foreign_frontend};

/// Reading stops behind this many errors.
pub(crate) const MOST_ERRORS: usize = 50;

/// More warnings are not kept.
const MOST_WARNINGS: usize = 1000;

/// A Dockerfile, read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dockerfile {
    /// The directives at its top.
    pub directives: Directives,
    /// The global arguments: those before the first FROM.
    pub meta_args: Vec<Statement<Arg>>,
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// The stages of each name, in order.
    named: HashMap<String, Vec<usize>>,
}

/// `FROM` and what follows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its place among the stages, counted from 0.
    pub index: usize,
    /// The FROM.
    pub from: Statement<From>,
    /// The instructions behind it, none of which is a FROM.
    pub body: Vec<Statement>,
}

/// What came of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// What could be read; not for building while [`Parsed::has_errors`].
    pub dockerfile: Dockerfile,
    /// Everything that is wrong or doubtful, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether every FROM could be read, and reading went to the end.
    pub(crate) has_all_stages: bool,
}

/// The stage that a name in COPY `--from` or in a mount's `from` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageRef {
    /// This stage.
    Stage(usize),
    /// A stage, which comes too late in the file to be used here.
    TooLate(usize),
    /// No stage: an image or a named context.
    NotAStage,
}

impl Stage {
    /// Its name in lower case.
    pub fn name(&self) -> Option<&str> {
        self.from.instruction.name.as_ref().map(|name| name.folded.as_str())
    }
}

impl Parsed {
    /// Whether the file cannot be built.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

impl Dockerfile {
    /// The stage that `--target` means: a name in any case, where the last stage of that name
    /// wins, or else a number.
    pub fn target(&self, target: &str) -> Option<usize> {
        self.named(target).or_else(|| self.numbered(target))
    }

    /// The stage that FROM means: one of that name before `stage`. Numbers are images.
    pub fn base(&self, name: &str, stage: usize) -> Option<usize> {
        let named = self.named.get(&name.to_lowercase())?;
        let earlier = named.partition_point(|index| *index < stage);
        earlier.checked_sub(1).map(|at| named[at])
    }

    /// The stage that `COPY --from` in `stage` means: a number, or a name.
    pub fn copy_source(&self, from: &str, stage: usize) -> StageRef {
        match self.numbered(from) {
            Some(index) if index < stage => StageRef::Stage(index),
            Some(index) => StageRef::TooLate(index),
            None => self.mount_source(from, stage),
        }
    }

    /// The stage that a mount's `from` in `stage` means: a name; numbers are images.
    pub fn mount_source(&self, from: &str, stage: usize) -> StageRef {
        match (self.base(from, stage), self.named(from)) {
            (Some(index), _) => StageRef::Stage(index),
            (None, Some(index)) => StageRef::TooLate(index),
            (None, None) => StageRef::NotAStage,
        }
    }

    fn named(&self, name: &str) -> Option<usize> {
        self.base(name, self.stages.len())
    }

    fn numbered(&self, number: &str) -> Option<usize> {
        number.parse::<usize>().ok().filter(|index| *index < self.stages.len())
    }
}

/// Reads a Dockerfile. Reading goes on behind an error, so that all of them are reported, up to
/// a number that nobody reads.
pub fn parse(source: &Source) -> Parsed {
    if let Some(diagnostic) = foreign_frontend(source) {
        let (dockerfile, diagnostics) = (Dockerfile::default(), vec![diagnostic]);
        return Parsed { dockerfile, diagnostics, has_all_stages: false };
    }
    let (directives, mut wrong) = Directives::parse(source);
    wrong.truncate(MOST_ERRORS);
    let mut parser = Parser {
        errors: wrong.len(),
        dockerfile: Dockerfile { directives, ..Dockerfile::default() },
        diagnostics: wrong,
        seen_from: false,
        seen_any: false,
        lost_from: false,
    };
    let directives = parser.dockerfile.directives.clone();
    for line in LogicalLines::new(source, &directives, takes_heredocs) {
        if parser.errors >= MOST_ERRORS {
            parser.give_up();
            parser.lost_from = true;
            break;
        }
        parser.line(line);
    }
    parser.finish(source)
}

struct Parser {
    dockerfile: Dockerfile,
    diagnostics: Vec<Diagnostic>,
    /// How many of them are errors.
    errors: usize,
    /// Whether a FROM was seen, right or wrong.
    seen_from: bool,
    seen_any: bool,
    /// Whether there is a FROM, or may be one, that is not among the stages.
    lost_from: bool,
}

impl Parser {
    fn line(&mut self, line: Result<LogicalLine, Diagnostic>) {
        self.seen_any = true;
        let line = match line {
            Ok(line) => line,
            Err(diagnostic) => {
                self.lost_from = true;
                return self.error(diagnostic);
            }
        };
        if self.diagnostics.len() - self.errors < MOST_WARNINGS {
            self.diagnostics.extend(blank_continuation(&line));
        }
        match parse_statement(&line) {
            Ok(statement) => self.statement(statement),
            Err(diagnostic) => {
                let line = line.split();
                let keyword = line.keyword.text.as_str();
                let is_from = keyword.eq_ignore_ascii_case("FROM");
                self.seen_from |= is_from;
                // What is close to FROM was perhaps meant to be one.
                self.lost_from |= is_from || suggest(keyword, ["FROM"]).is_some();
                self.error(diagnostic);
            }
        }
    }

    fn error(&mut self, diagnostic: Diagnostic) {
        self.errors += 1;
        self.diagnostics.push(diagnostic);
    }

    /// Says that what follows the last error was not read.
    fn give_up(&mut self) {
        if let Some(last) = self.diagnostics.pop() {
            let note = format!("reading ends here, after {} errors", self.errors);
            self.diagnostics.push(last.note(note));
        }
    }

    fn statement(&mut self, statement: Statement) {
        let (instruction, rest) = statement.take();
        match instruction {
            Instruction::From(from) => {
                self.seen_from = true;
                let index = self.dockerfile.stages.len();
                if let Some(name) = &from.name {
                    let named = self.dockerfile.named.entry(name.folded.clone());
                    named.or_default().push(index);
                }
                let from = rest.with(from);
                self.dockerfile.stages.push(Stage { index, from, body: Vec::new() });
            }
            Instruction::Arg(arg) if !self.seen_from => {
                self.dockerfile.meta_args.push(rest.with(arg));
            }
            instruction => match self.dockerfile.stages.last_mut() {
                Some(stage) => stage.body.push(rest.with(instruction)),
                // The stage's own FROM is wrong, and reported.
                None if self.seen_from => {}
                None => {
                    let keyword = instruction.keyword();
                    let message = format!("{keyword} stands before the first FROM");
                    let error = Diagnostic::error(rest.keyword.span, message);
                    self.error(error.note("only ARG may stand there"));
                }
            },
        }
    }

    fn finish(mut self, source: &Source) -> Parsed {
        let end = Span::new(source.text.len(), source.text.len());
        if !self.seen_any {
            self.error(Diagnostic::error(end, "the file has no instructions"));
        } else if !self.seen_from && self.errors == 0 {
            self.error(Diagnostic::error(end, "the file has no FROM"));
        }
        self.diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
        self.tell_of_frontend();
        let has_all_stages = !self.lost_from && !self.dockerfile.stages.is_empty();
        Parsed { dockerfile: self.dockerfile, diagnostics: self.diagnostics, has_all_stages }
    }

    /// Says with the first error that the file may be written for another frontend.
    fn tell_of_frontend(&mut self) {
        let frontend = self.dockerfile.directives.syntax.as_ref();
        let Some(frontend) = frontend.filter(|image| !image.text.contains("docker/dockerfile"))
        else {
            return;
        };
        let is_error = |diagnostic: &&mut Diagnostic| diagnostic.severity == Severity::Error;
        if let Some(first) = self.diagnostics.iter_mut().find(is_error) {
            let note = format!("the file is written for `{}`, which is not run", frontend.text);
            *first = first.clone().note(note);
        }
    }
}

fn blank_continuation(line: &LogicalLine) -> Option<Diagnostic> {
    let span = *line.blank_continuations.first()?;
    Some(
        Diagnostic::warning(span, "NoEmptyContinuation", "a blank line continues an instruction")
            .help("remove it: a later version of the language may refuse it"),
    )
}
