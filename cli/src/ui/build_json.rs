//! A build's progress as lines of JSON, in the form of BuildKit's status: `--progress=rawjson`.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use builder::{Event, Progress, StepId, Stream};
use jiff::Timestamp;
use oci::Digest;
use serde_json::{Value, json};

/// Writes events as documents, one a line.
pub(crate) struct JsonProgress {
    running: Mutex<HashMap<StepId, Running>>,
}

struct Running {
    name: String,
    started: Timestamp,
}

impl JsonProgress {
    /// A display that has shown nothing yet.
    pub(crate) fn new() -> JsonProgress {
        JsonProgress { running: Mutex::default() }
    }

    fn document(&self, event: &Event<'_>) -> Option<Value> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Timestamp::now();
        Some(match event {
            Event::Started { step, name } => {
                let name = (*name).to_owned();
                let vertex = json!({
                    "digest": digest(*step), "name": name, "started": now.to_string(),
                });
                running.insert(*step, Running { name, started: now });
                json!({ "vertexes": [vertex] })
            }
            Event::Cached { step, name } => json!({ "vertexes": [{
                "digest": digest(*step), "name": name, "started": now.to_string(),
                "completed": now.to_string(), "cached": true,
            }] }),
            Event::Log { step, stream, bytes } => json!({ "logs": [{
                "vertex": digest(*step),
                "stream": match stream { Stream::Stdout => 1, Stream::Stderr => 2 },
                "data": STANDARD.encode(bytes),
                "timestamp": now.to_string(),
            }] }),
            Event::Progress { step, current, total } => {
                let started = running.get(step).map_or(now, |running| running.started);
                let mut status = json!({
                    "id": "transferring", "vertex": digest(*step), "current": current,
                    "timestamp": now.to_string(), "started": started.to_string(),
                });
                if let Some(total) = total {
                    status["total"] = (*total).into();
                }
                json!({ "statuses": [status] })
            }
            Event::Done { step, .. } => ended(&mut running, *step, now, None),
            Event::Failed { step, message } => ended(&mut running, *step, now, Some(message)),
            Event::Cancelled { step } => {
                ended(&mut running, *step, now, Some("the step was canceled"))
            }
            Event::Warning { message, .. } => json!({ "warnings": [{
                "vertex": digest(StepId(0)), "level": 1, "short": STANDARD.encode(message),
            }] }),
            _ => return None,
        })
    }
}

fn ended(
    running: &mut HashMap<StepId, Running>,
    step: StepId,
    now: Timestamp,
    error: Option<&str>,
) -> Value {
    let known = running.remove(&step);
    let (name, started) = known.map_or((String::new(), now), |step| (step.name, step.started));
    let mut vertex = json!({
        "digest": digest(step), "name": name, "started": started.to_string(),
        "completed": now.to_string(),
    });
    if let Some(error) = error {
        vertex["error"] = error.into();
    }
    json!({ "vertexes": [vertex] })
}

/// What a step is known by in this build.
fn digest(step: StepId) -> String {
    Digest::sha256(format!("step {}", step.0).as_bytes()).to_string()
}

impl Progress for JsonProgress {
    fn event(&self, event: Event<'_>) {
        if let Some(document) = self.document(&event) {
            // A closed standard error is no reason to end a build.
            let _ = writeln!(anstream::stderr().lock(), "{document}");
        }
    }
}
