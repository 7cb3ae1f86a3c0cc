//! Images as they stream in: many layers at once, and streams that end before their time.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use oci::blob::MemoryBlobs;
use oci::{BlobRead, Descriptor, DiffId, Digest, MediaType, Verified};

use crate::common::*;

/// Text that hardly compresses, so that its blob is longer than all buffers together.
fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b' ' + (state >> 58) as u8)
    };
    (0..length).map(|_| next()).collect()
}

fn assert_nothing_left(store: &layerfs::Store, lease: &layerfs::Lease, case: &str) {
    assert!(names_in(store.root().join("layers")).is_empty(), "{case}");
    assert!(names_in(store.root().join("blobs/sha256")).is_empty(), "{case}");
    assert!(names_in(store.root().join("staging").join(lease.id())).is_empty(), "{case}");
}

/// Counts how many of its blobs are being read.
#[derive(Default)]
struct Counting {
    blobs: MemoryBlobs,
    open: AtomicUsize,
    most: AtomicUsize,
}

struct Counted<'a, R>(R, &'a AtomicUsize);

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R> Drop for Counted<'_, R> {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl BlobRead for Counting {
    fn size(&self, digest: &Digest) -> oci::Result<Option<u64>> {
        self.blobs.size(digest)
    }

    fn open(&self, blob: &Descriptor) -> oci::Result<Verified<Box<dyn Read + Send + '_>>> {
        let bytes = self.blobs.open(blob)?;
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(open, Ordering::SeqCst);
        Ok(Verified::new(Box::new(Counted(bytes, &self.open)), blob))
    }
}

#[test]
fn images_of_many_layers_are_unpacked_a_few_layers_at_once() {
    for count in [120, 500] {
        let (_dir, store) = new_store();
        let source = Counting::default();
        let layers: Vec<Packed> = (0..count)
            .map(|n| pack(&source.blobs, &tar(&[("d/", ""), (&format!("d/f{n}"), "content")])))
            .collect();
        let lease = store.lease().unwrap();
        let image = image(&layers, "many");
        let unpacked = store.unpack_image(&lease, &image, &source, &quiet).unwrap();
        assert_eq!(unpacked.len(), count);
        for (n, layer) in unpacked.iter().enumerate() {
            assert_eq!(content(layer, &format!("d/f{n}")), "content");
        }
        let most = source.most.load(Ordering::SeqCst);
        assert!(most <= threads().get(), "{most} layers at once");
        assert_eq!(source.open.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn a_compressed_stream_that_ends_early_leaves_nothing() {
    let text = noise(6 << 20);
    let tar = tar(&[("noise", &text)]);
    let packed = gzip(&tar);
    for length in [1, 17, 1000, packed.len() / 2, packed.len() - 9, packed.len() - 1] {
        let (_dir, store) = new_store();
        let source = MemoryBlobs::default();
        // The registry has these very bytes: no digest of the blob tells that something is missing.
        let (digest, size) = put_blob(&source, &packed[..length]);
        let blob = Descriptor::new(MediaType::OCI_LAYER_GZIP, digest, size);
        let diff_id = DiffId(Digest::sha256(&tar));
        let lease = store.lease().unwrap();
        let case = format!("{length} of {} bytes", packed.len());
        store.unpack(&lease, &blob, &diff_id, &source, &quiet).expect_err(&case);
        assert_nothing_left(&store, &lease, &case);
    }
}

/// Panics where another fails: in the middle of a blob.
struct Panicking(MemoryBlobs);

struct PanicsAfter<R>(R, usize);

impl<R: Read> Read for PanicsAfter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1 = self.1.checked_sub(count).expect("a source that panics");
        Ok(count)
    }
}

impl BlobRead for Panicking {
    fn size(&self, digest: &Digest) -> oci::Result<Option<u64>> {
        self.0.size(digest)
    }

    fn open(&self, blob: &Descriptor) -> oci::Result<Verified<Box<dyn Read + Send + '_>>> {
        Ok(Verified::new(Box::new(PanicsAfter(self.0.open(blob)?, 1 << 20)), blob))
    }
}

#[test]
fn a_panic_of_the_reading_thread_ends_the_others_and_the_store_goes_on() {
    let (_dir, store) = new_store();
    let source = Panicking(MemoryBlobs::default());
    let long = noise(6 << 20);
    let layers: Vec<Packed> =
        (0..6).map(|n| pack(&source.0, &tar(&[(&format!("f{n}"), &long)]))).collect();
    let image = image(&layers, "panic");
    let lease = store.lease().unwrap();
    let unpack = || store.unpack_image(&lease, &image, &source, &quiet).map(drop);
    assert!(catch_unwind(AssertUnwindSafe(unpack)).is_err());
    assert!(names_in(store.root().join("layers")).is_empty());
    assert!(names_in(store.root().join("blobs/sha256")).is_empty());
    drop(lease);

    let lease = store.lease().unwrap();
    let unpacked = store.unpack_image(&lease, &image, &source.0, &quiet).unwrap();
    assert_eq!(unpacked.len(), layers.len());
}
