//! A build's progress on a terminal: finished steps above, running ones with their last lines.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use builder::{Event, Progress, StepId};
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};

/// How many lines of a running step's log are shown.
const TAIL: usize = 4;

/// Draws events on a terminal.
pub(crate) struct TtyProgress {
    bars: MultiProgress,
    running: Mutex<HashMap<StepId, Running>>,
}

struct Running {
    name: String,
    bar: ProgressBar,
    tail: Vec<String>,
    measure: String,
}

impl Running {
    fn draw(&self) {
        let tail: String = self.tail.iter().map(|line| format!("\n      {line}")).collect();
        self.bar.set_message(format!("{}{}{tail}", self.name, self.measure));
    }
}

impl TtyProgress {
    /// A display on standard error.
    pub(crate) fn new() -> TtyProgress {
        TtyProgress { bars: MultiProgress::new(), running: Mutex::default() }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<StepId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, step: StepId, name: &str) {
        let style = ProgressStyle::with_template(" {spinner} {elapsed:>5} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = self.bars.add(ProgressBar::new_spinner().with_style(style));
        bar.enable_steady_tick(Duration::from_millis(120));
        let running =
            Running { name: one_line(name), bar, tail: Vec::new(), measure: String::new() };
        running.draw();
        self.running().insert(step, running);
    }

    /// Takes a running step off the moving part and leaves a line above it.
    fn end(&self, step: StepId, sign: &str, rest: &str) {
        if let Some(running) = self.running().remove(&step) {
            running.bar.finish_and_clear();
            self.say(&format!(" {sign} {}{rest}", running.name));
        }
    }

    fn say(&self, line: &str) {
        // A terminal that is gone is no reason to end a build.
        let _ = self.bars.println(line);
    }
}

impl Progress for TtyProgress {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Started { step, name } => self.start(step, name),
            Event::Cached { name, .. } => self.say(&format!(" = CACHED {}", one_line(name))),
            Event::Log { step, bytes, .. } => {
                if let Some(running) = self.running().get_mut(&step) {
                    let text = String::from_utf8_lossy(bytes);
                    running.tail.extend(text.lines().map(printable));
                    let surplus = running.tail.len().saturating_sub(TAIL);
                    running.tail.drain(..surplus);
                    running.draw();
                }
            }
            Event::Progress { step, current, total } => {
                if let Some(running) = self.running().get_mut(&step) {
                    let of = total.map(|t| format!(" / {}", HumanBytes(t))).unwrap_or_default();
                    running.measure = format!("  {}{of}", HumanBytes(current));
                    running.draw();
                }
            }
            Event::Done { step, duration } => {
                self.end(step, "✔", &format!("  {:.1}s", duration.as_secs_f64()));
            }
            Event::Failed { step, .. } => self.end(step, "✘", ""),
            Event::Cancelled { step } => self.end(step, "-", "  canceled"),
            Event::Warning { message, .. } => self.say(&format!(" ! {message}")),
            _ => {}
        }
    }
}

/// A step's name without line ends, and not longer than a line.
fn one_line(name: &str) -> String {
    printable(&name.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What a terminal can show in one line: no control characters, which could move the cursor.
fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(100).collect()
}
