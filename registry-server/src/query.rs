//! The parameters behind the question mark.

use http::Uri;
use url::form_urlencoded;

/// The first value of a parameter.
pub(crate) fn first(uri: &Uri, name: &str) -> Option<String> {
    pairs(uri).find(|(key, _)| key == name).map(|(_, value)| value)
}

/// The first value of a parameter that says nothing when it is empty.
pub(crate) fn said(uri: &Uri, name: &str) -> Option<String> {
    first(uri, name).filter(|value| !value.is_empty())
}

/// All values of a parameter that may come several times.
pub(crate) fn all(uri: &Uri, name: &str) -> Vec<String> {
    pairs(uri).filter(|(key, _)| key == name).map(|(_, value)| value).collect()
}

/// Writes one value so that it can stand in a query.
pub(crate) fn encode(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

fn pairs(uri: &Uri) -> impl Iterator<Item = (String, String)> + '_ {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
}
