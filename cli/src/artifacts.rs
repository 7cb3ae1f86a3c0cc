//! Artifacts: files in a registry that are no image (image-spec, "Guidelines for Artifact
//! Usage"), with what `oras` notes down about them.

mod bundle;

pub(crate) use bundle::Bundle;

/// The whole of a configuration that says nothing.
const EMPTY: &[u8] = b"{}";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// What an artifact is that nothing is said of.
const UNKNOWN: &str = "application/vnd.unknown.artifact.v1";
/// What a blob is called as a file.
pub(crate) const TITLE: &str = "org.opencontainers.image.title";
/// The digest of the tar of a directory, before it was compressed.
const TAR_DIGEST: &str = "io.deis.oras.content.digest";
/// Says `true` of a directory that is to be one again.
pub(crate) const UNPACK: &str = "io.deis.oras.content.unpack";
