//! What ADD fetches, through the connections that registries are reached by.

use std::path::Path;

use builder::{Cancel, GitSource, RemoteFile, Remotes, redacted};
use registry_client::Client;
use tokio::runtime::Handle;

use crate::app::App;
use crate::clients::{self, ConnectionArgs};
use crate::error::Failure;

/// The network, for a build.
pub(crate) struct Network {
    client: Client,
    handle: Handle,
}

impl Network {
    /// The network through the given connection.
    pub(crate) fn new(app: &App, connection: &ConnectionArgs) -> Result<Network, Failure> {
        let client = clients::client(app, connection, oci::DEFAULT_REGISTRY);
        Ok(Network { client, handle: app.network()?.handle().clone() })
    }
}

impl Remotes for Network {
    fn file(&self, url: &str) -> oci::Result<RemoteFile> {
        let download = self.handle.block_on(self.client.download(url, None));
        let download = download.map_err(|error| refused("download", url, error))?;
        Ok(RemoteFile {
            etag: download.etag().map(str::to_owned),
            last_modified: download.last_modified(),
            size: download.size(),
            body: Box::new(download.into_reader(self.handle.clone())),
        })
    }

    fn commit(&self, source: &GitSource) -> oci::Result<String> {
        Err(refused("read the references of", &source.url, "git is not supported yet"))
    }

    fn checkout(&self, source: &GitSource, _: &str, _: &Path, _: &Cancel) -> oci::Result<()> {
        Err(refused("fetch", &source.url, "git is not supported yet"))
    }
}

fn refused(
    operation: &'static str,
    object: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> oci::Error {
    oci::Error::Remote { operation, object: redacted(object), source: source.into() }
}
