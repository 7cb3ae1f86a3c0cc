//! What a build may use of the machine beside its context and its network, and what it keeps
//! nothing of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What RUN is given when it asks: nothing of it is in the image or in the build cache.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// The secrets, by id.
    pub secrets: BTreeMap<String, Secret>,
    /// The sockets of ssh agents, by id.
    pub agents: BTreeMap<String, PathBuf>,
    /// Whether a RUN may ask for the machine's network where the build has none.
    pub host_network: bool,
    /// Whether a RUN may ask for all privileges.
    pub insecure: bool,
    /// The devices.
    pub devices: Devices,
}

/// Which devices a RUN may use.
#[derive(Debug, Clone, Default)]
pub struct Devices {
    /// Where devices are described (Container Device Interface); a later directory counts more.
    pub directories: Vec<PathBuf>,
    /// Whether all of them may be used; else those that say so themselves.
    pub all: bool,
    /// Names of further ones.
    pub names: BTreeSet<String>,
}

/// The content of a secret. It is not shown with the rest of what holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// The largest secret, in bytes.
    pub const MAX: usize = 500 << 10;

    /// A secret with this content.
    pub fn new(content: impl Into<Arc<[u8]>>) -> Secret {
        Secret(content.into())
    }

    /// The content.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secrets = BTreeMap::from([("id".to_owned(), Secret::new(*b"hidden"))]);
        let shown = format!("{:?}", Grants { secrets, ..Grants::default() });
        assert!(shown.contains("\"id\"") && !shown.contains("hidden"), "{shown}");
        assert!(!shown.contains("104"), "{shown}");
    }
}
