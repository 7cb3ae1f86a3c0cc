//! The client: what its calls share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderName, Method};
use oci::Reference;

use crate::auth::{Access, Anonymous, Credential, Credentials, OneCredential, Scopes};
use crate::error::{Call, Error};
use crate::host::Host;
use crate::routes::HostSettings;
use crate::transport::{Request, Target, Transport};
use crate::{Config, RateLimit, Result};

/// Docker Hub's server.
const HUB: &str = "registry-1.docker.io";
/// Names the store on the registry's machine whose blobs it takes without being sent them.
const LENDER: HeaderName = HeaderName::from_static("tierce-blobs-of");
/// How much of the answer to a ping is read, in bytes.
const MAX_PING: u64 = 64 << 10;

/// A client of all registries. Clones share connections, tokens and what is known of each host.
#[derive(Clone)]
pub struct Client {
    pub(crate) transport: Transport,
    hosts: Arc<Hosts>,
}

/// What makes two hosts different: the registry, how it is spoken to, and whether it is a mirror.
type HostKey = (String, HostSettings, bool);

struct Hosts {
    credentials: Arc<dyn Credentials>,
    known: Mutex<HashMap<HostKey, Arc<Host>>>,
}

impl Client {
    /// A client by its configuration. Nothing is opened or read before the first call.
    pub fn new(config: Config) -> Client {
        let credentials = Arc::clone(&config.credentials);
        Client { transport: Transport::new(config), hosts: Hosts::new(credentials) }
    }

    /// The same client as somebody else: connections are shared, and nothing that concerns
    /// credentials is.
    #[must_use]
    pub fn with_credentials(&self, credentials: Arc<dyn Credentials>) -> Client {
        Client { transport: self.transport.clone(), hosts: Hosts::new(credentials) }
    }

    /// Asks whether there is a registry that lets us in.
    ///
    /// # Errors
    /// If there is none, or it wants other credentials.
    pub async fn ping(&self, registry: &str) -> Result<()> {
        let host = self.host(registry)?;
        self.transport.fetch(&host, &greeting(registry), MAX_PING).await?;
        Ok(())
    }

    /// The name of the store whose blobs a registry on this machine takes by being told their
    /// digests; `None` if it has none, is elsewhere, or does not say at once.
    pub async fn lender(&self, registry: &str) -> Option<String> {
        let host = self.host(registry).ok().filter(|host| host.is_here())?;
        let greeting = greeting(registry);
        let (headers, _, _) = self.transport.fetch_once(&host, &greeting, MAX_PING).await.ok()?;
        Some(headers.get(LENDER)?.to_str().ok()?.to_owned())
    }

    /// Asks whether a registry takes a credential. One that wants none takes any.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if it does not.
    pub async fn check_login(&self, registry: &str, credential: Credential) -> Result<()> {
        let credentials = OneCredential { registry: registry.to_owned(), credential };
        self.with_credentials(Arc::new(credentials)).ping(registry).await
    }

    /// Whether a registry lets anybody in.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn is_open(&self, registry: &str) -> Result<bool> {
        match self.with_credentials(Arc::new(Anonymous)).ping(registry).await {
            Ok(()) => Ok(true),
            Err(Error::Unauthorized { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What a registry said last of how much it lets us pull; `None` if it said nothing.
    pub fn rate_limit(&self, registry: &str) -> Option<RateLimit> {
        self.host(registry).ok()?.rate_limit()
    }

    /// A registry itself.
    pub(crate) fn host(&self, registry: &str) -> Result<Arc<Host>> {
        let settings = self.transport.clients.config().routes.registry(registry)?;
        self.host_as(registry, settings, false)
    }

    pub(crate) fn host_as(
        &self,
        registry: &str,
        settings: HostSettings,
        is_mirror: bool,
    ) -> Result<Arc<Host>> {
        // Whoever serves elsewhere is another registry: with credentials and rules of its own.
        let server = match (settings.address.as_deref(), registry) {
            (Some(HUB), "docker.io") | (None, _) => registry,
            (Some(address), _) => address,
        }
        .to_owned();
        let key = (server, settings, is_mirror);
        let mut known = self.hosts.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = known.get(&key) {
            return Ok(Arc::clone(host));
        }
        let config = self.transport.clients.config();
        let credentials = Arc::clone(&self.hosts.credentials);
        let host = Arc::new(Host::new(&key.0, key.1.clone(), is_mirror, config, credentials)?);
        known.insert(key, Arc::clone(&host));
        Ok(host)
    }
}

impl Hosts {
    fn new(credentials: Arc<dyn Credentials>) -> Arc<Hosts> {
        Arc::new(Hosts { credentials, known: Mutex::default() })
    }
}

/// What asks nothing but whether there is a registry.
fn greeting(registry: &str) -> Request<'static> {
    let call = Call { operation: "reach", object: "the registry".into(), place: registry.into() };
    Request::new(call, Method::GET, Target::Path("/v2/".into()), Scopes::default())
}

/// A repository, for messages: with its registry, also where people leave that out.
pub(crate) fn place(name: &Reference) -> String {
    format!("{}/{}", name.registry(), name.repository())
}

/// What a call to a repository is made of.
pub(crate) struct InRepository<'a> {
    pub(crate) name: &'a Reference,
    pub(crate) access: Access,
}

impl InRepository<'_> {
    pub(crate) fn call(&self, operation: &'static str, object: &(impl ToString + ?Sized)) -> Call {
        Call { operation, object: object.to_string(), place: place(self.name) }
    }

    pub(crate) fn scopes(&self) -> Scopes {
        Scopes::repository_access(self.name.repository(), self.access)
    }

    /// A request to `/v2/REPOSITORY/REST`.
    pub(crate) fn request<'r>(&self, call: Call, method: Method, rest: &str) -> Request<'r> {
        let path = format!("/v2/{}/{rest}", self.name.repository());
        Request::new(call, method, Target::Path(path), self.scopes())
    }
}
