//! Base images that are asked for twice: by the build and by its checks.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use oci::Platform;

use crate::images::{BaseImage, BaseImages};

/// Asks for each image once. Failures are not kept: the build reports the first.
pub(crate) struct Remembered<'a> {
    images: &'a dyn BaseImages,
    known: Mutex<HashMap<(String, String), BaseImage>>,
    /// Whether images that are not known yet are asked for.
    asks: bool,
}

impl<'a> Remembered<'a> {
    pub(crate) fn new(images: &'a dyn BaseImages) -> Remembered<'a> {
        Remembered { images, known: Mutex::default(), asks: true }
    }

    /// Asks for nothing from here on.
    pub(crate) fn known_only(self) -> Remembered<'a> {
        Remembered { asks: false, ..self }
    }
}

impl BaseImages for Remembered<'_> {
    fn resolve(&self, name: &str, platform: &Platform, pull: bool) -> oci::Result<BaseImage> {
        let key = (name.to_owned(), platform.to_string());
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = known().get(&key) {
            return Ok(image.clone());
        }
        if !self.asks {
            return Err(oci::Error::ImageNotFound { name: name.to_owned() });
        }
        let image = self.images.resolve(name, platform, pull)?;
        known().insert(key, image.clone());
        Ok(image)
    }
}
