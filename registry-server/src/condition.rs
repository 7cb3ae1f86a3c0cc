//! Conditional requests (RFC 9110, section 13) over entity tags, which are digests here.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE};
use oci::Digest;

/// What a request demands of the present state of its target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    Any,
    Of(Vec<String>),
}

impl Condition {
    pub(crate) fn of(headers: &HeaderMap) -> Condition {
        Condition {
            if_match: Tags::of(headers, &IF_MATCH),
            if_none_match: Tags::of(headers, &IF_NONE_MATCH),
        }
    }

    /// Whether `If-Match` holds for what is there now.
    pub(crate) fn matches(&self, current: Option<&Digest>) -> bool {
        self.if_match.as_ref().is_none_or(|tags| tags.name(current))
    }

    /// Whether `If-None-Match` holds for what is there now.
    pub(crate) fn differs(&self, current: Option<&Digest>) -> bool {
        self.if_none_match.as_ref().is_none_or(|tags| !tags.name(current))
    }

    /// Whether a change may be made.
    pub(crate) fn holds(&self, current: Option<&Digest>) -> bool {
        self.matches(current) && self.differs(current)
    }
}

impl Tags {
    fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Tags> {
        let values: Vec<&str> =
            headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        if values.is_empty() {
            return None;
        }
        let tags = values.iter().flat_map(|value| value.split(',')).map(str::trim);
        let tags: Vec<&str> = tags.filter(|tag| !tag.is_empty()).collect();
        if tags.contains(&"*") {
            return Some(Tags::Any);
        }
        let bare = |tag: &str| tag.trim_start_matches("W/").trim_matches('"').to_owned();
        Some(Tags::Of(tags.into_iter().map(bare).collect()))
    }

    fn name(&self, current: Option<&Digest>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Tags::Any, Some(_)) => true,
            (Tags::Of(tags), Some(digest)) => tags.iter().any(|tag| *tag == digest.to_string()),
        }
    }
}

/// The entity tag of content that a digest names.
pub(crate) fn etag(digest: &Digest) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{digest}\"")).expect("a digest is printable")
}

/// Whether a range may be answered: there is no `If-Range`, or it names this content. We send no
/// dates, so none can match.
pub(crate) fn range_applies(headers: &HeaderMap, digest: &Digest) -> bool {
    headers.get(IF_RANGE).is_none_or(|value| *value == etag(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_as_http_says() {
        let (here, other) = (Digest::sha256(b"a"), Digest::sha256(b"b"));
        let quoted = |digest: &Digest| format!("\"{digest}\"");
        let both = format!("{}, {}", quoted(&other), quoted(&here));
        for (name, value, current, holds) in [
            (IF_MATCH, quoted(&here), Some(&here), true),
            (IF_MATCH, both.clone(), Some(&here), true),
            (IF_MATCH, quoted(&here), Some(&other), false),
            (IF_MATCH, quoted(&here), None, false),
            (IF_MATCH, "*".into(), Some(&here), true),
            (IF_MATCH, "*".into(), None, false),
            (IF_NONE_MATCH, "*".into(), None, true),
            (IF_NONE_MATCH, "*".into(), Some(&here), false),
            (IF_NONE_MATCH, format!("W/{}", quoted(&here)), Some(&here), false),
            (IF_NONE_MATCH, both, Some(&here), false),
            (IF_NONE_MATCH, quoted(&other), Some(&here), true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(&name, HeaderValue::from_str(&value).unwrap());
            assert_eq!(Condition::of(&headers).holds(current), holds, "{name}: {value}");
        }
        assert!(Condition::default().holds(None));
    }
}
