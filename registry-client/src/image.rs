//! From a name to an image: through indexes, to the manifest for a platform and its config.

use std::collections::HashSet;

use futures_util::future::BoxFuture;
use oci::{
    Descriptor, Digest, Document, Image, ImageConfig, Index, Manifest, Platform, Raw, Reference,
};

use crate::Result;
use crate::client::{Client, place};
use crate::error::{Call, Error};

/// How large an image's config may be, in bytes.
const MAX_CONFIG: u64 = 8 << 20;
/// How many indexes deep we look.
const MAX_DEPTH: usize = 4;
/// How many documents we read for one image at most.
const MAX_DOCUMENTS: usize = 32;

/// The bytes of documents that are at hand and need not be fetched.
pub type Known<'a> = &'a (dyn Fn(&Digest) -> Option<Vec<u8>> + Sync);

impl Client {
    /// The image that a name means for a platform. An index is searched, and indexes in it; what
    /// is no image (attestations) is passed over. A name that means one image alone means it for
    /// every platform: compare [`ImageConfig::platform`].
    ///
    /// # Errors
    /// If there is no such image, or what arrives cannot be trusted.
    pub async fn image(&self, name: &Reference, platform: &Platform) -> Result<Image> {
        self.image_knowing(name, platform, &|_| None).await
    }

    /// As [`image`](Client::image); of what the name leads to, `known` documents are not fetched
    /// again. The name itself is always asked for.
    ///
    /// # Errors
    /// As [`image`](Client::image).
    pub async fn image_knowing(
        &self,
        name: &Reference,
        platform: &Platform,
        known: Known<'_>,
    ) -> Result<Image> {
        let document = self.manifest(name).await?;
        match document {
            Document::Manifest(manifest) => self.with_config(name, manifest, None, known).await,
            Document::Index(index) => {
                let top = index.digest().clone();
                let seen = HashSet::new();
                let mut search = Search { client: self, name, platform, known, seen };
                search.seen.insert(top.clone());
                match search.index(&index, 1).await? {
                    Some((manifest, Some(config))) => {
                        Ok(Image { manifest, config, index: Some(top) })
                    }
                    Some((manifest, None)) => {
                        self.with_config(name, manifest, Some(top), known).await
                    }
                    None => Err(search.not_found(&index)),
                }
            }
        }
    }

    async fn with_config(
        &self,
        name: &Reference,
        manifest: Raw<Manifest>,
        index: Option<Digest>,
        known: Known<'_>,
    ) -> Result<Image> {
        let config = self.config(name, &manifest.config, known).await?;
        Ok(Image { manifest, config, index })
    }

    async fn config(
        &self,
        name: &Reference,
        blob: &Descriptor,
        known: Known<'_>,
    ) -> Result<Raw<ImageConfig>> {
        let call = call("pull config", name, &blob.digest);
        // Docker Hub has images from 2016 with the second type.
        let octets = blob.media_type.as_str() == "application/octet-stream";
        if !blob.media_type.is_image_config() && !octets {
            let source = oci::Error::UnsupportedMediaType {
                digest: blob.digest.clone(),
                media_type: blob.media_type.to_string(),
            };
            return Err(Error::content(&call, source));
        }
        let bytes = match known(&blob.digest) {
            Some(bytes) => bytes,
            None => self.blob_bytes(name, blob, MAX_CONFIG).await?,
        };
        Raw::parse_verified(bytes, &blob.digest, "image config")
            .map_err(|source| Error::content(&call, source))
    }
}

type Found = (Raw<Manifest>, Option<Raw<ImageConfig>>);

struct Search<'a> {
    client: &'a Client,
    name: &'a Reference,
    platform: &'a Platform,
    known: Known<'a>,
    seen: HashSet<Digest>,
}

impl Search<'_> {
    /// Boxed, for an index may hold indexes.
    fn index<'s>(
        &'s mut self,
        index: &'s Index,
        depth: usize,
    ) -> BoxFuture<'s, Result<Option<Found>>> {
        Box::pin(async move {
            if let Some(best) = best_match(&index.manifests, self.platform) {
                return self.descend(best, depth).await;
            }
            // What does not say where it runs is read to know.
            for entry in index.manifests.iter().filter(|entry| is_open_question(entry)) {
                if let Some(found) = self.descend(entry, depth).await? {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        })
    }

    async fn descend(&mut self, entry: &Descriptor, depth: usize) -> Result<Option<Found>> {
        // A document that was seen holds nothing new; this also ends cycles.
        if !self.seen.insert(entry.digest.clone()) {
            return Ok(None);
        }
        let call = call("pull manifest", self.name, &entry.digest);
        if self.seen.len() > MAX_DOCUMENTS || depth > MAX_DEPTH {
            return Err(Error::protocol(&call, "has an index that is too deep or too wide"));
        }
        let name = self.name.with_digest(entry.digest.clone());
        let document = match (self.known)(&entry.digest) {
            Some(bytes) => Document::parse(bytes, Some(&entry.media_type), Some(&entry.digest))
                .map_err(|source| Error::content(&call, source))?,
            None => self.client.manifest(&name).await?,
        };
        if document.bytes().len() as u64 != entry.size {
            let source = oci::Error::SizeMismatch {
                digest: entry.digest.clone(),
                expected: entry.size,
                actual: document.bytes().len() as u64,
            };
            return Err(Error::content(&call, source));
        }
        match document {
            Document::Index(index) => self.index(&index, depth + 1).await,
            Document::Manifest(manifest) if entry.platform.is_some() => Ok(Some((manifest, None))),
            Document::Manifest(manifest) if !manifest.config.media_type.is_image_config() => {
                Ok(None)
            }
            Document::Manifest(manifest) => {
                let config = self.client.config(&name, &manifest.config, self.known).await?;
                let serves = config.platform().serves(self.platform).is_some();
                Ok(serves.then_some((manifest, Some(config))))
            }
        }
    }

    fn not_found(&self, index: &Index) -> Error {
        let mut available: Vec<String> = index
            .manifests
            .iter()
            .filter(|entry| !is_attestation(entry))
            .filter_map(|entry| Some(entry.platform.as_ref()?.to_string()))
            .collect();
        available.dedup();
        let source = oci::Error::PlatformNotFound {
            name: self.name.familiar(),
            wanted: Box::new(self.platform.clone()),
            available: available.join(", "),
        };
        Error::content(&call("pull image", self.name, &self.name.target()), source)
    }
}

/// The entry that serves a platform best; the first of equals.
fn best_match<'a>(entries: &'a [Descriptor], wanted: &Platform) -> Option<&'a Descriptor> {
    entries
        .iter()
        .filter(|entry| !is_attestation(entry))
        .filter_map(|entry| Some((entry.platform.as_ref()?.serves(wanted)?, entry)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, entry)| entry)
}

fn is_open_question(entry: &Descriptor) -> bool {
    let known = entry.media_type.is_index() || entry.media_type.is_manifest();
    known && entry.platform.is_none() && !is_attestation(entry)
}

/// BuildKit hides its attestations under a platform that nobody has.
fn is_attestation(entry: &Descriptor) -> bool {
    let unknown = |platform: &Platform| platform.os == "unknown";
    entry.platform.as_ref().is_some_and(unknown)
        || entry
            .annotations
            .get("vnd.docker.reference.type")
            .is_some_and(|kind| kind == "attestation-manifest")
}

fn call(operation: &'static str, name: &Reference, object: &impl ToString) -> Call {
    Call { operation, object: object.to_string(), place: place(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::MediaType;

    fn entry(platform: &str) -> Descriptor {
        let digest = Digest::sha256(platform.as_bytes());
        let mut entry = Descriptor::new(MediaType::OCI_MANIFEST, digest, 1);
        entry.platform = match platform {
            "" => None,
            "unknown/unknown" => Some(Platform {
                os: "unknown".into(),
                architecture: "unknown".into(),
                ..Platform::host()
            }),
            text => Some(text.parse().unwrap()),
        };
        entry
    }

    #[test]
    fn the_best_image_is_chosen() {
        let all = ["unknown/unknown", "linux/amd64", "linux/arm/v6", "linux/arm/v7", ""];
        let entries: Vec<_> = all.into_iter().map(entry).collect();
        for (wanted, expected) in [
            ("linux/amd64", Some("linux/amd64")),
            ("linux/arm/v7", Some("linux/arm/v7")),
            ("linux/arm/v6", Some("linux/arm/v6")),
            ("linux/s390x", None),
        ] {
            let best = best_match(&entries, &wanted.parse().unwrap());
            let best = best.map(|entry| entry.platform.as_ref().unwrap().to_string());
            assert_eq!(best.as_deref(), expected, "{wanted}");
        }
        assert_eq!(entries.iter().filter(|entry| is_open_question(entry)).count(), 1);
    }
}
