//! The store as a place that images come from and go to.

use oci::{BlobRead, Digest, Image, ImageConfig, ImageSink, ImageSource, Platform, Raw, Reference};

use super::{NewImage, Store};
use crate::{Error, Result};

impl Store {
    /// The local image `name`, if it runs on `platform`.
    ///
    /// # Errors
    /// [`Error::ImageNotFound`]; [`oci::Error::PlatformNotFound`] if it is made for another one.
    pub fn config_for(&self, name: &Reference, platform: &Platform) -> Result<Raw<ImageConfig>> {
        let record = self.resolve_name(name)?;
        let config = self.config(&record.id)?;
        let available = config.platform();
        if available.serves(platform).is_none() {
            return Err(Error::Oci(oci::Error::PlatformNotFound {
                name: name.familiar(),
                wanted: Box::new(platform.clone()),
                available: available.to_string(),
            }));
        }
        Ok(config)
    }
}

/// Images with their manifests, which are made for the occasion where there are none; whoever
/// needs config and layers alone is better served by [`Store::resolve`].
impl ImageSource for Store {
    fn image(&self, name: &Reference, platform: &Platform) -> oci::Result<Image> {
        let open = || -> Result<Image> {
            self.config_for(name, platform)?;
            let lease = self.lease()?;
            self.manifest(&lease, &self.resolve_name(name)?, None)
        };
        open().map_err(|error| match error {
            Error::Oci(error) => error,
            Error::ImageNotFound { name } => oci::Error::ImageNotFound { name },
            error => remote("read", name, error),
        })
    }
}

/// Layers are unpacked as they come.
impl ImageSink for Store {
    fn put(&self, name: &Reference, image: &Image, blobs: &dyn BlobRead) -> oci::Result<Digest> {
        let put = || -> Result<Digest> {
            let lease = self.lease()?;
            self.unpack_image(&lease, image, blobs, &|_, _| {})?;
            let new = NewImage::whole(image, std::slice::from_ref(name));
            self.put_image(&lease, &new)?;
            Ok(image.manifest.digest().clone())
        };
        put().map_err(|error| match error {
            Error::Oci(error) => error,
            error => remote("store", name, error),
        })
    }
}

fn remote(operation: &'static str, name: &Reference, error: Error) -> oci::Error {
    let object = format!("image {}", name.familiar());
    oci::Error::Remote { operation, object, source: Box::new(error) }
}
