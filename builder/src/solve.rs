//! Runs the steps that are needed, as many at once as do not wait for each other, and only those
//! whose results are not there already.

mod ahead;
mod brought;
mod earlier;
mod mounts;
mod remote;
mod session;
mod step;

use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::Instant;

use oci::DiffId;

pub(crate) use brought::{Brought, Content};
pub(crate) use session::Session;

use crate::error::{BuildError, StepCause, StepError};
use crate::graph::{Graph, Vertex};
use crate::op::{CopySource, Op};
use crate::progress::{Event, StepId};
use crate::syntax::Span;

/// The tree that a step leaves.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// The layers, lowest first.
    pub(crate) layers: Arc<[DiffId]>,
    /// For the layers above the base: when they were made, RFC 3339.
    pub(crate) created: Arc<[String]>,
}

/// A step that failed, and the last that its process said.
type Failure = (StepCause, Vec<u8>);

/// How a step's thread ended.
type Ended = (StepId, std::thread::Result<Result<Outcome, Failure>>);

/// What threads tell the one that schedules.
enum Message {
    /// A step has ended.
    Ended(Ended),
    /// A step that has not been reached cannot succeed.
    Doomed(StepId, StepCause),
}

/// The result of `tip` and of all that it needs.
///
/// # Errors
/// The first failure. What ran beside it was ended.
pub(crate) fn solve(
    session: &Session<'_>,
    graph: &Graph,
    tip: StepId,
) -> Result<Outcome, BuildError> {
    let mut plan = Plan::new(graph, tip);
    let (sender, receiver) = crossbeam_channel::unbounded::<Message>();
    let mut failure: Option<BuildError> = None;
    let mut panicked = None;
    std::thread::scope(|scope| {
        let mut running = 0;
        let mut looked_ahead = false;
        let mut ahead: Option<ScopedJoinHandle<'_, ()>> = None;
        loop {
            while failure.is_none()
                && running < session.parallelism()
                && let Some(step) = plan.ready.pop_first()
            {
                let inputs = plan.inputs(graph, step);
                // A key that is computed from data at hand needs no thread, nor does one that
                // nobody else could use the time of.
                let idle = running == 0 && plan.ready.is_empty();
                if idle || !graph.get(step).op.reads_files() {
                    match session.probe(graph, step, &inputs) {
                        Ok(step::Probe::Known(outcome)) => plan.finish(step, outcome),
                        Ok(step::Probe::Work(work)) => {
                            if !looked_ahead && !matches!(graph.get(step).op, Op::Copy(_)) {
                                looked_ahead = true;
                                let copies = plan.copies(graph);
                                let sender = sender.clone();
                                ahead = (!copies.is_empty()).then(|| {
                                    scope.spawn(move || {
                                        session.look_ahead(graph, &copies, &sender);
                                    })
                                });
                            }
                            running += 1;
                            let sender = sender.clone();
                            let run = move || {
                                let run = || session.run(graph, step, &inputs, work);
                                let result = panic::catch_unwind(AssertUnwindSafe(run));
                                // The receiver waits for every thread.
                                let _ = sender.send(Message::Ended((step, result)));
                            };
                            // Nothing else can be done before a step ends that is alone, and
                            // nobody has anything to say meanwhile.
                            let looks = ahead.as_ref().is_some_and(|ahead| !ahead.is_finished());
                            if idle && !looks && receiver.is_empty() {
                                run();
                            } else {
                                scope.spawn(run);
                            }
                        }
                        Err(cause) => {
                            failure = Some(session.fail(graph, step, (cause, Vec::new())));
                        }
                    }
                    continue;
                }
                running += 1;
                let sender = sender.clone();
                scope.spawn(move || {
                    let both = || match session.probe(graph, step, &inputs) {
                        Ok(step::Probe::Known(outcome)) => Ok(outcome),
                        Ok(step::Probe::Work(work)) => session.run(graph, step, &inputs, work),
                        Err(cause) => Err((cause, Vec::new())),
                    };
                    let result = panic::catch_unwind(AssertUnwindSafe(both));
                    let _ = sender.send(Message::Ended((step, result)));
                });
            }
            if running == 0 {
                break;
            }
            let (step, result) = match receiver.recv() {
                Ok(Message::Ended(ended)) => ended,
                Ok(Message::Doomed(step, cause)) => {
                    if failure.is_none() {
                        failure = Some(session.fail(graph, step, (cause, Vec::new())));
                    }
                    continue;
                }
                Err(_) => break,
            };
            running -= 1;
            match result {
                Ok(Ok(outcome)) => plan.finish(step, outcome),
                Ok(Err(error)) => {
                    let error = session.fail(graph, step, error);
                    failure.get_or_insert(error);
                }
                Err(payload) => {
                    session.cancel();
                    failure.get_or_insert(BuildError::Cancelled);
                    panicked = Some(payload);
                }
            }
        }
    });
    if let Some(payload) = panicked {
        panic::resume_unwind(payload);
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(plan.take(tip)),
    }
}

/// Where in the Dockerfile it went wrong: the source that is missing, or the whole instruction.
fn place_of(vertex: &Vertex, cause: &StepCause) -> Span {
    if let Some(span) = cause.span() {
        return span;
    }
    let (Op::Copy(op), StepCause::NotFound { path, .. }) = (&vertex.op, cause) else {
        return vertex.span;
    };
    let missing = op.sources.iter().find_map(|source| match source {
        CopySource::Path { pattern, span, .. } if pattern == path => Some(*span),
        _ => None,
    });
    missing.unwrap_or(vertex.span)
}

/// What is done and what can be done next.
struct Plan {
    /// How many inputs each step still waits for.
    waiting: Vec<usize>,
    /// Which steps wait for each step.
    followers: Vec<Vec<StepId>>,
    outcomes: Vec<Option<Outcome>>,
    /// Steps with all inputs there, those that stand first in the file first.
    ready: BTreeSet<StepId>,
}

impl Plan {
    fn new(graph: &Graph, tip: StepId) -> Plan {
        let needed = graph.needed_by(tip);
        let mut plan = Plan {
            waiting: vec![0; graph.len()],
            followers: vec![Vec::new(); graph.len()],
            outcomes: vec![None; graph.len()],
            ready: BTreeSet::new(),
        };
        for step in (0..graph.len()).filter(|step| needed[*step]).map(StepId) {
            let mut inputs = graph.get(step).inputs.clone();
            inputs.sort_unstable();
            inputs.dedup();
            plan.waiting[step.0] = inputs.len();
            inputs.iter().for_each(|input| plan.followers[input.0].push(step));
            if inputs.is_empty() {
                plan.ready.insert(step);
            }
        }
        plan
    }

    /// The copies that wait for something.
    fn copies(&self, graph: &Graph) -> Vec<StepId> {
        let waits = |step: &StepId| self.waiting[step.0] > 0;
        let copies = (0..graph.len()).map(StepId).filter(waits);
        copies.filter(|step| matches!(graph.get(*step).op, Op::Copy(_))).collect()
    }

    fn inputs(&self, graph: &Graph, step: StepId) -> Vec<Outcome> {
        let outcome = |input: &StepId| self.outcomes[input.0].clone();
        let inputs = graph.get(step).inputs.iter().map(outcome);
        inputs.collect::<Option<Vec<_>>>().expect("a step is ready when its inputs are there")
    }

    fn finish(&mut self, step: StepId, outcome: Outcome) {
        self.outcomes[step.0] = Some(outcome);
        for follower in std::mem::take(&mut self.followers[step.0]) {
            self.waiting[follower.0] -= 1;
            if self.waiting[follower.0] == 0 {
                self.ready.insert(follower);
            }
        }
    }

    fn take(&mut self, step: StepId) -> Outcome {
        self.outcomes[step.0].take().expect("without a failure every needed step is done")
    }
}

impl Session<'_> {
    /// Runs a step, saying so.
    fn run(
        &self,
        graph: &Graph,
        step: StepId,
        inputs: &[Outcome],
        work: step::Work,
    ) -> Result<Outcome, Failure> {
        if self.is_cancelled() {
            return Err((StepCause::Cancelled, Vec::new()));
        }
        let started = Instant::now();
        self.event(Event::Started { step, name: &graph.get(step).name });
        let outcome = self.execute(graph, step, inputs, work)?;
        self.event(Event::Done { step, duration: started.elapsed() });
        Ok(outcome)
    }

    /// The build's error for a step's, and the end of all other steps.
    fn fail(&self, graph: &Graph, step: StepId, (cause, log_tail): Failure) -> BuildError {
        let cancelled = matches!(cause, StepCause::Cancelled);
        if cancelled {
            self.event(Event::Cancelled { step });
            self.cancel();
            return BuildError::Cancelled;
        }
        self.event(Event::Failed { step, message: &cause.to_string() });
        self.cancel();
        let vertex = graph.get(step);
        BuildError::Step(Box::new(StepError {
            span: place_of(vertex, &cause),
            instruction: vertex.text.clone(),
            name: vertex.name.clone(),
            cause,
            log_tail,
        }))
    }
}
