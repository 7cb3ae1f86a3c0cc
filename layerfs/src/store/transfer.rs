//! An image of the store as an end of a copy ([`oci::transfer`]).

use std::io::{Read, Write};
use std::path::Path;

use oci::edit::Together;
use oci::transfer::{Arrival, Destination, Origin, Standing, Supply};
use oci::{
    BlobRead, Descriptor, Digest, Document, Image, ImageConfig, Manifest, Raw, Reference, Verified,
};

use super::blobs::into_oci;
use super::{NewImage, Store};
use crate::lease::Lease;
use crate::write::write_tree;

/// How large an image's config may be, in bytes.
const MAX_CONFIG: u64 = 8 << 20;

/// An image of the store, with its blobs from wherever they are.
pub struct StoreOrigin<B> {
    image: Image,
    blobs: B,
}

impl<B: BlobRead> StoreOrigin<B> {
    /// The image; `blobs` has its layers.
    pub fn new(image: Image, blobs: B) -> StoreOrigin<B> {
        StoreOrigin { image, blobs }
    }
}

impl<B: BlobRead> BlobRead for StoreOrigin<B> {
    fn size(&self, digest: &Digest) -> oci::Result<Option<u64>> {
        if *digest == self.image.manifest.config.digest {
            return Ok(Some(self.image.config.size()));
        }
        self.blobs.size(digest)
    }

    fn open(&self, blob: &Descriptor) -> oci::Result<Verified<Box<dyn Read + Send + '_>>> {
        if blob.digest == self.image.manifest.config.digest {
            return Ok(Verified::new(Box::new(self.image.config.bytes()), blob));
        }
        self.blobs.open(blob)
    }
}

impl<B: BlobRead> Origin for StoreOrigin<B> {
    fn root(&self) -> oci::Result<Document> {
        Ok(Document::Manifest(self.image.manifest.clone()))
    }

    fn document(&self, descriptor: &Descriptor) -> oci::Result<Document> {
        if descriptor.digest == *self.image.manifest.digest() {
            return self.root();
        }
        Err(oci::Error::BlobNotFound { digest: descriptor.digest.clone() })
    }

    /// The store keeps none.
    fn referrers(&self, _: &Digest) -> oci::Result<Vec<Descriptor>> {
        Ok(Vec::new())
    }
}

/// A name that an image of the store is to have. It takes images of one platform, unpacked from
/// the stream that they come in.
pub struct StoreDestination<'a> {
    lease: &'a Lease,
    name: Reference,
}

impl<'a> StoreDestination<'a> {
    /// The name, in the store of the lease.
    pub fn new(lease: &'a Lease, name: Reference) -> StoreDestination<'a> {
        StoreDestination { lease, name }
    }

    fn store(&self) -> &Store {
        self.lease.store()
    }

    fn refused(&self, document: &Document, reason: &str) -> oci::Error {
        let (digest, reason) = (document.digest().clone(), reason.to_owned());
        oci::Error::RefusedDocument { kind: "manifest", digest, reason }
    }

    fn take(&self, manifest: &Raw<Manifest>, supply: &dyn Supply) -> oci::Result<()> {
        let digest = manifest.digest();
        if manifest.config.size > MAX_CONFIG {
            let document = Document::Manifest(manifest.clone());
            return Err(self.refused(&document, "its config is too large"));
        }
        let mut bytes = Vec::new();
        supply
            .open(&manifest.config)?
            .read_to_end(&mut bytes)
            .map_err(|e| oci::Error::io("read", format!("config of {digest}"), e))?;
        let config: Raw<ImageConfig> =
            Raw::parse_verified(bytes, &manifest.config.digest, "image config")?;
        let image = Image { manifest: manifest.clone(), config, index: None };
        let failed = |error| into_oci("store", digest, error);
        let store = self.store();
        store.unpack_image(self.lease, &image, &Blobs(supply), &|_, _| {}).map_err(failed)?;
        let names = [self.name.clone().with_default_tag()];
        store.put_image(self.lease, &NewImage::whole(&image, &names)).map_err(failed)?;
        Ok(())
    }
}

impl Destination for StoreDestination<'_> {
    /// What the store takes has no parts.
    fn is_there(&self, root: &Descriptor, _: &[&Descriptor]) -> oci::Result<bool> {
        let found = self.store().resolve_name(&self.name.clone().with_default_tag());
        Ok(found.is_ok_and(|record| record.manifest.as_ref() == Some(&root.digest)))
    }

    fn put_blob(
        &self,
        _: &Descriptor,
        _: &dyn Supply,
        _: &(dyn Fn(u64) + Sync),
    ) -> oci::Result<Arrival> {
        Ok(Arrival::WithManifest)
    }

    fn put_document(
        &self,
        document: &Document,
        standing: Standing,
        supply: &dyn Supply,
    ) -> oci::Result<()> {
        match document {
            Document::Manifest(manifest)
                if standing == Standing::Root && manifest.config.media_type.is_image_config() =>
            {
                self.take(manifest, supply)
            }
            _ => Err(self.refused(document, "the store keeps images of one platform alone")),
        }
    }

    fn finish(&self) -> oci::Result<()> {
        Ok(())
    }
}

/// A supply as the blobs that it has.
struct Blobs<'a>(&'a dyn Supply);

impl BlobRead for Blobs<'_> {
    fn size(&self, digest: &Digest) -> oci::Result<Option<u64>> {
        self.0.size(digest)
    }

    fn open(&self, blob: &Descriptor) -> oci::Result<Verified<Box<dyn Read + Send + '_>>> {
        self.0.open(blob)
    }
}

/// Lays the layers of images together in the store, which keeps them for a while.
pub struct LayersTogether(Store);

impl LayersTogether {
    /// By way of this store.
    pub fn new(store: Store) -> LayersTogether {
        LayersTogether(store)
    }
}

impl Together for LayersTogether {
    fn write(&self, image: &Image, blobs: &dyn BlobRead, tar: &mut dyn Write) -> oci::Result<()> {
        let digest = image.manifest.digest();
        let failed = |error| into_oci("lay the layers together of", digest, error);
        let lease = self.0.lease().map_err(failed)?;
        self.0.unpack_image(&lease, image, blobs, &|_, _| {}).map_err(failed)?;
        let view = self.0.view(&lease, &image.config.rootfs.diff_ids).map_err(failed)?;
        write_tree(&view.root, Path::new("/"), Path::new(""), tar).map_err(failed)
    }
}
