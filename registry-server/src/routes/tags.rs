//! `/v2/<name>/tags/list`: the tags of a repository.

use std::ops::Bound;

use axum::response::Response;
use http::request::Parts;
use serde_json::json;

use super::{Page, json, only_get};
use crate::Registry;
use crate::name::{Repository, Tag};
use crate::problem::{Code, Problem};
use crate::storage::look;

pub(crate) async fn answer(
    registry: &Registry,
    repository: &Repository,
    head: &Parts,
) -> Result<Response, Problem> {
    only_get(head)?;
    let page = Page::of(head)?;
    let state = registry.0.storage.0.state(repository).await?.ok_or_else(|| {
        Problem::unknown(Code::NameUnknown, format!("repository {repository} is unknown"))
    })?;
    let after = page.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let (tags, more) = {
        let state = look(&state);
        let mut rest = state.tags().range::<str, _>((after, Bound::Unbounded)).map(|(tag, _)| tag);
        let tags: Vec<Tag> = rest.by_ref().take(page.limit).cloned().collect();
        (tags, rest.next().is_some())
    };
    let names: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    let mut response =
        json("application/json", &json!({ "name": repository.as_str(), "tags": names }));
    if let (Some(last), true) = (names.last(), more) {
        response.headers_mut().extend([page.next(&format!("/v2/{repository}/tags/list"), last)]);
    }
    Ok(response)
}
