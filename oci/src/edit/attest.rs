//! Statements about images, put beside them in their index.

use std::io::{Read, Write};

use crate::attestation::{Attestation, Predicate, Subject};
use crate::blob::MemoryBlobs;
use crate::transfer::{Edit, Supply};
use crate::{
    BlobRead, BlobStore, Descriptor, Digest, Document, Error, Manifest, Platform, Reference,
    Result, Verified, package_url,
};

/// What is said about the image for a platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The platform, as the index has it.
    pub platform: Platform,
    /// What the image is called.
    pub names: Vec<Reference>,
    /// What is said.
    pub predicates: Vec<Predicate>,
}

/// Attests.
#[derive(Debug, Default)]
pub struct Attest {
    claims: Vec<Claim>,
    made: MemoryBlobs,
}

impl Attest {
    /// With what is to be said.
    pub fn new(claims: Vec<Claim>) -> Attest {
        Attest { claims, made: MemoryBlobs::default() }
    }

    fn keep(&self, bytes: &[u8]) -> Result<()> {
        let mut ingest = self.made.ingest()?;
        ingest.write_all(bytes).map_err(|e| Error::io("keep", "a statement", e))?;
        ingest.commit(None).map(drop)
    }
}

impl Edit for Attest {
    fn manifest(&self, manifest: Manifest, _: &dyn BlobRead) -> Result<Manifest> {
        Ok(manifest)
    }

    fn beside(&self, image: &Descriptor) -> Result<Option<(Descriptor, Document)>> {
        let Some(platform) = &image.platform else { return Ok(None) };
        let Some(claim) = self.claims.iter().find(|claim| claim.platform == *platform) else {
            return Ok(None);
        };
        let subject = |name| Subject::new(package_url(name, platform), &image.digest);
        let subjects: Vec<Subject> = claim.names.iter().map(subject).collect();
        let attestation = Attestation::of(image, &claim.predicates, &subjects);
        for blob in &attestation.blobs {
            self.keep(blob)?;
        }
        Ok(Some((attestation.entry, Document::Manifest(attestation.manifest))))
    }
}

impl BlobRead for Attest {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        self.made.size(digest)
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        self.made.open(blob)
    }
}

impl Supply for Attest {
    fn repository(&self, _: &Digest) -> Option<&Reference> {
        None
    }
}
