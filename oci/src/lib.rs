//! The words of the field: digests, descriptors, references, platforms, manifests and configs,
//! with the traits that every place holding blobs or images implements.
//!
//! This crate imports nothing of ours and touches neither network nor environment. Two rules
//! rest here. A document is kept beside the very bytes that were hashed ([`Raw`]), so that its
//! digest never depends on how we would write it. And whoever reads a blob reads it through
//! [`Verified`], which ends in an error unless size and digest hold.

pub mod archive;
pub mod attestation;
pub mod blob;
pub mod compress;
mod config;
mod copy;
mod descriptor;
mod digest;
pub mod edit;
mod error;
mod image;
pub mod inflate;
mod manifest;
mod media_type;
mod platform;
mod purl;
mod raw;
mod reference;
pub mod transfer;

pub use blob::{BlobRead, BlobStore, Ingest, Verified};
pub use config::{DEFAULT_PATH, Healthcheck, History, ImageConfig, Rootfs, RuntimeConfig};
pub use copy::copy_missing_blobs;
pub use descriptor::Descriptor;
pub use digest::{Algorithm, ChainId, DiffId, Digest, HashedWrite, Hasher};
pub use error::Error;
pub use image::{Image, ImageSink, ImageSource};
pub use manifest::{Document, Index, Manifest};
pub use media_type::{LayerCompression, MediaType};
pub use platform::Platform;
pub use purl::package_url;
pub use raw::Raw;
pub use reference::{DEFAULT_REGISTRY, DEFAULT_TAG, Reference};

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
