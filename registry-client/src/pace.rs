//! A limit of the rate at which bytes pass.

use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// Shared by all connections of one client. Bytes are paid for after they have passed, so that
/// none is ever cut in two.
#[derive(Clone)]
pub(crate) struct Pace {
    rate: NonZeroU64,
    /// When what has passed until now is paid for.
    paid_at: Arc<Mutex<Instant>>,
}

impl Pace {
    /// So many bytes in a second.
    pub(crate) fn new(rate: NonZeroU64) -> Pace {
        Pace { rate, paid_at: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Notes that bytes passed; how long to wait before the next.
    pub(crate) fn spend(&self, bytes: u64) -> Duration {
        let now = Instant::now();
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate.get());
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut paid_at = self.paid_at.lock().unwrap_or_else(PoisonError::into_inner);
        *paid_at = now.max(*paid_at) + cost;
        paid_at.saturating_duration_since(now)
    }
}

/// The pace of one body on its way out.
pub(crate) struct Paced {
    pace: Pace,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    /// The body begins when what passed before it is paid for.
    pub(crate) fn new(pace: &Pace) -> Paced {
        let owed = pace.spend(0);
        let waiting = (!owed.is_zero()).then(|| Box::pin(tokio::time::sleep(owed)));
        Paced { pace: pace.clone(), waiting }
    }

    /// Ready when the next bytes may pass.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(sleep) = &mut self.waiting else { return Poll::Ready(()) };
        let polled = sleep.as_mut().poll(context);
        if polled.is_ready() {
            self.waiting = None;
        }
        polled
    }

    /// Notes that bytes passed.
    pub(crate) fn spend(&mut self, bytes: u64) {
        self.waiting = Some(Box::pin(tokio::time::sleep(self.pace.spend(bytes))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_paid_for_by_all_who_share_the_pace() {
        let pace = Pace::new(NonZeroU64::new(1000).unwrap());
        let first = pace.spend(500);
        let second = pace.clone().spend(1000);
        assert!(first > Duration::from_millis(400) && first <= Duration::from_millis(500));
        assert!(second > Duration::from_millis(1300) && second <= Duration::from_millis(1500));
    }
}
