//! Challenges: what a registry wants as a proof (RFC 9110, section 11.6.1).

use http::header::{HeaderMap, WWW_AUTHENTICATE};
use http_auth::{ChallengeRef, parse_challenges};

use super::Scopes;

/// A challenge that we can meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer(TokenService),
}

/// The service that issues a registry's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenService {
    /// Its URL, as the registry wrote it.
    pub(super) realm: String,
    /// What it knows the registry by.
    pub(super) service: Option<String>,
    /// What the refused request would have needed.
    pub(super) scopes: Scopes,
}

impl Challenge {
    /// The challenge to meet among those of an answer: tokens before passwords. Others, such as
    /// Negotiate, are passed over; so is a header that cannot be understood.
    pub(super) fn choose(headers: &HeaderMap) -> Option<Challenge> {
        let mut best = None;
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let Ok(value) = value.to_str() else { continue };
            let Ok(challenges) = parse_challenges(value) else { continue };
            for challenge in &challenges {
                match Challenge::read(challenge) {
                    bearer @ Some(Challenge::Bearer(_)) => return bearer,
                    Some(Challenge::Basic) => best = Some(Challenge::Basic),
                    None => {}
                }
            }
        }
        best
    }

    fn read(challenge: &ChallengeRef<'_>) -> Option<Challenge> {
        if challenge.scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !challenge.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameter = |name: &str| {
            let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(found.1.to_unescaped()).filter(|value| !value.is_empty())
        };
        Some(Challenge::Bearer(TokenService {
            realm: parameter("realm")?,
            service: parameter("service"),
            scopes: Scopes::parse(&parameter("scope").unwrap_or_default()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::choose(&headers)
    }

    #[test]
    fn tokens_are_chosen_before_passwords_and_strangers_are_passed_over() {
        let bearer = r#"bearer Realm="https://a/t",service=r,scope="repository:x/y:pull,push""#;
        let Some(Challenge::Bearer(service)) = choose(&["Negotiate", "Basic realm=x", bearer])
        else {
            panic!("no bearer challenge")
        };
        assert_eq!(service.realm, "https://a/t");
        assert_eq!(service.service.as_deref(), Some("r"));
        assert_eq!(service.scopes, Scopes::parse("repository:x/y:pull,push"));
        let both = format!("Basic realm=\"a, b\", {bearer}");
        assert!(matches!(choose(&[&both]), Some(Challenge::Bearer(_))));
        assert_eq!(choose(&["BASIC realm=\"x\""]), Some(Challenge::Basic));
        for useless in [&["Negotiate"][..], &[], &["Bearer service=r"], &["\u{1}\"", "= ="]] {
            if useless.iter().all(|value| value.parse::<http::HeaderValue>().is_ok()) {
                assert_eq!(choose(useless), None, "{useless:?}");
            }
        }
    }
}
