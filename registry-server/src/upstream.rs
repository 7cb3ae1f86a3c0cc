//! Other registries, of which this one is a mirror. How they are asked is up to the program.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oci::{Digest, MediaType};

/// The repositories below a prefix: what they lack is pulled from an upstream registry and kept.
/// Nothing can be pushed there.
#[derive(Clone)]
pub struct Mirror {
    /// What the names of these repositories begin with, up to a slash. The rest is the name at the
    /// upstream. Of several prefixes the longest counts; the empty one is that of all names.
    pub prefix: String,
    /// The registry that these repositories are of, if they are all that it has: clients that say
    /// so (`?ns=`) need not know the prefix.
    pub namespace: Option<String>,
    /// Who is asked.
    pub upstream: Arc<dyn Upstream>,
    /// How long a tag is not asked for again.
    pub fresh: Duration,
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// The answer of an upstream, once it comes.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unanswered>> + Send + 'a>>;

/// Why an upstream does not give what it is asked for. That it does not have it is an answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unanswered {
    /// It lets nobody with our credentials have it.
    #[error("the upstream registry refuses: {0}")]
    Refused(String),
    /// It cannot be reached, fails, or sends what it should not.
    #[error("the upstream registry fails: {0}")]
    Failed(String),
}

/// A registry that is asked for what its mirror lacks.
pub trait Upstream: Send + Sync + 'static {
    /// What a tag stands for; `None` if there is no such tag.
    fn resolve<'a>(&'a self, repository: &'a str, tag: &'a str) -> Asked<'a, Option<Digest>>;

    /// A manifest or index; `None` if there is no such thing.
    fn manifest<'a>(
        &'a self,
        repository: &'a str,
        digest: &'a Digest,
    ) -> Asked<'a, Option<PulledManifest>>;

    /// All tags; `None` if there is no such repository.
    fn tags<'a>(&'a self, repository: &'a str) -> Asked<'a, Option<Vec<String>>>;

    /// The manifests that refer to one.
    fn referrers<'a>(&'a self, repository: &'a str, subject: &'a Digest) -> Asked<'a, Vec<Digest>>;

    /// The size of a blob in bytes; `None` if there is no such blob.
    fn blob_size<'a>(&'a self, repository: &'a str, digest: &'a Digest) -> Asked<'a, Option<u64>>;

    /// Opens a blob of `size` bytes.
    fn blob<'a>(
        &'a self,
        repository: &'a str,
        digest: &'a Digest,
        size: u64,
    ) -> Asked<'a, Box<dyn PulledBlob>>;
}

/// A manifest or index of an upstream.
#[derive(Debug, Clone)]
pub struct PulledManifest {
    /// Its type.
    pub media_type: MediaType,
    /// Its bytes.
    pub bytes: Bytes,
}

/// A blob on its way from an upstream.
pub trait PulledBlob: Send {
    /// The next bytes; `None` at the end.
    fn chunk(&mut self) -> Asked<'_, Option<Bytes>>;
}
