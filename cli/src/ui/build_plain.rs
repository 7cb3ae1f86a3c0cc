//! A build's progress as lines, for logs: `#5 [2/3] RUN make`, `#5 0.412 cc …`, `#5 DONE 1.2s`.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use builder::{Event, Progress, StepId};

/// Writes events as lines in BuildKit's form.
pub(crate) struct PlainProgress {
    started: Mutex<HashMap<StepId, Instant>>,
}

impl PlainProgress {
    /// A display that has shown nothing yet.
    pub(crate) fn new() -> PlainProgress {
        PlainProgress { started: Mutex::default() }
    }

    fn started(&self) -> MutexGuard<'_, HashMap<StepId, Instant>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for PlainProgress {
    fn event(&self, event: Event<'_>) {
        // One lock of standard error an event, so that lines of parallel steps do not mix.
        let mut started = self.started();
        let mut out = anstream::stderr().lock();
        // A closed standard error is no reason to end a build.
        let _ = match event {
            Event::Started { step, name } => {
                started.insert(step, Instant::now());
                writeln!(out, "#{} {name}", number(step))
            }
            Event::Cached { step, name } => {
                writeln!(out, "#{} {name}\n#{} CACHED", number(step), number(step))
            }
            Event::Log { step, bytes, .. } => {
                let seconds = started.get(&step).map_or(0.0, |s| s.elapsed().as_secs_f64());
                String::from_utf8_lossy(bytes)
                    .lines()
                    .try_for_each(|line| writeln!(out, "#{} {seconds:.3} {line}", number(step)))
            }
            Event::Done { step, duration } => {
                started.remove(&step);
                writeln!(out, "#{} DONE {:.1}s", number(step), duration.as_secs_f64())
            }
            Event::Failed { step, message } => writeln!(out, "#{} ERROR: {message}", number(step)),
            Event::Cancelled { step } => writeln!(out, "#{} CANCELED", number(step)),
            Event::Warning { message, .. } => writeln!(out, "warning: {message}"),
            _ => Ok(()),
        };
    }
}

/// Steps as people count them, from one.
fn number(step: StepId) -> usize {
    step.0 + 1
}
