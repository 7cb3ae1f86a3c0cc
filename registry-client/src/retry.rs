//! What is tried again, how often and how soon: the one place that knows.

use std::time::{Duration, Instant, SystemTime};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use http::{HeaderMap, StatusCode, header};

use crate::Error;

/// How often and for how long a request that failed for a passing reason is tried again. Delays
/// double from `first_delay` to `max_delay`, with jitter.
#[derive(Debug, Clone)]
pub struct Retry {
    /// How many times more after the first; 0 for never. A transfer that moves on starts anew.
    pub times: usize,
    /// The first delay.
    pub first_delay: Duration,
    /// The longest delay of our own choice.
    pub max_delay: Duration,
    /// The longest delay that a registry may ask for (`Retry-After`); for longer, we give up.
    pub max_asked_delay: Duration,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            times: 6,
            first_delay: Duration::from_millis(200),
            max_delay: Duration::from_secs(20),
            max_asked_delay: Duration::from_secs(300),
        }
    }
}

/// The tries of one call.
pub(crate) struct Tries {
    policy: Retry,
    delays: ExponentialBackoff,
}

/// Why a try failed, as far as trying again is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It will fail again.
    Final,
    /// It may pass.
    Passing { asked_delay: Option<Duration> },
    /// The host could not be reached and never has been: most likely its name is wrong.
    Unreachable,
}

impl Tries {
    pub(crate) fn new(policy: &Retry) -> Tries {
        Tries { policy: policy.clone(), delays: delays(policy) }
    }

    /// How long to wait before the next try; `None` to give up.
    pub(crate) fn next(&mut self, failure: Failure) -> Option<Duration> {
        match failure {
            Failure::Final => None,
            Failure::Passing { asked_delay: None } => self.delays.next(),
            Failure::Passing { asked_delay: Some(asked) } => {
                if asked > self.policy.max_asked_delay {
                    return None;
                }
                // Jitter on top: whoever was told the same second comes at different ones.
                self.delays.next().map(|own| asked + own.min(Duration::from_secs(1)))
            }
            Failure::Unreachable => {
                let delay = self.delays.next();
                self.delays = delays(&Retry { times: 0, ..self.policy.clone() });
                delay
            }
        }
    }

    /// Starts to count anew, because something was achieved.
    pub(crate) fn moved_on(&mut self) {
        self.delays = delays(&self.policy);
    }
}

fn delays(policy: &Retry) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(policy.first_delay)
        .with_max_delay(policy.max_delay)
        .with_max_times(policy.times)
        .with_jitter()
        .build()
}

/// Whether an answer of this status may be another one soon.
pub(crate) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 499 | 500 | 502 | 503 | 504 | 520..=524)
}

/// What an error means for trying again; `answered` says whether the host ever answered.
pub(crate) fn classify(error: &Error, answered: bool) -> Failure {
    match error {
        Error::Connection { source, .. } if is_untrusted(source.as_ref()) => Failure::Final,
        Error::Connection { connecting: true, .. } if !answered => Failure::Unreachable,
        Error::Connection { .. } | Error::Idle { .. } => Failure::Passing { asked_delay: None },
        Error::Status { status, retry_after, .. } if is_passing(*status) => {
            Failure::Passing { asked_delay: *retry_after }
        }
        _ => Failure::Final,
    }
}

/// Whether TLS failed in a way that another try will not change.
pub(crate) fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("invalid peer certificate") {
            return true;
        }
        cause = error.source();
    }
    false
}

/// `Retry-After` in both its forms (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?;
    let at = SystemTime::from(at.timestamp());
    Some(at.duration_since(now).unwrap_or(Duration::ZERO))
}

/// Until when a host asked for peace; shared by all calls to it.
#[derive(Debug, Default)]
pub(crate) struct Pause(std::sync::Mutex<Option<Instant>>);

impl Pause {
    /// Lets nobody through for `delay`.
    pub(crate) fn extend(&self, delay: Duration) {
        let until = Instant::now() + delay;
        let mut end = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *end = Some(end.map_or(until, |end| end.max(until)));
    }

    /// Waits while the host wants peace.
    pub(crate) async fn wait(&self) {
        loop {
            let end = *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match end.and_then(|end| end.checked_duration_since(Instant::now())) {
                Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        headers
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, expected) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(retry_after(&headers(value), now), expected, "{value}");
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, passing) in [
            (200, false),
            (400, false),
            (404, false),
            (408, true),
            (429, true),
            (500, true),
            (501, false),
            (503, true),
            (522, true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_passing(status), passing, "{status}");
        }
    }

    #[test]
    fn tries_end() {
        let policy = Retry { times: 3, ..Retry::default() };
        let passing = Failure::Passing { asked_delay: None };
        let mut tries = Tries::new(&policy);
        assert_eq!(std::iter::from_fn(|| tries.next(passing)).count(), 3);
        tries.moved_on();
        assert!(tries.next(passing).is_some());
        let mut tries = Tries::new(&policy);
        assert_eq!(std::iter::from_fn(|| tries.next(Failure::Unreachable)).count(), 1);
        assert_eq!(Tries::new(&policy).next(Failure::Final), None);
    }

    #[test]
    fn a_registry_may_ask_for_a_delay_within_limits() {
        let mut tries = Tries::new(&Retry::default());
        let asked = |seconds| Failure::Passing { asked_delay: Some(Duration::from_secs(seconds)) };
        assert!(tries.next(asked(10)).unwrap() >= Duration::from_secs(10));
        assert_eq!(tries.next(asked(3600)), None);
    }
}
