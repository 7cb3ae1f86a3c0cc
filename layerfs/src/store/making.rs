//! Layers on their way to being blobs: read, hashed, compressed, hashed and written, several at
//! once, by threads that compress for all of them.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use oci::compress::{Compression, Encoders, decoder};
use oci::{Algorithm, BlobRead, Descriptor, DiffId, HashedWrite, LayerCompression};

use super::unpack::for_each_parallel;
use super::{StagedBlob, Store};
use crate::lease::Lease;
use crate::state::layers as rows;
use crate::{Error, Result, Root, write_layer};

/// How many compressing threads one layer can feed: reading and hashing are that much faster.
const FED_BY_ONE: usize = 3;

/// Sees blobs of layers while they are made, so that they can be sent before they are whole.
pub trait Onlooker: Sync {
    /// A blob of a layer begins to be written to a file, of which `file` reads. Who wants to
    /// follow it is told how it goes on.
    fn begins(&self, layer: &DiffId, file: File) -> Option<Box<dyn Follower>>;
}

/// Follows one blob. Dropped before the blob is complete, it will never be.
pub trait Follower {
    /// The first `size` bytes are in the file, and will not change.
    fn grew(&mut self, size: u64);

    /// All bytes are in the file, and this is what they are.
    fn completed(self: Box<Self>, blob: &Descriptor);
}

/// Looks away.
pub(super) struct Nobody;

impl Onlooker for Nobody {
    fn begins(&self, _: &DiffId, _: File) -> Option<Box<dyn Follower>> {
        None
    }
}

/// How blobs are made.
pub(super) struct Making<'a> {
    pub(super) compression: Compression,
    pub(super) encoders: Encoders,
    pub(super) onlooker: &'a dyn Onlooker,
}

impl Store {
    /// Makes blobs of layers, which are given with the sizes of their tars.
    pub(super) fn make_blobs<'l>(
        &self,
        lease: &Lease,
        mut layers: Vec<(&'l DiffId, u64)>,
        compression: Compression,
        onlooker: &dyn Onlooker,
    ) -> Result<Vec<(&'l DiffId, Descriptor)>> {
        if layers.is_empty() {
            return Ok(Vec::new());
        }
        // The biggest first: what is left at the end is then short.
        layers.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        let encoders = Encoders::new(compression, self.threads())?;
        let making = Making { compression, encoders, onlooker };
        // With two, one is read while the other's last blocks are compressed.
        let at_once = self.threads().get().div_ceil(FED_BY_ONE).max(2);
        let made = Mutex::new(Vec::new());
        for_each_parallel(&layers, at_once, |(diff_id, _), _stop| {
            let blob = self.make_blob(lease, diff_id, &making)?;
            made.lock().unwrap_or_else(PoisonError::into_inner).push((*diff_id, blob));
            Ok(())
        })?;
        Ok(made.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a blob of a layer: from another blob of it if there is one, for that holds the very
    /// tar, whoever wrote it; else from its directory.
    pub(super) fn make_blob(
        &self,
        lease: &Lease,
        diff_id: &DiffId,
        making: &Making<'_>,
    ) -> Result<Descriptor> {
        let failed = |e| Error::Oci(oci::Error::io("compress", format!("layer {diff_id}"), e));
        let encoder = making.encoders.encoder(Growing::create(lease, diff_id, making.onlooker)?);
        let mut tar = HashedWrite::new(encoder, diff_id.0.algorithm());
        match self.kept_blobs(lease, diff_id)?.first() {
            Some(kept) => {
                let kind = kept.blob.media_type.layer_compression();
                let bytes = Box::new(self.open(&kept.blob)?);
                let mut plain = decoder(kind.unwrap_or(LayerCompression::None), bytes)?;
                io::copy(&mut plain, &mut tar).map_err(failed)?;
            }
            None => {
                let layers = self.require_layers(lease, std::slice::from_ref(diff_id))?;
                write_layer(&Root::open(&layers[0].tree())?, &mut tar)?;
            }
        }
        let (encoder, actual) = tar.finish();
        if actual != diff_id.0 {
            let (diff_id, actual) = (diff_id.clone(), DiffId(actual));
            return Err(Error::LayerNotReproducible { diff_id, actual });
        }
        let Growing { blob, follower } = encoder.finish().map_err(failed)?;
        let (mut file, digest) = blob.finish();
        let size = file.finish()?;
        let media_type = making.compression.layer_compression().oci_media_type();
        let blob = Descriptor::new(media_type, digest, size);
        let encoder = making.compression.encoder();
        self.state().write("record a layer's blob", |c| {
            file.place(c, &blob.digest)?;
            Ok(rows::link_blob(c, diff_id, &blob, encoder.as_deref())?)
        })?;
        if let Some(follower) = follower {
            follower.completed(&blob);
        }
        Ok(blob)
    }
}

/// A blob on its way to its file, hashed as it passes.
struct Growing<'a> {
    blob: HashedWrite<StagedBlob<'a>>,
    follower: Option<Box<dyn Follower>>,
}

impl<'a> Growing<'a> {
    fn create(lease: &'a Lease, layer: &DiffId, onlooker: &dyn Onlooker) -> Result<Growing<'a>> {
        let file = StagedBlob::create(lease)?;
        let follower = onlooker.begins(layer, file.reader()?);
        Ok(Growing { blob: HashedWrite::new(file, Algorithm::Sha256), follower })
    }
}

impl Write for Growing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.blob.write(bytes)?;
        if let Some(follower) = &mut self.follower {
            follower.grew(self.blob.get_ref().in_file());
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.blob.flush()
    }
}
