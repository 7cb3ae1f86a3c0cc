//! How requests reach servers.

use std::error::Error;
use std::io::Read;

/// Why a request came to nothing.
pub type WebError = Box<dyn Error + Send + Sync>;

/// Carries requests to servers. The headers given are to be sent as they are; the implementation
/// adds credentials, where it has any for the server.
pub trait Web: Send + Sync {
    /// Asks for what is behind a URL; redirects are followed.
    ///
    /// # Errors
    /// If the server cannot be reached, or answers with anything but the content.
    fn get(&self, url: &str, headers: &[(String, String)]) -> Result<Response, WebError>;

    /// Sends `body`; redirects are errors.
    ///
    /// # Errors
    /// As for [`Web::get`].
    fn post(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<Response, WebError>;
}

/// The answer to a request.
pub struct Response {
    /// Where it came from, after redirects.
    pub url: String,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// The content.
    pub body: Box<dyn Read + Send>,
}
