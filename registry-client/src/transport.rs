//! Requests to registries: authentication, redirects and retries in one place.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use reqwest::Response;
use tokio::sync::Semaphore;
use url::Url;

use crate::auth::{Given, Scopes};
use crate::error::{Call, Error, parse_errors};
use crate::host::Host;
use crate::http_client::{HttpClients, Security};
use crate::origin::{self, Pointer, same_origin};
use crate::pace::{Pace, Paced};
use crate::payload::Payload;
use crate::retry::{Failure, Tries, classify, retry_after};
use crate::unfinished::Unfinished;
use crate::{Config, Result, Retry};

const MAX_REDIRECTS: usize = 8;
const MAX_AUTH_ROUNDS: usize = 3;
/// How much of an error's body is read, in bytes.
const MAX_ERROR_BODY: u64 = 64 << 10;
/// How many times longer than for bytes we wait for the answer to a body that is sent: some
/// registries move a blob to its place before they answer.
const COMMIT_PATIENCE: u32 = 5;

/// A request as its caller sees it.
#[derive(Clone)]
pub(crate) struct Request<'a> {
    pub(crate) call: Call,
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) scopes: Scopes,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload<'a>,
    /// Statuses besides 2xx that the caller handles.
    pub(crate) expects: &'static [StatusCode],
}

/// Where a request goes.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A path with an optional query, at the registry.
    Path(String),
    /// A URL that the registry gave.
    Url(Url),
}

/// An answer and the URL of the request that it answers.
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) url: Url,
}

impl<'a> Request<'a> {
    pub(crate) fn new(call: Call, method: Method, target: Target, scopes: Scopes) -> Request<'a> {
        Request {
            call,
            method,
            target,
            scopes,
            headers: HeaderMap::new(),
            payload: Payload::Nothing,
            expects: &[],
        }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: header::HeaderName, value: &str) -> Request<'a> {
        // Every value is made of digests, numbers and checked names.
        let value = HeaderValue::from_str(value).expect("our header values are visible ASCII");
        self.headers.insert(name, value);
        self
    }

    #[must_use]
    pub(crate) fn payload(mut self, payload: Payload<'a>) -> Request<'a> {
        self.payload = payload;
        self
    }

    #[must_use]
    pub(crate) fn expects(mut self, statuses: &'static [StatusCode]) -> Request<'a> {
        self.expects = statuses;
        self
    }

    fn pointer(&self) -> Pointer {
        match self.method {
            Method::GET | Method::HEAD => Pointer::Redirect,
            _ => Pointer::Upload,
        }
    }
}

/// Sends requests through the clients of one configuration.
#[derive(Clone)]
pub(crate) struct Transport {
    pub(crate) clients: Arc<HttpClients>,
    /// What is remembered of transfers under way.
    pub(crate) unfinished: Option<Arc<Unfinished>>,
    /// The limit of the rate, if there is one.
    pace: Option<Pace>,
    /// The room for parts of blobs that are fetched ahead.
    pub(crate) room: Arc<Semaphore>,
}

impl Transport {
    pub(crate) fn new(config: Config) -> Transport {
        let unfinished = config.unfinished.clone().map(|at| Arc::new(Unfinished::new(at)));
        let pace = config.limit_rate.map(Pace::new);
        let room = Arc::new(Semaphore::new(config.parts_ahead));
        Transport { clients: Arc::new(HttpClients::new(config)), unfinished, pace, room }
    }

    pub(crate) fn idle(&self) -> Duration {
        self.clients.config().timeouts.idle
    }

    /// The tries of one call: of a mirror it is one, for there is another place to ask.
    pub(crate) fn tries(&self, host: &Host) -> Tries {
        let policy = &self.clients.config().retry;
        match host.is_mirror {
            true => Tries::new(&Retry { times: 0, ..policy.clone() }),
            false => Tries::new(policy),
        }
    }

    /// Sends a request until it is answered, by the policy of retries.
    pub(crate) async fn send(&self, host: &Host, request: &Request<'_>) -> Result<Answer> {
        let mut tries = self.tries(host);
        loop {
            match self.send_once(host, request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.wait_after(host, &mut tries, error).await?,
            }
        }
    }

    /// Sends a request and reads the whole answer, at most `limit` bytes, by the policy of
    /// retries.
    pub(crate) async fn fetch(
        &self,
        host: &Host,
        request: &Request<'_>,
        limit: u64,
    ) -> Result<(HeaderMap, Url, Vec<u8>)> {
        let mut tries = self.tries(host);
        loop {
            match self.fetch_once(host, request, limit).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => self.wait_after(host, &mut tries, error).await?,
            }
        }
    }

    /// [`Transport::fetch`] in one try.
    pub(crate) async fn fetch_once(
        &self,
        host: &Host,
        request: &Request<'_>,
        limit: u64,
    ) -> Result<(HeaderMap, Url, Vec<u8>)> {
        let Answer { mut response, url } = self.send_once(host, request).await?;
        let headers = std::mem::take(response.headers_mut());
        let body = self.read(&request.call, response, limit).await?;
        Ok((headers, url, body))
    }

    /// Waits until it is time for the next try.
    ///
    /// # Errors
    /// `error` itself if there will be none.
    pub(crate) async fn wait_after(
        &self,
        host: &Host,
        tries: &mut Tries,
        error: Error,
    ) -> Result<()> {
        let failure = classify(&error, host.answered());
        let Some(delay) = tries.next(failure) else { return Err(error) };
        tracing::debug!(%error, ?delay, "trying again");
        let busy = error.status() == Some(StatusCode::TOO_MANY_REQUESTS)
            || matches!(failure, Failure::Passing { asked_delay: Some(_) });
        if busy {
            host.pause.extend(delay);
            host.pause.wait().await;
        } else {
            tokio::time::sleep(delay).await;
        }
        Ok(())
    }

    /// Sends a request once, but for authentication and redirects.
    ///
    /// # Errors
    /// Every status that is neither 2xx nor expected is an error.
    pub(crate) async fn send_once(&self, host: &Host, request: &Request<'_>) -> Result<Answer> {
        host.pause.wait().await;
        // A body may itself come out of this registry: if it held a permit, the requests for its
        // bytes might wait for it forever.
        let _permit = match request.payload {
            Payload::Stream { .. } => None,
            _ => Some(host.permits.acquire().await.expect("the semaphore is never closed")),
        };
        let answer = self.authenticate(host, request).await?;
        let status = answer.response.status();
        if status.is_success() || request.expects.contains(&status) {
            return Ok(answer);
        }
        Err(self.status_error(&request.call, answer.response).await)
    }

    /// The error that an answer is.
    pub(crate) async fn status_error(&self, call: &Call, response: Response) -> Error {
        let status = response.status();
        let retry_after = retry_after(response.headers(), SystemTime::now());
        // The status says enough if the body cannot be read.
        let body = self.read(call, response, MAX_ERROR_BODY).await.unwrap_or_default();
        Error::Status { call: call.clone(), status, errors: parse_errors(&body), retry_after }
    }

    async fn authenticate(&self, host: &Host, request: &Request<'_>) -> Result<Answer> {
        let mut first = self.presume(host, request).await?;
        let base = host.base(&self.clients).await?;
        let url = match &request.target {
            Target::Path(path) => host.url(&base.url, path)?,
            Target::Url(url) => url.clone(),
        };
        if !same_origin(&url, &base.url) {
            // Not our registry: no credentials, and no answer to a challenge.
            return self.follow(host, request, url, None).await;
        }
        let mut scopes = request.scopes.clone();
        let mut round = 1;
        loop {
            let (given, answer) = match first.take() {
                Some(answer) => (Given::Unasked, answer),
                None => {
                    let given = host.auth.authorization(self, host, &scopes).await?;
                    let answer = self.follow(host, request, url.clone(), given.header()).await?;
                    (given, answer)
                }
            };
            let refused = answer.response.status() == StatusCode::UNAUTHORIZED
                && same_origin(&answer.url, &base.url);
            if !refused {
                return Ok(answer);
            }
            let headers = answer.response.headers().clone();
            let again = round < MAX_AUTH_ROUNDS
                && match host.auth.refused(&headers, &given, &mut scopes) {
                    Some(again) => again,
                    None => self.ask_for_challenge(host, base.url.clone()).await?,
                };
            if !again {
                let body = self.read(&request.call, answer.response, MAX_ERROR_BODY).await;
                return Err(Error::Unauthorized {
                    call: request.call.clone(),
                    given: host.auth.has_credentials(),
                    errors: parse_errors(&body.unwrap_or_default()),
                });
            }
            round += 1;
        }
    }

    /// Some registries say 401 without saying how to log in; `/v2/` tells.
    async fn ask_for_challenge(&self, host: &Host, base: Url) -> Result<bool> {
        let call = Call {
            operation: "ask how to log in",
            object: String::new(),
            place: host.registry.clone(),
        };
        let target = Target::Path("/v2/".into());
        let request = Request::new(call, Method::GET, target, Scopes::default());
        let url = host.url(&base, "/v2/")?;
        let answer = self.follow(host, &request, url, None).await?;
        Ok(host.auth.learn(answer.response.headers()))
    }

    /// Sends a request, and again where it is redirected to. The authorization goes to the first
    /// origin alone.
    pub(crate) async fn follow(
        &self,
        host: &Host,
        request: &Request<'_>,
        url: Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer> {
        let call = &request.call;
        let (first, mut url, mut method) = (url.clone(), url, request.method.clone());
        for _ in 0..=MAX_REDIRECTS {
            let authorization = authorization.filter(|_| same_origin(&first, &url));
            let response = self.exchange(host, request, &method, &url, authorization).await?;
            if !is_redirect(response.status()) {
                return Ok(Answer { response, url });
            }
            let Some(location) = response.headers().get(header::LOCATION) else {
                return Err(Error::protocol(call, "redirects without saying where to"));
            };
            let next = location.to_str().ok().and_then(|to| url.join(to).ok());
            let next = next.ok_or_else(|| Error::protocol(call, "redirects to no address"))?;
            origin::check(&url, &next, request.pointer()).map_err(|reason| {
                let target = origin::printable(&next);
                Error::RefusedTarget { call: call.clone(), kind: "a redirect", target, reason }
            })?;
            if response.status() == StatusCode::SEE_OTHER && method != Method::HEAD {
                method = Method::GET;
            }
            url = next;
        }
        Err(Error::protocol(call, format!("redirects more than {MAX_REDIRECTS} times")))
    }

    async fn exchange(
        &self,
        host: &Host,
        request: &Request<'_>,
        method: &Method,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response> {
        let call = &request.call;
        let security = self.security(host, url);
        // Certificates and headers that are a registry's own are for its own server.
        let is_own = host.known_base().is_some_and(|base| base.url.origin() == url.origin());
        let client = match is_own {
            true => self.clients.of(host.tls(), security)?,
            false => self.clients.get(security)?.clone(),
        };
        let failed = |source| Error::Body { call: call.clone(), source };
        let (body, watch) =
            request.payload.open(self.pace.as_ref().map(Paced::new)).await.map_err(failed)?;
        let mut builder = client
            .request(method.clone(), url.clone())
            .headers(request.headers.clone())
            // What is compressed on the way has another size and another digest.
            .header(header::ACCEPT_ENCODING, "identity");
        if is_own {
            builder = builder.headers(host.headers().clone());
        }
        if let Some(authorization) = authorization {
            builder = builder.header(header::AUTHORIZATION, authorization.clone());
        }
        if matches!(*method, Method::PUT | Method::POST | Method::PATCH) {
            let length = request.payload.length();
            builder = builder.header(header::CONTENT_LENGTH, length).body(body);
        }
        let answer = match *method {
            Method::PUT => self.idle() * COMMIT_PATIENCE,
            _ => self.idle(),
        };
        let sent = tokio::select! {
            sent = builder.send() => sent,
            after = watch.stalled(self.idle(), answer) => {
                return Err(Error::Idle { call: call.clone(), after });
            }
        };
        match sent {
            Ok(response) => {
                host.set_answered();
                host.note_rate_limit(response.headers());
                Ok(response)
            }
            Err(error) => Err(match watch.take_failure() {
                Some(source) => failed(source),
                None => Error::connection(call, error),
            }),
        }
    }

    /// How a URL is spoken to.
    pub(crate) fn security(&self, host: &Host, url: &Url) -> Security {
        let rules = &self.clients.config().hosts;
        let same_host = |base: &crate::host::Base| base.url.host() == url.host();
        if url.scheme() == "http" {
            Security::Plain
        } else if rules.all_insecure
            || (host.is_insecure(rules) && host.known_base().is_some_and(same_host))
        {
            Security::Unverified
        } else {
            Security::Verified
        }
    }

    /// Reads a body of at most `limit` bytes.
    pub(crate) async fn read(
        &self,
        call: &Call,
        mut response: Response,
        limit: u64,
    ) -> Result<Vec<u8>> {
        let too_large = || Error::TooLarge { call: call.clone(), limit };
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = self.next_chunk(call, &mut response).await? {
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The next bytes of a body.
    pub(crate) async fn next_chunk(
        &self,
        call: &Call,
        response: &mut Response,
    ) -> Result<Option<bytes::Bytes>> {
        let after = self.idle();
        match tokio::time::timeout(after, response.chunk()).await {
            Ok(Ok(chunk)) => {
                if let (Some(pace), Some(chunk)) = (&self.pace, &chunk) {
                    tokio::time::sleep(pace.spend(chunk.len() as u64)).await;
                }
                Ok(chunk)
            }
            Ok(Err(error)) => Err(Error::connection(call, error)),
            Err(_) => Err(Error::Idle { call: call.clone(), after }),
        }
    }
}

/// Names and values as queries and forms carry them.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
