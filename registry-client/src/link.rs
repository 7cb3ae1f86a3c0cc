//! Lists in pages: `Link` (RFC 8288) leads from one to the next.

use std::collections::HashSet;

use http::Method;
use http::header::{self, HeaderMap};
use url::Url;

use crate::Result;
use crate::auth::Scopes;
use crate::client::Client;
use crate::error::{Call, Error};
use crate::host::Host;
use crate::origin::same_origin;
use crate::transport::{Request, Target};

/// How large one page may be, in bytes.
const MAX_PAGE: u64 = 8 << 20;
/// How many pages a list may have.
const MAX_PAGES: usize = 10_000;

impl Client {
    /// Reads all pages of a list. `take` gets each page's body and answers whether it brought
    /// anything new; a page that does not, and yet leads on, would lead on forever.
    pub(crate) async fn pages(
        &self,
        host: &Host,
        call: Call,
        path: String,
        scopes: Scopes,
        mut take: impl FnMut(&HeaderMap, Vec<u8>) -> Result<bool>,
    ) -> Result<()> {
        let mut target = Target::Path(path);
        let mut seen = HashSet::new();
        for _ in 0..MAX_PAGES {
            let request = Request::new(call.clone(), Method::GET, target, scopes.clone());
            let (headers, url, body) = self.transport.fetch(host, &request, MAX_PAGE).await?;
            let brought_something = take(&headers, body)?;
            let Some(next) = next_page(&headers) else { return Ok(()) };
            let next = url
                .join(&next)
                .map_err(|_| Error::protocol(&call, "links to a next page that is no address"))?;
            let next = on_same_host(&url, next)
                .ok_or_else(|| Error::protocol(&call, "links to a next page on another host"))?;
            seen.insert(url);
            if !brought_something || seen.contains(&next) {
                return Err(Error::protocol(&call, "links to the same page again and again"));
            }
            target = Target::Url(next);
        }
        Err(Error::protocol(&call, format!("has a list of more than {MAX_PAGES} pages")))
    }
}

/// A registry behind a proxy that ends TLS may write `http`: the scheme stays as it is.
fn on_same_host(from: &Url, mut next: Url) -> Option<Url> {
    if from.scheme() == "https" && next.scheme() == "http" && next.port().is_none() {
        next.set_scheme("https").ok()?;
    }
    same_origin(from, &next).then_some(next)
}

/// The target of the link whose relation is `next`.
fn next_page(headers: &HeaderMap) -> Option<String> {
    headers.get_all(header::LINK).iter().find_map(|value| {
        let mut rest = value.to_str().ok()?;
        loop {
            let (_, after) = rest.split_once('<')?;
            let (target, after) = after.split_once('>')?;
            let parameters = after.split(",").next().unwrap_or_default();
            let is_next = parameters.split(';').any(|parameter| {
                parameter.split_once('=').is_some_and(|(name, value)| {
                    let relations = value.trim().trim_matches('"');
                    name.trim().eq_ignore_ascii_case("rel")
                        && relations.split(' ').any(|r| r.eq_ignore_ascii_case("next"))
                })
            });
            if is_next {
                return Some(target.to_owned());
            }
            rest = after;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_all_forms() {
        for (value, expected) in [
            (r#"</v2/x/tags/list?n=2&last=b>; rel="next""#, Some("/v2/x/tags/list?n=2&last=b")),
            ("<https://r.io/v2/?a,b>;rel=next", Some("https://r.io/v2/?a,b")),
            (r#"<a>; rel="prev", <b>; title="t"; REL="last next""#, Some("b")),
            (r#"<a>; rel="prev""#, None),
            ("junk", None),
            ("<a; rel=next", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::LINK, value.parse().unwrap());
            assert_eq!(next_page(&headers).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn a_list_stays_on_its_host() {
        let from: Url = "https://r.io/v2/a".parse().unwrap();
        for (next, allowed) in [
            ("https://r.io/v2/b", true),
            ("http://r.io/v2/b", true),
            ("http://r.io:81/v2/b", false),
            ("https://evil.io/v2/b", false),
        ] {
            assert_eq!(on_same_host(&from, next.parse().unwrap()).is_some(), allowed, "{next}");
        }
    }
}
