//! `/v2/_catalog`: the repositories. Docker's registry has it, the specification does not.

use axum::response::Response;
use http::request::Parts;
use serde_json::json;

use super::{Page, json, only_get};
use crate::Registry;
use crate::access::{Actions, Caller};
use crate::name::Repository;
use crate::problem::Problem;

pub(crate) async fn answer(registry: &Registry, head: &Parts) -> Result<Response, Problem> {
    only_get(head)?;
    let page = Page::of(head)?;
    let storage = &registry.0.storage.0;
    let caller = head.extensions.get::<Caller>().filter(|caller| !caller.reads_all());
    let mut names = storage.repositories(page.after.as_deref(), page.limit + 1).await?;
    let mut more = names.len() > page.limit;
    // Who may not read a repository does not learn that there is one.
    if let Some(caller) = caller {
        names = storage.repositories(page.after.as_deref(), usize::MAX).await?;
        names.retain(|name| caller.may(Actions::PULL, name));
        more = names.len() > page.limit;
    }
    names.truncate(page.limit);
    let names: Vec<&str> = names.iter().map(Repository::as_str).collect();
    let mut response = json("application/json", &json!({ "repositories": names }));
    if let (Some(last), true) = (names.last(), more) {
        response.headers_mut().extend([page.next("/v2/_catalog", last)]);
    }
    Ok(response)
}
