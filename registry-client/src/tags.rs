//! Lists: the tags of a repository, the repositories of a registry.

use std::collections::BTreeSet;

use oci::Reference;
use serde::Deserialize;

use crate::Result;
use crate::auth::{Access, Scopes};
use crate::client::{Client, InRepository};
use crate::error::{Call, Error};
use crate::host::Host;
use crate::places::Located;

/// How many entries we ask for at once: the most that every registry grants (ECR).
const PAGE: usize = 1000;
/// How many entries a list may have.
const MAX_ENTRIES: usize = 5_000_000;

// Nexus lists nulls, and `null` in place of an empty list is common.
#[derive(Deserialize)]
struct Page {
    #[serde(alias = "repositories")]
    tags: Option<Vec<Option<String>>>,
}

impl Client {
    /// The tags of a repository, sorted.
    ///
    /// # Errors
    /// If there is no such repository or its list cannot be read to its end.
    pub async fn tags(&self, repository: &Reference) -> Result<Vec<String>> {
        let Located { host, name } = &self.place_of_lists(repository)?;
        let place = InRepository { name, access: Access::Pull };
        let call = place.call("list the tags", "");
        let path = format!("/v2/{}/tags/list?n={PAGE}", name.repository());
        self.list(host, call, path, place.scopes()).await
    }

    /// The repositories of a registry, sorted.
    ///
    /// # Errors
    /// If the registry does not tell (many do not), or its list cannot be read to its end.
    pub async fn catalog(&self, registry: &str) -> Result<Vec<String>> {
        let call = Call {
            operation: "list the repositories",
            object: String::new(),
            place: registry.to_owned(),
        };
        let host = self.host(registry)?;
        self.list(&host, call, format!("/v2/_catalog?n={PAGE}"), Scopes::catalog()).await
    }

    async fn list(
        &self,
        host: &Host,
        call: Call,
        path: String,
        scopes: Scopes,
    ) -> Result<Vec<String>> {
        let mut all = BTreeSet::new();
        let take = |_: &_, body: Vec<u8>| {
            let page: Page = serde_json::from_slice(&body)
                .map_err(|_| Error::protocol(&call, "sends a list that is none"))?;
            let before = all.len();
            all.extend(page.tags.unwrap_or_default().into_iter().flatten());
            if all.len() > MAX_ENTRIES {
                return Err(Error::protocol(&call, "sends a list without an end"));
            }
            Ok(all.len() > before)
        };
        self.pages(host, call.clone(), path, scopes, take).await?;
        Ok(all.into_iter().collect())
    }
}
