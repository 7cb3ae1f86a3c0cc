//! Names to addresses without the C library, whose resolver needs shared objects that a static
//! binary does not have.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Reads `/etc/resolv.conf` and `/etc/hosts` at the first name.
#[derive(Clone, Default)]
pub(crate) struct Resolver {
    made: Arc<OnceLock<TokioResolver>>,
}

impl Resolver {
    fn get(&self) -> Result<&TokioResolver, Box<dyn std::error::Error + Send + Sync>> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            // As the C library does: a server on this machine, and never a public one, for whom a
            // machine asks is its owner's choice. Names in `/etc/hosts` are found either way.
            tracing::debug!(%error, "no usable /etc/resolv.conf: asking the loopback interface");
            let local = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![local]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        });
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let resolver = builder.build()?;
        Ok(self.made.get_or_init(|| resolver))
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.get()?.lookup_ip(name.as_str()).await?;
            let addresses: Vec<SocketAddr> =
                found.iter().map(|address| SocketAddr::new(address, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
