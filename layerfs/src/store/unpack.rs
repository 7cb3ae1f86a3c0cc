//! Layers from blobs, as they stream in.
//!
//! One pass: compressed bytes are verified, kept in a second write, inflated, hashed to the
//! DiffID and made files. There is no temporary file besides the blob that is kept. Layers know
//! nothing of each other, so several are unpacked at once.

use std::fs;
use std::io::{self, BufRead, Read, Write};
use std::panic;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use oci::compress::decoder;
use oci::{Algorithm, BlobRead, Descriptor, DiffId, Digest, Hasher, Image, LayerCompression};

use super::layers::tree_of;
use super::read_ahead::read_ahead;
use super::snapshots::write_implicit;
use super::{Layer, StagedBlob, Store};
use crate::lease::Lease;
use crate::{ApplyOptions, Error, Result, Root, apply_layer};

/// What is read at once of what nobody unpacks, to reach the end of a stream.
const DRAIN: usize = 64 << 10;

/// Is told how many compressed bytes of a blob have come so far.
pub type Progress<'a> = &'a (dyn Fn(&Descriptor, u64) + Sync);

impl Store {
    /// Makes the layer `diff_id` from its blob, which is read from the store if it is there, else
    /// from `source`, and kept. A layer that is there already is not read at all.
    ///
    /// # Errors
    /// [`Error::NotALayer`] by its media type; [`Error::DiffIdMismatch`] if the blob holds another
    /// tar; an error of [`oci`] if the bytes are not the blob's or the source fails; those of
    /// [`apply_layer`] if the tar is none. Nothing is left in the store then.
    pub fn unpack(
        &self,
        lease: &Lease,
        blob: &Descriptor,
        diff_id: &DiffId,
        source: &dyn BlobRead,
        progress: Progress<'_>,
    ) -> Result<Layer> {
        let stop = AtomicBool::new(false);
        let company = Company { stop: &stop, is_alone: true };
        self.unpack_unless(lease, blob, diff_id, source, progress, company)
    }

    /// Makes all layers of an image, lowest first, several at once. The first error ends the
    /// others.
    ///
    /// # Errors
    /// As [`unpack`](Store::unpack); [`Error::LayerCountMismatch`] if manifest and config
    /// disagree.
    pub fn unpack_image(
        &self,
        lease: &Lease,
        image: &Image,
        source: &dyn BlobRead,
        progress: Progress<'_>,
    ) -> Result<Vec<Layer>> {
        let diff_ids = &image.config.rootfs.diff_ids;
        let blobs = &image.manifest.layers;
        if diff_ids.len() != blobs.len() {
            return Err(Error::LayerCountMismatch {
                manifest: image.manifest.digest().clone(),
                blobs: blobs.len(),
                diff_ids: diff_ids.len(),
            });
        }
        if let Some(layers) = self.pin_layers(lease, diff_ids)? {
            return Ok(layers);
        }
        let mut todo: Vec<(&DiffId, &Descriptor)> = Vec::new();
        for pair in diff_ids.iter().zip(blobs) {
            if todo.iter().all(|(seen, _)| *seen != pair.0) {
                todo.push(pair);
            }
        }
        // The biggest first: what is left at the end is then short.
        todo.sort_by_key(|(_, blob)| std::cmp::Reverse(blob.size));
        for_each_parallel(&todo, self.threads().get(), |(diff_id, blob), stop| {
            let company = Company { stop, is_alone: todo.len() == 1 };
            self.unpack_unless(lease, blob, diff_id, source, progress, company).map(drop)
        })?;
        self.require_layers(lease, diff_ids)
    }

    fn unpack_unless(
        &self,
        lease: &Lease,
        blob: &Descriptor,
        diff_id: &DiffId,
        source: &dyn BlobRead,
        progress: Progress<'_>,
        company: Company<'_>,
    ) -> Result<Layer> {
        let there = || self.pin_layer(lease, diff_id);
        if let Some(layer) = there()? {
            return Ok(layer);
        }
        let _claim = self.in_flight().claim(diff_id, company.stop)?;
        if let Some(layer) = there()? {
            return Ok(layer);
        }
        let job = Job { store: self, lease, blob, diff_id, progress, company };
        if self.pin_blob(lease, &blob.digest)?.is_none() {
            return job.run(source, Some(StagedBlob::create(lease)?));
        }
        match job.run(self, None) {
            Err(error) if !matches!(error, Error::Cancelled) && !self.is_sound(blob) => {
                tracing::warn!(blob = %blob.digest, %error, "kept blob is damaged, fetched again");
                self.drop_blob(lease, &blob.digest)?;
                job.run(source, Some(StagedBlob::create(lease)?))
            }
            result => result,
        }
    }

    /// Whether a kept blob has the bytes that it should have.
    fn is_sound(&self, blob: &Descriptor) -> bool {
        self.open(blob).is_ok_and(|mut bytes| io::copy(&mut bytes, &mut io::sink()).is_ok())
    }

    /// Makes the tree of a layer in `staged` from its tar, and answers with the tar's digest and
    /// size, all bytes to the end of the stream included.
    fn unpack_hashed(
        &self,
        staged: &Path,
        algorithm: Algorithm,
        tar: &mut dyn BufRead,
        finish_apart: bool,
    ) -> Result<(Digest, u64)> {
        let mut tar = Hashed { inner: tar, ahead: 0, hasher: algorithm.hasher(), size: 0 };
        self.unpack_tar(staged, &mut tar, finish_apart)?;
        Ok((tar.hasher.finish(), tar.size))
    }

    /// Makes the tree of a layer in `staged` from its tar, which is read to the end of the
    /// stream. With `finish_apart` a second thread takes part.
    pub(super) fn unpack_tar(
        &self,
        staged: &Path,
        tar: &mut dyn BufRead,
        finish_apart: bool,
    ) -> Result<()> {
        let tree = tree_of(staged);
        fs::create_dir(&tree).map_err(|e| Error::io("create", &tree, e))?;
        let finish_apart = finish_apart && self.threads().get() > 1;
        let options = ApplyOptions { ids: self.ids(), finish_apart, ..ApplyOptions::default() };
        let applied = apply_layer(tar, &Root::open(&tree)?, &options)?;
        drain(tar, staged)?;
        write_implicit(staged, &applied.implicit)
    }
}

/// A layer to be made of a blob.
struct Job<'a> {
    store: &'a Store,
    lease: &'a Lease,
    blob: &'a Descriptor,
    diff_id: &'a DiffId,
    progress: Progress<'a>,
    company: Company<'a>,
}

/// What a layer is made beside.
#[derive(Clone, Copy)]
struct Company<'a> {
    /// Raised when one of those that are made together has failed.
    stop: &'a AtomicBool,
    /// Whether there are no others.
    is_alone: bool,
}

impl Job<'_> {
    /// Makes the layer of the bytes that `source` has, and of the same bytes the blob `keep`.
    fn run(&self, source: &dyn BlobRead, keep: Option<StagedBlob<'_>>) -> Result<Layer> {
        let media_type = &self.blob.media_type;
        let compression = media_type.layer_compression().ok_or_else(|| Error::NotALayer {
            digest: self.blob.digest.clone(),
            media_type: media_type.to_string(),
        })?;
        let bytes = source.open(self.blob)?;
        let mut compressed = Arriving { bytes, keep, job: self, passed: 0 };
        let staged = self.lease.scratch_dir("layer")?;
        let placed = self.place(&staged, compression, &mut compressed);
        if placed.is_err() {
            self.lease.discard(&staged);
        }
        placed.map_err(own_error)
    }

    fn place(
        &self,
        staged: &Path,
        compression: LayerCompression,
        compressed: &mut Arriving<'_>,
    ) -> Result<Layer> {
        let (actual, size) = match self.company.is_alone {
            // No other layer keeps a processor busy: what arrives is verified and kept by a
            // thread of its own, too.
            true => read_ahead(Box::new(&mut *compressed), |bytes| {
                self.unpack(staged, compression, bytes)
            }),
            false => self.unpack(staged, compression, compressed),
        }?;
        if actual != self.diff_id.0 {
            let (blob, expected) = (self.blob.digest.clone(), self.diff_id.clone());
            return Err(Error::DiffIdMismatch { blob, expected, actual: DiffId(actual) });
        }
        if let Some(file) = &mut compressed.keep {
            file.finish()?;
        }
        let blob = Some((self.blob, compressed.keep.as_ref()));
        self.store.place_layer(self.lease, staged, self.diff_id, size, blob)
    }
}

impl Job<'_> {
    /// Makes the tree, and answers with the digest and the size of the tar.
    fn unpack(
        &self,
        staged: &Path,
        compression: LayerCompression,
        bytes: &mut (dyn Read + Send),
    ) -> Result<(Digest, u64)> {
        let (algorithm, is_alone) = (self.diff_id.0.algorithm(), self.company.is_alone);
        let inflated = decoder(compression, Box::new(&mut *bytes))?;
        let unpacked =
            read_ahead(inflated, |tar| self.store.unpack_hashed(staged, algorithm, tar, is_alone))?;
        // The blob may go on after the end of what it holds; its digest tells.
        drain(bytes, staged)?;
        Ok(unpacked)
    }
}

fn drain(reader: &mut (impl Read + ?Sized), staged: &Path) -> Result<()> {
    let mut buffer = vec![0; DRAIN];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(own_error(Error::io("unpack a layer into", staged, e))),
        }
    }
}

/// An error of ours that came through `std::io`, perhaps more than once, as itself again.
fn own_error(error: Error) -> Error {
    type Rewrap = Box<dyn FnOnce(io::Error) -> Error>;
    let (source, rewrap): (io::Error, Rewrap) = match error {
        Error::Io { operation, path, source } => {
            (source, Box::new(move |source| Error::Io { operation, path, source }))
        }
        Error::ReadArchive { offset, source } => {
            (source, Box::new(move |source| Error::ReadArchive { offset, source }))
        }
        Error::Oci(oci::Error::Io { operation, object, source }) => {
            (source, Box::new(move |e| Error::Oci(oci::Error::io(operation, object, e))))
        }
        error => return error,
    };
    match source.downcast::<oci::Error>() {
        Ok(inner) => own_error(Error::Oci(inner)),
        Err(source) => match source.downcast::<Error>() {
            Ok(inner) => own_error(inner),
            Err(source) => rewrap(source),
        },
    }
}

/// The compressed bytes of a layer: verified, counted, and kept as they pass.
struct Arriving<'a> {
    bytes: oci::Verified<Box<dyn Read + Send + 'a>>,
    keep: Option<StagedBlob<'a>>,
    job: &'a Job<'a>,
    passed: u64,
}

impl Read for Arriving<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.job.company.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other(Error::Cancelled));
        }
        let count = self.bytes.read(buffer)?;
        if let Some(keep) = &mut self.keep {
            keep.write_all(&buffer[..count])?;
        }
        if count > 0 {
            self.passed += count as u64;
            (self.job.progress)(self.job.blob, self.passed);
        }
        Ok(count)
    }
}

/// Hashes and counts what passes, buffer by buffer and before it is looked at.
struct Hashed<'a> {
    inner: &'a mut dyn BufRead,
    /// How much of what `inner` shows has been hashed.
    ahead: usize,
    hasher: Hasher,
    size: u64,
}

impl BufRead for Hashed<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let shown = self.inner.fill_buf()?;
        if let Some(new) = shown.get(self.ahead..).filter(|new| !new.is_empty()) {
            self.hasher.update(new);
            self.size += new.len() as u64;
            self.ahead = shown.len();
        }
        Ok(shown)
    }

    fn consume(&mut self, count: usize) {
        self.ahead = self.ahead.saturating_sub(count);
        self.inner.consume(count);
    }
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// Calls `work` for each item on up to `threads` threads. The first error, or a panic, raises the
/// flag that the others are given, and is answered.
pub(crate) fn for_each_parallel<T: Sync>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T, &AtomicBool) -> Result<()> + Sync,
) -> Result<()> {
    let (stop, next, first) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::new(None));
    let run = || {
        let _guard = StopAtPanic(&stop);
        while !stop.load(Ordering::Relaxed) {
            let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            if let Err(error) = work(item, &stop) {
                let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(error);
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    let threads = threads.min(items.len());
    if threads <= 1 {
        run();
    } else {
        std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            for handle in handles {
                if let Err(panic) = handle.join() {
                    panic::resume_unwind(panic);
                }
            }
        });
    }
    match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Raises the flag when the thread that has it panics.
struct StopAtPanic<'a>(&'a AtomicBool);

impl Drop for StopAtPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}
