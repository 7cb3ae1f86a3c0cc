//! Referrers: the manifests that name another as their subject.

use http::header::HeaderMap;
use oci::{Descriptor, Digest, Document, Index, MediaType, Raw, Reference};

use crate::Result;
use crate::auth::Access;
use crate::client::{Client, InRepository};
use crate::error::Error;
use crate::places::Located;
use crate::transport::form;

impl Client {
    /// The manifests that refer to a digest, of one artifact type or of all. A registry that does
    /// not know the question is asked for the tag that stands in for it (distribution-spec,
    /// "Referrers Tag Schema").
    ///
    /// # Errors
    /// If the registry's answer cannot be read.
    pub async fn referrers(
        &self,
        repository: &Reference,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>> {
        let found = match self.ask_referrers(repository, subject, artifact_type).await {
            Err(error) if error.is_not_found() => {
                self.tagged_index(repository, subject).await?.1.manifests
            }
            other => other?,
        };
        let wanted = |referrer: &Descriptor| {
            artifact_type.is_none() || referrer.artifact_type.as_deref() == artifact_type
        };
        Ok(found.into_iter().filter(wanted).collect())
    }

    async fn ask_referrers(
        &self,
        repository: &Reference,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>> {
        let Located { host, name } = &self.place_of_lists(repository)?;
        let place = InRepository { name, access: Access::Pull };
        let call = place.call("list the referrers of", subject);
        let mut path = format!("/v2/{}/referrers/{subject}", name.repository());
        if let Some(artifact_type) = artifact_type {
            path = format!("{path}?{}", form(&[("artifactType", artifact_type)]));
        }
        let mut all: Vec<Descriptor> = Vec::new();
        let take = |_: &HeaderMap, body: Vec<u8>| {
            let page: Index = serde_json::from_slice(&body)
                .map_err(|_| Error::protocol(&call, "sends referrers that are no index"))?;
            let new: Vec<_> = page
                .manifests
                .into_iter()
                .filter(|found| all.iter().all(|known| known.digest != found.digest))
                .collect();
            let brought_something = !new.is_empty();
            all.extend(new);
            Ok(brought_something)
        };
        self.pages(host, call.clone(), path, place.scopes(), take).await?;
        Ok(all)
    }

    async fn tagged_index(
        &self,
        repository: &Reference,
        subject: &Digest,
    ) -> Result<(Reference, Index)> {
        let place = InRepository { name: repository, access: Access::Pull };
        let call = place.call("list the referrers of", subject);
        let tag = fallback_tag(subject);
        let (registry, path) = (repository.registry(), repository.repository());
        let name = Reference::new(registry, path, Some(&tag), None)
            .map_err(|source| Error::content(&call, source))?;
        match self.manifest(&name).await {
            Ok(Document::Index(index)) => Ok((name, (*index).clone())),
            Ok(Document::Manifest(_)) => {
                Err(Error::protocol(&call, "has an image in place of the index of referrers"))
            }
            Err(error) if error.is_not_found() => Ok((name, Index::oci(Vec::new()))),
            Err(error) => Err(error),
        }
    }

    /// Lists a manifest among the referrers of its subject, where the registry did not do so
    /// itself ([`Pushed::subject_listed`](crate::Pushed)): under the tag that stands in for the
    /// list. Changes by other programs at the same time may be lost, as everywhere with that tag.
    ///
    /// # Errors
    /// If the list cannot be read or written.
    pub async fn list_referrer(
        &self,
        repository: &Reference,
        subject: &Digest,
        referrer: Descriptor,
    ) -> Result<()> {
        let host = self.place_to_write(repository)?.host;
        let _changing = host.referrers.lock().await;
        let (name, mut index) = self.tagged_index(repository, subject).await?;
        if index.manifests.iter().any(|known| known.digest == referrer.digest) {
            return Ok(());
        }
        index.manifests.push(referrer);
        let bytes = Raw::write(index).bytes().to_vec();
        self.put_manifest(&name, bytes, &MediaType::OCI_INDEX).await?;
        Ok(())
    }
}

/// The tag that lists the referrers of a digest: the algorithm of at most 32 characters and the
/// value of at most 64.
pub(crate) fn fallback_tag(subject: &Digest) -> String {
    let value: String = subject.hex().chars().take(64).collect();
    format!("{}-{value}", subject.algorithm().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fallback_tag_is_a_tag() {
        for algorithm in [oci::Algorithm::Sha256, oci::Algorithm::Sha512] {
            let tag = fallback_tag(&algorithm.digest(b"x"));
            assert_eq!(tag.len(), algorithm.as_str().len() + 1 + 64);
            Reference::new("r.io", "x", Some(&tag), None).unwrap();
        }
    }
}
