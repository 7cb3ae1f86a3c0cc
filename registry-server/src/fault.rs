//! Faults on purpose, to test clients with: of so many answers, by chance, some fail.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http::StatusCode;

use crate::problem::{Code, Problem};

/// What goes wrong how often. Each share is between 0 and 1.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    statuses: Vec<(StatusCode, f64)>,
    /// The share of bodies that end in the middle.
    cut: f64,
    /// How long each answer is delayed.
    slow: Duration,
    /// Counts the answers: the same requests in the same order meet the same faults.
    count: Arc<AtomicU64>,
}

impl FromStr for Faults {
    type Err = String;

    /// Reads `429=0.1,500=0.01,cut=0.05,slow=200ms`.
    fn from_str(text: &str) -> Result<Faults, String> {
        let mut faults = Faults::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or(format!("`{part}` has no value"))?;
            if name == "slow" {
                let count = value.strip_suffix("ms").unwrap_or(value);
                let millis =
                    count.parse().map_err(|_| format!("`{value}` is no time like 200ms"))?;
                faults.slow = Duration::from_millis(millis);
                continue;
            }
            let share: f64 = value.parse().map_err(|_| format!("`{value}` is no share"))?;
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("`{value}` is not between 0 and 1"));
            }
            match name.parse::<u16>().ok().and_then(|code| StatusCode::from_u16(code).ok()) {
                _ if name == "cut" => faults.cut = share,
                Some(status) if status.as_u16() >= 400 => faults.statuses.push((status, share)),
                _ => {
                    return Err(format!("`{name}` is neither `cut`, `slow` nor an error's status"));
                }
            }
        }
        Ok(faults)
    }
}

impl Faults {
    fn are_none(&self) -> bool {
        self.statuses.is_empty() && self.cut == 0.0 && self.slow.is_zero()
    }

    /// A number between 0 and 1, another one each time (SplitMix64).
    fn chance(&self) -> f64 {
        let mut z = self.count.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// What is answered instead, before anything is done.
    pub(crate) async fn before(&self) -> Result<(), Problem> {
        if self.are_none() {
            return Ok(());
        }
        tokio::time::sleep(self.slow).await;
        for (status, share) in &self.statuses {
            if self.chance() < *share {
                let problem = match *status {
                    StatusCode::TOO_MANY_REQUESTS => Problem::later(1, "a fault on purpose"),
                    status => Problem::new(status, Code::Unknown, "a fault on purpose"),
                };
                return Err(problem);
            }
        }
        Ok(())
    }

    /// Cuts the body of an answer, by chance.
    pub(crate) fn after(&self, response: Response) -> Response {
        if self.cut == 0.0 || self.chance() >= self.cut {
            return response;
        }
        response.map(|body| {
            // Half of a body in one piece, or what came before its second piece.
            let pieces = body.into_data_stream().enumerate().map(|(index, piece)| match index {
                0 => piece.map(|bytes| bytes.slice(..bytes.len() / 2)),
                _ => Err(axum::Error::new("a fault on purpose")),
            });
            let end = stream::once(async { Err(axum::Error::new("a fault on purpose")) });
            Body::from_stream(pieces.chain(end))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_as_often_as_they_are_asked_for() {
        let faults: Faults = "429=0.25,cut=0.5,slow=5ms".parse().unwrap();
        let hits = (0..4000).filter(|_| faults.chance() < 0.25).count();
        assert!((900..1100).contains(&hits), "{hits}");
        for wrong in ["x", "429", "429=2", "200=0.1", "slow=soon", "cut=-1"] {
            assert!(wrong.parse::<Faults>().is_err(), "{wrong}");
        }
    }
}
