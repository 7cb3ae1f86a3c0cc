//! The first request to a registry that speaks plain HTTP or TLS: it is its own ping.

use http::{Method, StatusCode};

use crate::host::Host;
use crate::payload::Payload;
use crate::transport::{Answer, Request, Target, Transport};
use crate::{Error, Result};

impl Transport {
    /// Sends a request that changes nothing to where the registry is presumed, without saying who
    /// we are. What is answered there as HTTP spares the ping that would else come first.
    ///
    /// # Errors
    /// If the registry is silent, or says that the request is bad and nobody is found behind it.
    /// Everything else is left to the ping to judge.
    pub(crate) async fn presume(
        &self,
        host: &Host,
        request: &Request<'_>,
    ) -> Result<Option<Answer>> {
        let (Some(base), Some(path)) = (host.presumed(), harmless_path(request)) else {
            return Ok(None);
        };
        let url = host.url(&base.url, path)?;
        match self.follow(host, request, url, None).await {
            Ok(answer) => {
                // What a TLS server says, too, to a client that speaks plain HTTP.
                if answer.response.status() == StatusCode::BAD_REQUEST {
                    host.base(&self.clients).await?;
                } else {
                    host.settle(base);
                }
                Ok(host.known_base().filter(|found| found.url == base.url).map(|_| answer))
            }
            Err(error @ Error::Idle { .. }) => Err(error),
            Err(_) => Ok(None),
        }
    }
}

/// The path of a request that may be sent twice.
fn harmless_path<'a>(request: &'a Request<'_>) -> Option<&'a str> {
    match (&request.method, &request.payload, &request.target) {
        (&Method::GET | &Method::HEAD, Payload::Nothing, Target::Path(path)) => Some(path),
        _ => None,
    }
}
