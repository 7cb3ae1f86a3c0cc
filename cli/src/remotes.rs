//! What builds fetch, through the connections that registries are reached by.

mod credentials;
mod git;

use std::path::Path;

use builder::{Cancel, GitSource, Grants, RemoteFile, Remotes, redacted};
use git_client::{Wanted, checkout, resolve};
use registry_client::{Client, FileRequest};
use tokio::runtime::Handle;

use self::credentials::RemoteCredentials;
use self::git::GitWeb;
use crate::app::App;
use crate::clients::{self, ConnectionArgs};
use crate::error::Failure;

/// The network, for a build.
pub(crate) struct Network {
    client: Client,
    handle: Handle,
    credentials: RemoteCredentials,
}

impl Network {
    /// The network through the given connection.
    pub(crate) fn new(app: &App, connection: &ConnectionArgs) -> Result<Network, Failure> {
        Ok(Network {
            client: clients::client(app, connection, oci::DEFAULT_REGISTRY),
            handle: app.network()?.handle().clone(),
            credentials: RemoteCredentials::default(),
        })
    }

    /// The same with the credentials among a build's secrets.
    pub(crate) fn with_secrets(self, grants: &Grants) -> Network {
        Network { credentials: RemoteCredentials::new(&grants.secrets), ..self }
    }

    fn web(&self, repository: &str) -> GitWeb<'_> {
        let authorization = self.credentials.of_repository(repository);
        GitWeb::new(&self.client, &self.handle, &self.credentials, repository, authorization)
    }
}

impl Remotes for Network {
    fn file(&self, url: &str) -> oci::Result<RemoteFile> {
        let authorization = self.credentials.of_file(url);
        let authorization = authorization.as_deref();
        let request = FileRequest { url, authorization, ..FileRequest::default() };
        let download = self.handle.block_on(self.client.download(request));
        let download = download.map_err(|error| refused("download", url, error))?;
        Ok(RemoteFile {
            etag: download.etag().map(str::to_owned),
            last_modified: download.last_modified(),
            size: download.size(),
            body: Box::new(download.into_reader(self.handle.clone())),
        })
    }

    fn commit(&self, source: &GitSource) -> oci::Result<String> {
        let commit = resolve(&self.web(&source.url), &source.url, source.reference.as_deref());
        commit.map_err(|error| refused("look into", &source.url, error))
    }

    fn checkout(
        &self,
        source: &GitSource,
        commit: &str,
        into: &Path,
        cancel: &Cancel,
    ) -> oci::Result<()> {
        let wanted = Wanted {
            url: &source.url,
            commit,
            reference: source.reference.as_deref(),
            directory: source.directory.as_deref(),
            keep_git_dir: source.keep_git_dir,
            submodules: source.submodules,
        };
        checkout(&self.web(&source.url), &wanted, into, cancel.flag())
            .map_err(|error| refused("fetch", &source.url, error))
    }
}

fn refused(
    operation: &'static str,
    object: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> oci::Error {
    oci::Error::Remote { operation, object: redacted(object), source: source.into() }
}
