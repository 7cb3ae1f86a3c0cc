//! Bodies that are refused. A client that is still sending when the connection closes is reset by
//! the kernel and may never read the answer; so what is left of a body is read for a while.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::HeaderMap;
use http::header::EXPECT;

/// How much is read and thrown away, in bytes; who sends more is reset.
const MOST: usize = 8 << 20;
/// And for how long.
const LONGEST: Duration = Duration::from_secs(5);
/// A client that pauses for so long has stopped to send.
const PAUSE: Duration = Duration::from_millis(500);

/// A body that is read on for a while when it is dropped before its end.
pub(crate) fn lingering(headers: &HeaderMap, body: Body) -> Body {
    // Who waits for a `100 Continue` sends nothing until the body is asked for.
    if headers.contains_key(EXPECT) {
        return body;
    }
    Body::from_stream(Lingering(Some(body.into_data_stream())))
}

/// `None` after the end.
struct Lingering(Option<BodyDataStream>);

impl Stream for Lingering {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(rest) = &mut self.0 else { return Poll::Ready(None) };
        let item = ready!(rest.poll_next_unpin(context));
        if !matches!(item, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(item)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        // Dropped outside a runtime there is no connection either.
        if let (Some(rest), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(LONGEST, drain(rest)));
        }
    }
}

async fn drain(mut rest: BodyDataStream) {
    let mut read = 0;
    while let Ok(Some(Ok(bytes))) = tokio::time::timeout(PAUSE, rest.next()).await {
        read += bytes.len();
        if read > MOST {
            break;
        }
    }
}
