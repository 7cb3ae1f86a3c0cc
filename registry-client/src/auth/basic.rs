//! Basic authentication (RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;
use zeroize::Zeroizing;

use super::Secret;

/// The value of `Authorization`.
pub(super) fn header(username: &str, password: &Secret) -> HeaderValue {
    let pair = Zeroizing::new(format!("{username}:{}", password.reveal()));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

/// The user and password in base64, as configuration files hold them.
pub(super) fn decode(text: &str) -> Option<(String, Secret)> {
    let bytes = Zeroizing::new(STANDARD.decode(text.trim().trim_end_matches('\0')).ok()?);
    let pair = std::str::from_utf8(&bytes).ok()?;
    let (username, password) = pair.split_once(':')?;
    Some((username.to_owned(), Secret::new(password.trim_end_matches('\0'))))
}

/// What `Authorization` says for a name and a password, for servers that are no registry.
pub fn basic_authorization(username: &str, password: &str) -> String {
    format!("Basic {}", encode(username, &Secret::new(password)))
}

/// The opposite of [`decode`].
pub(super) fn encode(username: &str, password: &Secret) -> String {
    let pair = Zeroizing::new(format!("{username}:{}", password.reveal()));
    STANDARD.encode(pair.as_bytes())
}
