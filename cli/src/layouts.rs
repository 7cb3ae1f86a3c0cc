//! Images in OCI layouts, beside those of the store and of registries.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use builder::{BaseImage, BaseImages};
use oci::archive::Archive;
use oci::{Digest, Image, Platform};

use crate::pulling::Bases;

const SCHEME: &str = "oci-layout://";

/// Whether a name is that of an image in a layout.
pub(crate) fn is_layout(name: &str) -> bool {
    name.starts_with(SCHEME)
}

/// The base images of a build, those in layouts included: `oci-layout://PATH[:TAG][@DIGEST]`.
pub(crate) struct BasesAndLayouts {
    bases: Bases,
}

impl BasesAndLayouts {
    /// Layouts beside `bases`.
    pub(crate) fn new(bases: Bases) -> BasesAndLayouts {
        BasesAndLayouts { bases }
    }
}

impl BaseImages for BasesAndLayouts {
    fn resolve(&self, name: &str, platform: &Platform, pull: bool) -> oci::Result<BaseImage> {
        match name.strip_prefix(SCHEME) {
            Some(place) => from_layout(name, place, platform),
            None => self.bases.resolve(name, platform, pull),
        }
    }
}

fn from_layout(name: &str, place: &str, platform: &Platform) -> oci::Result<BaseImage> {
    let place = Place::of(place)?;
    // A directory is read where it is: nothing is spooled anywhere.
    if !place.path.is_dir() {
        let path = place.path.display().to_string();
        return Err(oci::Error::io(
            "open the layout",
            path,
            std::io::ErrorKind::NotADirectory.into(),
        ));
    }
    let archive = Archive::open(&place.path, Path::new(""))?;
    let image = place.image(&archive, name, platform)?;
    let target = image.index.as_ref().unwrap_or(image.manifest.digest());
    Ok(BaseImage {
        name: format!("{SCHEME}{}@{target}", place.path.display()),
        digest: Some(target.clone()),
        layers: image.manifest.layers.iter().cloned().map(Some).collect(),
        config: image.config,
        blobs: Arc::new(archive),
    })
}

/// Where an image is.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    path: PathBuf,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Place {
    fn of(text: &str) -> oci::Result<Place> {
        let (rest, digest) = match text.rsplit_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        let name = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (path, tag) = match rest[name..].rsplit_once(':') {
            Some((last, tag)) => (&rest[..name + last.len()], Some(tag.to_owned())),
            None => (rest, None),
        };
        Ok(Place { path: path.into(), tag, digest })
    }

    /// A digest decides over a tag; without either it is the one image there is, or `latest`.
    fn image(&self, archive: &Archive, name: &str, platform: &Platform) -> oci::Result<Image> {
        if let Some(digest) = &self.digest {
            return archive.by_digest(digest, platform);
        }
        let tag = self.tag.as_deref();
        match (tag, archive.images()) {
            (None, [only]) => archive.load(only, platform),
            (tag, images) => {
                let tag = tag.unwrap_or("latest");
                let image = images.iter().find(|image| image.has_tag(tag));
                let image = image.ok_or_else(|| oci::Error::ImageNotFound { name: name.into() })?;
                archive.load(image, platform)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_a_path_and_perhaps_a_tag_and_a_digest() {
        let digest = Digest::sha256(b"x");
        let place = |path: &str, tag: Option<&str>, digest: Option<&Digest>| Place {
            path: path.into(),
            tag: tag.map(str::to_owned),
            digest: digest.cloned(),
        };
        assert_eq!(Place::of("a/b").unwrap(), place("a/b", None, None));
        assert_eq!(Place::of("/a:b/c:d").unwrap(), place("/a:b/c", Some("d"), None));
        assert_eq!(Place::of(&format!("c@{digest}")).unwrap(), place("c", None, Some(&digest)));
        let both = Place::of(&format!("c:t@{digest}")).unwrap();
        assert_eq!(both, place("c", Some("t"), Some(&digest)));
        assert!(Place::of("c@sha256:1").is_err());
    }
}
