//! The requests of the git client.

use git_client::{Response, Web, WebError};
use registry_client::{Client, FileRequest};
use tokio::runtime::Handle;

use super::credentials::{RemoteCredentials, host};

/// Requests for one repository and its submodules.
pub(super) struct GitWeb<'a> {
    client: &'a Client,
    handle: &'a Handle,
    credentials: &'a RemoteCredentials,
    /// The scheme and host of the repository that the build names.
    own: Option<(String, String)>,
    authorization: Option<String>,
}

impl<'a> GitWeb<'a> {
    /// Requests for `repository`, which hears `authorization`.
    pub(super) fn new(
        client: &'a Client,
        handle: &'a Handle,
        credentials: &'a RemoteCredentials,
        repository: &str,
        authorization: Option<String>,
    ) -> GitWeb<'a> {
        GitWeb { client, handle, credentials, own: origin(repository), authorization }
    }

    fn send(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: Option<Vec<u8>>,
    ) -> Result<Response, WebError> {
        let authorization = match origin(url) {
            origin if origin == self.own => self.authorization.clone(),
            Some((_, host)) => self.credentials.of_git_host(&host),
            None => None,
        };
        let authorization = authorization.as_deref();
        let request = FileRequest { url, authorization, headers, body };
        let download = self.handle.block_on(self.client.download(request))?;
        Ok(Response {
            url: download.url().to_owned(),
            content_type: download.content_type().map(str::to_owned),
            body: Box::new(download.into_reader(self.handle.clone())),
        })
    }
}

fn origin(url: &str) -> Option<(String, String)> {
    let (scheme, _) = url.split_once("://")?;
    Some((scheme.to_ascii_lowercase(), host(url)?))
}

impl Web for GitWeb<'_> {
    fn get(&self, url: &str, headers: &[(String, String)]) -> Result<Response, WebError> {
        self.send(url, headers, None)
    }

    fn post(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<Response, WebError> {
        self.send(url, headers, Some(body))
    }
}
