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
    let unknown =
        || Problem::unknown(Code::NameUnknown, format!("repository {repository} is unknown"));
    let after = page.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let range = (after, Bound::Unbounded);
    // One more than are given tells whether there are more.
    let some = |rest: &mut dyn Iterator<Item = &Tag>| {
        let mut tags: Vec<Tag> = rest.take(page.limit.saturating_add(1)).cloned().collect();
        let more = tags.len() > page.limit;
        tags.truncate(page.limit);
        (tags, more)
    };
    let (tags, more) = if registry.is_mirror(repository) {
        let all = registry.all_tags(repository).await?.ok_or_else(unknown)?;
        some(&mut all.range::<str, _>(range))
    } else {
        let state = registry.0.storage.0.state(repository).await?.ok_or_else(unknown)?;
        let state = look(&state);
        some(&mut state.tags().range::<str, _>(range).map(|(tag, _)| tag))
    };
    let names: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    let mut response =
        json("application/json", &json!({ "name": repository.as_str(), "tags": names }));
    if let (Some(last), true) = (names.last(), more) {
        response.headers_mut().extend([page.next(&format!("/v2/{repository}/tags/list"), last)]);
    }
    Ok(response)
}
