//! What a build tells while it runs.

use std::time::Duration;

use crate::check::Finding;
use crate::syntax::Span;

/// A step as the progress display counts them. Numbers are given in the order in which steps
/// stand in the graph and say nothing about the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId(pub usize);

/// Where a process wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
}

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step begins to run.
    Started {
        /// The step.
        step: StepId,
        /// What to call it: `[build 2/5] RUN make`.
        name: &'a str,
    },
    /// A step's result was there already. It was not started, and nothing more is said of it.
    Cached {
        /// The step.
        step: StepId,
        /// What to call it.
        name: &'a str,
    },
    /// A step's process wrote something: whole lines, or a piece of a very long one.
    Log {
        /// The step.
        step: StepId,
        /// Where it wrote.
        stream: Stream,
        /// What it wrote.
        bytes: &'a [u8],
    },
    /// A step got further.
    Progress {
        /// The step.
        step: StepId,
        /// How far it is, in bytes.
        current: u64,
        /// How far it has to go, in bytes, where that is known.
        total: Option<u64>,
    },
    /// A step ended well.
    Done {
        /// The step.
        step: StepId,
        /// How long it ran.
        duration: Duration,
    },
    /// A step ended badly. The build ends with that error.
    Failed {
        /// The step.
        step: StepId,
        /// The error's text.
        message: &'a str,
    },
    /// A step was ended because another one had failed, or the build was cancelled.
    Cancelled {
        /// The step.
        step: StepId,
    },
    /// A check found something doubtful in the Dockerfile, and the build goes on.
    Finding(&'a Finding),
    /// Something is doubtful, and the build goes on.
    Warning {
        /// What, in lower case and without a final period.
        message: &'a str,
        /// Where in the Dockerfile, if it is about a place there.
        span: Option<Span>,
    },
}

/// Takes the events of a build. Called from several threads at once; what it does delays the
/// build.
pub trait Progress: Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event<'_>);
}

/// Takes events and forgets them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event<'_>) {}
}
