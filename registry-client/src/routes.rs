//! Where images are read and written: at the registry that their names say, unless whoever keeps
//! the machine says otherwise.

mod certificates;
mod containerd;
mod containers;
mod files;

use oci::Reference;

pub use files::{HostFiles, HostFilesAt};

use crate::Result;
use crate::config::HostTls;

/// Tells where names lead.
pub trait Routes: Send + Sync {
    /// How a registry is spoken to.
    ///
    /// # Errors
    /// If what says so cannot be read.
    fn registry(&self, registry: &str) -> Result<HostSettings>;

    /// Where an image is read and written.
    ///
    /// # Errors
    /// As for [`registry`](Routes::registry), and if nobody is to go there
    /// ([`Error::Blocked`](crate::Error::Blocked)).
    fn route(&self, name: &Reference) -> Result<Route> {
        Ok(Route::direct(name, self.registry(name.registry())?))
    }
}

/// Every name leads where it says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Direct;

impl Routes for Direct {
    fn registry(&self, _: &str) -> Result<HostSettings> {
        Ok(HostSettings::default())
    }
}

/// Where one image is read and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Asked first, in this order. What one of them does not have or answer in one try, the next
    /// one is asked for.
    pub mirrors: Vec<Place>,
    /// Asked for what no mirror has.
    pub origin: Place,
    /// Where it is pushed to.
    pub target: Place,
}

impl Route {
    /// To where the name says.
    pub fn direct(name: &Reference, host: HostSettings) -> Route {
        let place = Place { name: name.clone(), host };
        Route { mirrors: Vec::new(), origin: place.clone(), target: place }
    }
}

/// An image at one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What it is called there.
    pub name: Reference,
    /// How that registry is spoken to.
    pub host: HostSettings,
}

/// How one registry is spoken to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct HostSettings {
    /// The server's host and port, if it is not the one of the name.
    pub address: Option<String>,
    /// Over what.
    pub scheme: Scheme,
    /// Whether its certificate is not verified.
    pub insecure: bool,
    /// The path of its API, without a slash at its end, if that is not `/v2`.
    pub root: Option<String>,
    /// Its certificates.
    pub tls: HostTls,
    /// The registry that it stands in for, which is told in each request (`?ns=`).
    pub namespace: Option<String>,
    /// More headers for each request.
    pub headers: Vec<(String, String)>,
}

/// Over what a registry is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// TLS; plain HTTP where the host rules allow that, and on the loopback interface.
    #[default]
    Usual,
    /// Plain HTTP alone.
    Plain,
    /// TLS alone.
    Tls,
}
