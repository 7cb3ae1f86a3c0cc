//! Layers: directories below `layers/`, by DiffID.

use std::path::{Path, PathBuf};

use oci::{Descriptor, DiffId};

use super::{StagedBlob, Store, places};
use crate::lease::Lease;
use crate::state::layers as rows;
use crate::state::pins::PinKind;
use crate::{Error, Result};

/// The tree inside a layer's directory.
const TREE: &str = "tree";

/// An unpacked layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The digest of its uncompressed tar.
    pub diff_id: DiffId,
    /// The size of that tar, in bytes.
    pub size: u64,
    /// Its directory in the store: the tree in `tree/`, and what is known about it beside that.
    pub dir: PathBuf,
}

impl Layer {
    /// The directory of the layer's tree, as an overlay takes it.
    pub fn tree(&self) -> PathBuf {
        tree_of(&self.dir)
    }
}

/// The tree of a layer that stands, or is being made, in `dir`.
pub(crate) fn tree_of(dir: &Path) -> PathBuf {
    dir.join(TREE)
}

impl Store {
    /// The unpacked layer of this DiffID, if it is there.
    ///
    /// # Errors
    /// If the database fails.
    pub fn layer(&self, diff_id: &DiffId) -> Result<Option<Layer>> {
        let size = self.state().read("look a layer up", |c| Ok(rows::layer_size(c, diff_id)?))?;
        Ok(size.map(|size| self.layer_at(diff_id, size)))
    }

    /// Keeps layers from being collected while the lease lives, and answers with them in the
    /// order given; `None`, and nothing is kept, if one of them is not there.
    ///
    /// # Errors
    /// If the database fails.
    pub fn pin_layers(&self, lease: &Lease, layers: &[DiffId]) -> Result<Option<Vec<Layer>>> {
        let with = |sizes: Vec<u64>| {
            layers.iter().zip(sizes).map(|(diff_id, size)| self.layer_at(diff_id, size)).collect()
        };
        if let Some(sizes) = lease.kept_layers(layers) {
            return Ok(Some(with(sizes)));
        }
        let sizes = self.state().write("pin layers", |c| {
            let mut sizes = Vec::with_capacity(layers.len());
            for diff_id in layers {
                match rows::layer_size(c, diff_id)? {
                    Some(size) => sizes.push(size),
                    None => return Ok(None),
                }
            }
            for diff_id in layers {
                lease.pin(c, PinKind::Layer, &diff_id.0)?;
            }
            Ok(Some(sizes))
        })?;
        let Some(sizes) = sizes else { return Ok(None) };
        lease.remember_layers(layers.iter().zip(sizes.iter().copied()));
        Ok(Some(with(sizes)))
    }

    /// As [`pin_layers`](Store::pin_layers) for one.
    pub(crate) fn pin_layer(&self, lease: &Lease, diff_id: &DiffId) -> Result<Option<Layer>> {
        let layers = self.pin_layers(lease, std::slice::from_ref(diff_id))?;
        Ok(layers.and_then(|mut layers| layers.pop()))
    }

    /// As [`pin_layers`](Store::pin_layers), where a missing layer is an error.
    pub(crate) fn require_layers(&self, lease: &Lease, layers: &[DiffId]) -> Result<Vec<Layer>> {
        if let Some(found) = self.pin_layers(lease, layers)? {
            return Ok(found);
        }
        for diff_id in layers {
            if self.layer(diff_id)?.is_none() {
                return Err(Error::LayerNotFound { diff_id: diff_id.clone() });
            }
        }
        // Somebody was unpacking, and has finished since.
        self.pin_layers(lease, layers)?
            .ok_or_else(|| Error::LayerNotFound { diff_id: layers[0].clone() })
    }

    /// Makes the directory `staged` the layer `diff_id`, with the blob that it came from, in one
    /// transaction. A layer that is there already stays, and `staged` is discarded.
    pub(crate) fn place_layer(
        &self,
        lease: &Lease,
        staged: &Path,
        diff_id: &DiffId,
        size: u64,
        blob: Option<(&Descriptor, Option<&StagedBlob<'_>>)>,
    ) -> Result<Layer> {
        let placed = self.state().write("record a layer", |c| {
            if let Some((descriptor, file)) = blob {
                if let Some(file) = file {
                    file.place(c, &descriptor.digest)?;
                }
                rows::link_blob(c, diff_id, descriptor, None)?;
            }
            let is_new = rows::layer_size(c, diff_id)?.is_none();
            if is_new {
                places::move_in(staged, &self.places().layer(diff_id), lease)?;
                rows::insert_layer(c, diff_id, size, self.boot())?;
            }
            lease.pin(c, PinKind::Layer, &diff_id.0)?;
            Ok(is_new)
        })?;
        if !placed {
            lease.discard(staged);
        }
        lease.remember_layers([(diff_id, size)]);
        Ok(self.layer_at(diff_id, size))
    }

    fn layer_at(&self, diff_id: &DiffId, size: u64) -> Layer {
        Layer { diff_id: diff_id.clone(), size, dir: self.places().layer(diff_id) }
    }
}
