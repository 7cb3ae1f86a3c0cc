//! How an index says what its images are called.

use indexmap::IndexMap;

use crate::{Descriptor, Reference};

/// The name by which the image is to be found (image-spec, annotations).
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The whole name, in the way of containerd and docker.
pub(super) const IMAGE_NAME: &str = "io.containerd.image.name";

/// The image's name. A tag alone, as many tools write it, names no image.
pub(crate) fn name_of(descriptor: &Descriptor) -> Option<Reference> {
    let whole = descriptor.annotations.get(IMAGE_NAME).and_then(|name| name.parse().ok());
    let given = || {
        let name = descriptor.annotations.get(REF_NAME)?;
        if name.contains(['/', ':']) { name.parse().ok() } else { None }
    };
    whole.or_else(given).map(Reference::with_default_tag)
}

/// The tag that stands alone, as the image-spec and many tools have it.
pub(super) fn tag_of(descriptor: &Descriptor) -> Option<String> {
    let name = descriptor.annotations.get(REF_NAME)?;
    (!name.contains(['/', ':'])).then(|| name.clone())
}

/// The annotations that [`name_of`] and every other tool reads.
pub(crate) fn annotations(name: &Reference) -> IndexMap<String, String> {
    let name = name.clone().with_default_tag().to_string();
    [(IMAGE_NAME.to_owned(), name.clone()), (REF_NAME.to_owned(), name)].into_iter().collect()
}
