//! Images put on another base.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use super::image::{Draft, Layer, refused};
use crate::blob::MemoryBlobs;
use crate::transfer::{Edit, Origin, Supply, image_for};
use crate::{
    BlobRead, Descriptor, Digest, History, ImageConfig, Manifest, Reference, Result, Verified,
};

/// Takes an image off its base and puts it on another: the new base's layers, history and
/// platform, with the image's own layers, history and settings. Of the bases' indexes, those
/// images are taken that serve the image's platform.
pub struct Rebase {
    old: Box<dyn Origin>,
    new: Box<dyn Origin>,
    new_name: String,
    made: MemoryBlobs,
    /// The new base's layers, with their sizes.
    brought: Mutex<HashMap<Digest, u64>>,
}

impl Rebase {
    /// The annotation that names an image's base (image-spec, "Pre-Defined Annotation Keys").
    pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
    /// The annotation that has the base's digest.
    pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

    /// From the base `old` to the base `new`, which the image then names as `new_name`.
    pub fn new(old: Box<dyn Origin>, new: Box<dyn Origin>, new_name: String) -> Rebase {
        Rebase { old, new, new_name, made: MemoryBlobs::default(), brought: Mutex::default() }
    }

    fn base(origin: &dyn Origin, config: &ImageConfig) -> Result<(Digest, Draft)> {
        let image = image_for(origin, &config.platform())?;
        Ok((image.digest().clone(), Draft::read((*image).clone(), origin)?))
    }
}

/// The steps above the first `layers` layers.
fn history_above(history: &[History], base: &[History], layers: usize) -> Vec<History> {
    if history.starts_with(base) {
        return history[base.len()..].to_vec();
    }
    let mut left = layers;
    let above = history.iter().skip_while(|step| {
        let below = left > 0;
        if !step.empty_layer {
            left = left.saturating_sub(1);
        }
        below
    });
    above.cloned().collect()
}

impl Edit for Rebase {
    fn manifest(&self, manifest: Manifest, blobs: &dyn BlobRead) -> Result<Manifest> {
        let mut draft = Draft::read(manifest, blobs)?;
        let (_, old) = Rebase::base(&*self.old, &draft.config)?;
        let (digest, new) = Rebase::base(&*self.new, &draft.config)?;
        let below = &old.config.rootfs.diff_ids;
        if !draft.config.rootfs.diff_ids.starts_with(below) {
            return Err(refused(
                &draft.manifest,
                "its lowest layers are not those of the old base",
            ));
        }
        let own: Vec<Layer> = draft.layers().skip(below.len()).collect();
        let own_steps = history_above(&draft.config.history, &old.config.history, below.len());
        let mut brought = self.brought.lock().unwrap_or_else(PoisonError::into_inner);
        brought.extend(new.layers().map(|(_, blob)| (blob.digest, blob.size)));
        drop(brought);
        draft.set_layers(new.layers().chain(own));
        draft.config.history = new.config.history.iter().cloned().chain(own_steps).collect();
        let base = new.config;
        draft.config.architecture = base.architecture;
        draft.config.variant = base.variant;
        (draft.config.os, draft.config.os_version) = (base.os, base.os_version);
        draft.config.os_features = base.os_features;
        let notes = &mut draft.manifest.annotations;
        notes.insert(Rebase::BASE_NAME.to_owned(), self.new_name.clone());
        notes.insert(Rebase::BASE_DIGEST.to_owned(), digest.to_string());
        draft.write(&self.made)
    }
}

impl BlobRead for Rebase {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        let brought = self.brought.lock().unwrap_or_else(PoisonError::into_inner);
        brought.get(digest).map_or_else(|| self.made.size(digest), |size| Ok(Some(*size)))
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        if self.made.size(&blob.digest)?.is_some() {
            return self.made.open(blob);
        }
        self.new.open(blob)
    }
}

impl Supply for Rebase {
    fn repository(&self, digest: &Digest) -> Option<&Reference> {
        match self.made.size(digest) {
            Ok(None) => self.new.repository(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, empty_layer: bool) -> History {
        History { created_by: Some(name.into()), empty_layer, ..History::default() }
    }

    #[test]
    fn an_images_own_steps_are_those_above_its_base() {
        let base = [step("FROM", false), step("ENV", true)];
        let all = [&base[..], &[step("LABEL", true), step("RUN", false)]].concat();
        let own = |base: &[History]| -> Vec<String> {
            let steps = history_above(&all, base, 1);
            steps.into_iter().filter_map(|step| step.created_by).collect()
        };
        assert_eq!(own(&base), ["LABEL", "RUN"]);
        // Where the base tells another story, the layers count.
        assert_eq!(own(&[step("other", false)]), ["ENV", "LABEL", "RUN"]);
    }
}
