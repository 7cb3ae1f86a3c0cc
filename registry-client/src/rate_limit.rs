//! How much a registry still lets us pull, where it says so.

use std::time::Duration;

use http::HeaderMap;

/// What Docker Hub says with each manifest (`ratelimit-limit: 100;w=21600` and
/// `ratelimit-remaining: 76;w=21600`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many pulls there are in a window of time.
    pub limit: u64,
    /// How many of them are left.
    pub remaining: u64,
    /// How long the window is; unknown if the registry does not say.
    pub window: Option<Duration>,
}

impl RateLimit {
    /// What an answer says, if it says anything.
    pub(crate) fn of(headers: &HeaderMap) -> Option<RateLimit> {
        let read = |name: &str| {
            let text = headers.get(name)?.to_str().ok()?;
            let (number, rest) = text.split_once(';').unwrap_or((text, ""));
            let window = rest.split(';').find_map(|part| part.trim().strip_prefix("w="));
            Some((number.trim().parse().ok()?, window.and_then(|seconds| seconds.parse().ok())))
        };
        let (limit, window) = read("ratelimit-limit")?;
        let (remaining, _) = read("ratelimit-remaining")?;
        Some(RateLimit { limit, remaining, window: window.map(Duration::from_secs) })
    }
}
