//! `tierce registry …`: what registries have, looked at, taken away and added to, one thing at a
//! time and without the store.

pub(in crate::commands) mod attach;
mod blob;
mod delete;
mod documents;
mod inspect;
mod lists;
pub(in crate::commands) mod referrers;

use clap::Subcommand;
use oci::{Document, Platform, Reference};
use registry_client::Client;

use crate::app::App;
use crate::clients::{self, ConnectionArgs};
use crate::error::{Doing, Failure, Outcome};

// What can be asked of a registry.
#[derive(Subcommand)]
#[command(defer = true)]
pub(crate) enum Action {
    /// List the repositories of a registry
    #[command(visible_alias = "catalog")]
    Ls(lists::Repositories),
    /// List the tags of a repository
    Tags(lists::Tags),
    /// Show an image at a glance: digest, tags, platform, labels, layers
    Inspect(inspect::Args),
    /// Print the manifest or index that a name means, byte for byte
    Manifest(documents::Manifest),
    /// Print the configuration of an image
    Config(documents::Config),
    /// Print the digest that a name means
    Digest(documents::Digest),
    /// Get a blob
    Blob(blob::Args),
    /// Take away a tag, or a manifest with all its tags
    #[command(visible_alias = "rm")]
    Delete(delete::Args),
    /// List what refers to an image: signatures, attestations, bills of materials
    Referrers(referrers::Referrers),
    /// Show what refers to an image, and what refers to that, as a tree
    Discover(referrers::Discover),
    /// Put files into a registry as an artifact that refers to an image
    Attach(attach::Args),
    /// Ask whether there is a registry that lets us in
    Ping(lists::Ping),
}

/// Carries it out.
pub(super) fn run(action: &Action, app: &App) -> Outcome {
    match action {
        Action::Ls(args) => lists::repositories(args, app),
        Action::Tags(args) => lists::tags(args, app),
        Action::Inspect(args) => inspect::inspect(args, app),
        Action::Manifest(args) => documents::manifest(args, app),
        Action::Config(args) => documents::config(args, app),
        Action::Digest(args) => documents::digest(args, app),
        Action::Blob(args) => blob::get(args, app),
        Action::Delete(args) => delete::delete(args, app),
        Action::Referrers(args) => referrers::list(args, app),
        Action::Discover(args) => referrers::discover(args, app),
        Action::Attach(args) => attach::attach(args, app),
        Action::Ping(args) => lists::ping(args, app),
    }
}

/// A client, and the network to wait for it on.
struct Asker<'a> {
    client: Client,
    network: &'a tokio::runtime::Runtime,
}

impl<'a> Asker<'a> {
    fn new(app: &'a App, connection: &ConnectionArgs, registry: &str) -> Result<Self, Failure> {
        let network = app.network()?;
        Ok(Asker { client: clients::client(app, connection, registry), network })
    }

    fn of(app: &'a App, connection: &ConnectionArgs, name: &Reference) -> Result<Self, Failure> {
        Asker::new(app, connection, name.registry())
    }

    /// Waits for an answer.
    fn ask<T>(
        &self,
        answer: impl Future<Output = registry_client::Result<T>>,
    ) -> Result<T, Failure> {
        Ok(self.network.block_on(answer)?)
    }

    /// What a name means; for a platform, the manifest of the image that serves it.
    fn document(&self, name: &Reference, platform: Option<&Platform>) -> Result<Document, Failure> {
        let document = self.ask(self.client.manifest(name))?;
        match (document, platform) {
            (Document::Index(_), Some(platform)) => {
                let image = self.ask(self.client.image(name, platform));
                let image =
                    image.doing(|| format!("cannot find {platform} in {}", name.familiar()))?;
                Ok(Document::Manifest(image.manifest))
            }
            (document, _) => Ok(document),
        }
    }
}
