//! What is counted, as Prometheus reads it (text format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::storage::locked;

/// The upper ends of the histogram of durations, in seconds.
const BUCKETS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// All counters of a registry.
#[derive(Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<Labels, u64>>,
    durations: Mutex<BTreeMap<&'static str, Durations>>,
    sent: AtomicU64,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Labels {
    endpoint: &'static str,
    method: String,
    status: u16,
}

#[derive(Default)]
struct Durations {
    counts: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

/// What is known of an answered request.
pub(crate) struct Answered<'a> {
    pub(crate) endpoint: &'static str,
    pub(crate) method: &'a http::Method,
    pub(crate) status: u16,
    /// Until the head of the answer was ready.
    pub(crate) took: Duration,
    /// The length of its body in bytes, where it is known.
    pub(crate) length: u64,
}

impl Metrics {
    pub(crate) fn count(&self, answered: &Answered<'_>) {
        let known = matches!(
            answered.method.as_str(),
            "GET" | "HEAD" | "PUT" | "POST" | "PATCH" | "DELETE"
        );
        // A client must not be able to make labels up.
        let method = if known { answered.method.as_str() } else { "other" }.to_owned();
        let labels = Labels { endpoint: answered.endpoint, method, status: answered.status };
        *locked(&self.requests).entry(labels).or_default() += 1;
        self.sent.fetch_add(answered.length, Ordering::Relaxed);
        let seconds = answered.took.as_secs_f64();
        let mut durations = locked(&self.durations);
        let durations = durations.entry(answered.endpoint).or_default();
        for (count, end) in durations.counts.iter_mut().zip(BUCKETS) {
            *count += u64::from(seconds <= end);
        }
        durations.count += 1;
        durations.sum += seconds;
    }

    /// All of them as text; `uploads` are open.
    pub(crate) fn text(&self, uploads: usize) -> String {
        let mut out = String::new();
        out.push_str("# TYPE registry_requests_total counter\n");
        for (Labels { endpoint, method, status }, count) in locked(&self.requests).iter() {
            let labels = format!(r#"endpoint="{endpoint}",method="{method}",status="{status}""#);
            let _ = writeln!(out, "registry_requests_total{{{labels}}} {count}");
        }
        out.push_str("# TYPE registry_request_duration_seconds histogram\n");
        for (endpoint, durations) in locked(&self.durations).iter() {
            let name = "registry_request_duration_seconds";
            for (count, end) in durations.counts.iter().zip(BUCKETS) {
                let _ =
                    writeln!(out, r#"{name}_bucket{{endpoint="{endpoint}",le="{end}"}} {count}"#);
            }
            let Durations { count, sum, .. } = durations;
            let _ = writeln!(out, r#"{name}_bucket{{endpoint="{endpoint}",le="+Inf"}} {count}"#);
            let _ = writeln!(out, r#"{name}_sum{{endpoint="{endpoint}"}} {sum}"#);
            let _ = writeln!(out, r#"{name}_count{{endpoint="{endpoint}"}} {count}"#);
        }
        out.push_str("# TYPE registry_sent_bytes_total counter\n");
        let _ = writeln!(out, "registry_sent_bytes_total {}", self.sent.load(Ordering::Relaxed));
        out.push_str("# TYPE registry_open_uploads gauge\n");
        let _ = writeln!(out, "registry_open_uploads {uploads}");
        out
    }
}
