//! The body of a request: bytes, or a stream that can be opened again for another try.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};

use crate::pace::Paced;

/// Bytes on their way to a registry. They are opened again for every try, so that an upload can
/// be repeated or resumed.
pub trait BodySource: Send + Sync {
    /// Opens the bytes from `offset` to their end.
    fn open(&self, offset: u64)
    -> BoxFuture<'_, io::Result<BoxStream<'static, io::Result<Bytes>>>>;
}

impl BodySource for Bytes {
    fn open(
        &self,
        offset: u64,
    ) -> BoxFuture<'_, io::Result<BoxStream<'static, io::Result<Bytes>>>> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let rest = self.slice(start..);
        Box::pin(async move { Ok(stream::once(async move { Ok(rest) }).boxed()) })
    }
}

/// What a request carries.
#[derive(Clone)]
pub(crate) enum Payload<'a> {
    Nothing,
    Bytes(Bytes),
    /// `length` bytes of `source` from `offset`.
    Stream {
        source: &'a dyn BodySource,
        offset: u64,
        length: u64,
    },
}

impl Payload<'_> {
    /// The body's length in bytes.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Payload::Nothing => 0,
            Payload::Bytes(bytes) => bytes.len() as u64,
            Payload::Stream { length, .. } => *length,
        }
    }

    /// Opens the body, with the watch that tells how its sending goes.
    pub(crate) async fn open(&self, pace: Option<Paced>) -> io::Result<(reqwest::Body, Watch)> {
        let watch = Watch::new(matches!(self, Payload::Nothing | Payload::Bytes(_)));
        let body = match self {
            Payload::Nothing => reqwest::Body::default(),
            Payload::Bytes(bytes) => reqwest::Body::from(bytes.clone()),
            Payload::Stream { source, offset, length } => {
                let inner = source.open(*offset).await?;
                let (left, watch) = (*length, watch.clone());
                reqwest::Body::wrap_stream(Watched { inner, left, watch, pace })
            }
        };
        Ok((body, watch))
    }
}

/// Tells whether a body moves, and whom it waits for.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Mutex<Progress>>);

struct Progress {
    /// Since when the network has been taking no more bytes; `None` while our source makes it wait.
    network_since: Option<Instant>,
    /// Whether all bytes were taken, and only the answer is missing.
    all_taken: bool,
    failed: Option<io::Error>,
}

impl Watch {
    fn new(all_taken: bool) -> Watch {
        let network_since = Some(Instant::now());
        Watch(Arc::new(Mutex::new(Progress { network_since, all_taken, failed: None })))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Progress) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why the source failed, if it did.
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        self.with(|progress| progress.failed.take())
    }

    /// Ends when the network has stood still for `idle`, or when all bytes were taken and no
    /// answer came for `answer`. Says for how long.
    pub(crate) async fn stalled(&self, idle: Duration, answer: Duration) -> Duration {
        loop {
            let (limit, left) = self.with(|progress| {
                let limit = if progress.all_taken { answer } else { idle };
                let waited = progress.network_since.map_or(Duration::ZERO, |s| s.elapsed());
                (limit, limit.saturating_sub(waited))
            });
            if left.is_zero() {
                return limit;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// Passes bytes on, exactly `left` of them: an HTTP body with another length than was announced
/// would leave the connection in disorder.
struct Watched {
    inner: BoxStream<'static, io::Result<Bytes>>,
    left: u64,
    watch: Watch,
    pace: Option<Paced>,
}

impl Watched {
    fn fail(&mut self, error: io::Error) -> io::Error {
        let told = io::Error::new(error.kind(), "the source of the body failed");
        self.watch.with(|progress| progress.failed = Some(error));
        self.left = 0;
        told
    }
}

impl Stream for Watched {
    type Item = io::Result<Bytes>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        use std::task::Poll;
        if let Some(pace) = &mut self.pace
            && pace.poll(context).is_pending()
        {
            // The wait is our own.
            self.watch.with(|progress| progress.network_since = None);
            return Poll::Pending;
        }
        let polled = self.inner.as_mut().poll_next(context);
        let waits_for_source = polled.is_pending();
        self.watch.with(|progress| {
            progress.network_since = (!waits_for_source).then(Instant::now);
        });
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) if self.left == 0 => {
                self.watch.with(|progress| progress.all_taken = true);
                Poll::Ready(None)
            }
            Poll::Ready(None) => {
                let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the bytes end too early");
                Poll::Ready(Some(Err(self.fail(error))))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(self.fail(error)))),
            Poll::Ready(Some(Ok(mut bytes))) => {
                let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                let rest = bytes.split_off(take);
                if !rest.is_empty() {
                    // A chunk of an upload ends here; the rest belongs to the next request.
                    self.inner = stream::empty().boxed();
                }
                self.left -= take as u64;
                if let Some(pace) = &mut self.pace {
                    pace.spend(take as u64);
                }
                if self.left == 0 {
                    self.watch.with(|progress| progress.all_taken = true);
                }
                Poll::Ready(Some(Ok(bytes)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn collect(bytes: &'static [u8], offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let source = Bytes::from_static(bytes);
        let inner = source.open(offset).await?;
        let mut stream = Watched { inner, left: length, watch: Watch::new(false), pace: None };
        let mut all = Vec::new();
        while let Some(chunk) = stream.next().await {
            all.extend_from_slice(&chunk?);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn a_body_has_the_announced_length_or_fails() {
        assert_eq!(collect(b"abcdef", 2, 3).await.unwrap(), b"cde");
        assert_eq!(collect(b"abcdef", 2, 4).await.unwrap(), b"cdef");
        assert_eq!(collect(b"", 0, 0).await.unwrap(), b"");
        assert!(collect(b"abcdef", 2, 5).await.is_err());
    }

    #[tokio::test]
    async fn a_watch_sees_the_network_stand_still() {
        let (short, long) = (Duration::from_millis(20), Duration::from_secs(60));
        let watch = Watch::new(false);
        assert_eq!(watch.stalled(short, long).await, short);
        watch.with(|progress| progress.network_since = None);
        assert!(tokio::time::timeout(short * 3, watch.stalled(short, long)).await.is_err());
        assert_eq!(Watch::new(true).stalled(long, short).await, short);
    }
}
