//! Layers from blobs, from build steps, and back to blobs.

use std::io::{Read, Write};
use std::sync::Mutex;

use layerfs::{Error, Root};
use oci::blob::MemoryBlobs;
use oci::compress::Compression;
use oci::{
    Algorithm, BlobRead, BlobStore, Descriptor, DiffId, Digest, LayerCompression, MediaType,
};

use crate::common::*;

#[test]
fn a_layer_is_unpacked_once_and_its_blob_kept() {
    let (_dir, store) = new_store();
    let source = MemoryBlobs::default();
    let packed = pack(&source, &tar(&[("etc/", ""), ("etc/motd", "hello")]));
    let lease = store.lease().unwrap();
    let seen = Mutex::new(0);
    let progress = |blob: &Descriptor, passed| {
        assert_eq!(*blob, packed.blob);
        *seen.lock().unwrap() = passed;
    };
    let layer = store.unpack(&lease, &packed.blob, &packed.diff_id, &source, &progress).unwrap();
    assert_eq!(content(&layer, "etc/motd"), "hello");
    assert_eq!(*seen.lock().unwrap(), packed.blob.size);
    assert_eq!(BlobRead::size(&store, &packed.blob.digest).unwrap(), Some(packed.blob.size));

    let nowhere = MemoryBlobs::default();
    let again = store.unpack(&lease, &packed.blob, &packed.diff_id, &nowhere, &quiet).unwrap();
    assert_eq!(again, layer);
}

#[test]
fn a_kept_blob_is_not_fetched_again() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    // The layer's blob is put into the store, as a copy of blobs alone does.
    let packed = pack(&lease, &tar(&[("a", "1")]));
    let nowhere = MemoryBlobs::default();
    let layer = store.unpack(&lease, &packed.blob, &packed.diff_id, &nowhere, &quiet).unwrap();
    assert_eq!(content(&layer, "a"), "1");
}

#[test]
fn what_is_not_the_layer_leaves_nothing() {
    let (_dir, store) = new_store();
    let source = MemoryBlobs::default();
    let good = pack(&source, &tar(&[("a", "1")]));
    let other = DiffId(Digest::sha256(b"other"));
    let (short, size) = put_blob(&source, &gzip(&tar(&[("a", "1")])[..700]));
    let wrong_size = Descriptor { size: good.blob.size + 1, ..good.blob.clone() };
    let config = Descriptor::new(MediaType::OCI_CONFIG, good.blob.digest.clone(), good.blob.size);
    let cut = Descriptor::new(MediaType::OCI_LAYER_GZIP, short, size);
    let cases: [(&str, &Descriptor, &DiffId); 4] = [
        ("another tar", &good.blob, &other),
        ("a wrong size", &wrong_size, &good.diff_id),
        ("no layer", &config, &good.diff_id),
        ("a tar that ends early", &cut, &good.diff_id),
    ];
    for (case, blob, diff_id) in cases {
        let lease = store.lease().unwrap();
        let error = store.unpack(&lease, blob, diff_id, &source, &quiet).unwrap_err();
        match case {
            "another tar" => assert!(matches!(error, Error::DiffIdMismatch { .. }), "{error}"),
            "a wrong size" => {
                let is_size = matches!(error, Error::Oci(oci::Error::SizeMismatch { .. }));
                assert!(is_size, "{error:?}");
            }
            "no layer" => assert!(matches!(error, Error::NotALayer { .. }), "{error}"),
            _ => {}
        }
        assert!(store.layer(diff_id).unwrap().is_none(), "{case}");
        assert!(names_in(store.root().join("layers")).is_empty(), "{case}");
        assert!(names_in(store.root().join("blobs/sha256")).is_empty(), "{case}");
        assert!(names_in(store.root().join("staging").join(lease.id())).is_empty(), "{case}");
    }
}

#[test]
fn the_layers_of_an_image_come_in_order_and_the_first_error_ends_all() {
    let (_dir, store) = new_store();
    let source = MemoryBlobs::default();
    let mut layers: Vec<Packed> =
        (0..20).map(|n| pack(&source, &tar(&[(&format!("f{n}"), &"x".repeat(n * 100))]))).collect();
    layers.push(layers[3].clone());
    let lease = store.lease().unwrap();
    let unpacked = store.unpack_image(&lease, &image(&layers, "all"), &source, &quiet).unwrap();
    let got: Vec<&DiffId> = unpacked.iter().map(|layer| &layer.diff_id).collect();
    assert_eq!(got, layers.iter().map(|layer| &layer.diff_id).collect::<Vec<_>>());

    let mut bad = pack(&source, &tar(&[("bad", "")]));
    bad.blob.digest = Digest::sha256(b"nowhere");
    let error = store.unpack_image(&lease, &image(&[bad], "bad"), &source, &quiet).unwrap_err();
    assert!(matches!(error, Error::Oci(oci::Error::BlobNotFound { .. })), "{error:?}");
}

#[test]
fn a_build_step_becomes_a_layer_of_what_it_changed() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let base = build(&store, &lease, &[], &[("kept", "1"), ("changed", "1")]);
    let below = [base.layer.diff_id.clone()];
    let step = build(&store, &lease, &below, &[("changed", "2")]);
    assert!(!step.is_empty);
    let paths: Vec<_> = step.changes.iter().map(|change| change.path.to_str().unwrap()).collect();
    assert_eq!(paths, ["changed"]);
    assert_eq!(names_in(step.layer.tree()), ["changed"]);
    assert!(is_whole(&step.layer));

    let view = store.view(&lease, &[below[0].clone(), step.layer.diff_id.clone()]).unwrap();
    let mut text = String::new();
    view.root.open_file("changed").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "2");
    assert!(view.root.stat("kept").unwrap().is_some());

    let nothing = build(&store, &lease, &below, &[]);
    assert!(nothing.is_empty);
    let tar_of_nothing = DiffId(Digest::sha256(&[0; 1024]));
    assert_eq!(nothing.layer.diff_id, tar_of_nothing);
}

#[test]
fn an_uncommitted_step_leaves_nothing_when_its_lease_ends() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let snapshot = store.prepare(&lease, &[]).unwrap();
    snapshot.active.root.create_file("a", 0o600).unwrap();
    drop(snapshot);
    drop(lease);
    assert!(names_in(store.root().join("staging")).is_empty());
    assert!(names_in(store.root().join("leases")).is_empty());
}

#[test]
fn a_directory_that_a_layer_does_not_name_looks_as_the_layers_below_say() {
    use std::os::unix::fs::PermissionsExt;

    let (_dir, store) = new_store();
    let source = MemoryBlobs::default();
    let lease = store.lease().unwrap();
    let below = {
        let snapshot = store.prepare(&lease, &[]).unwrap();
        let root = &snapshot.active.root;
        root.mkdir("data", 0o700).unwrap();
        root.chown("data", 7, 8).unwrap();
        root.chmod("data", 0o2750).unwrap();
        store.commit(&lease, snapshot, layerfs::DirectoryTimes::Keep, None).unwrap().layer
    };
    let above = pack(&source, &tar(&[("data/file", "x")]));
    let above = store.unpack(&lease, &above.blob, &above.diff_id, &source, &quiet).unwrap();
    let seen = |layers: &[&layerfs::Layer]| {
        let ids: Vec<DiffId> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
        let view = store.view(&lease, &ids).unwrap();
        let data = view.root.stat("data").unwrap().unwrap();
        let mode = std::fs::Permissions::from_mode(data.mode).mode() & 0o7777;
        (mode, data.uid, data.gid)
    };
    assert_eq!(seen(&[&below, &above]), (0o2750, 7, 8));
    assert_eq!(seen(&[&above]), (0o755, 0, 0));
}

#[test]
fn a_blob_is_made_when_it_is_needed_and_the_same_wherever_it_is_made() {
    let files = [("a", "some text, some text, some text"), ("b", "more")];
    let made: Vec<(Descriptor, Vec<u8>)> = (0..2)
        .map(|_| {
            let (_dir, store) = new_store();
            let lease = store.lease().unwrap();
            let source = MemoryBlobs::default();
            let packed = pack(&source, &canonical(&files));
            store.unpack(&lease, &packed.blob, &packed.diff_id, &source, &quiet).unwrap();
            let blob = store.compressed(&lease, &packed.diff_id, Compression::ZSTD).unwrap();
            assert_eq!(store.compressed(&lease, &packed.diff_id, Compression::ZSTD).unwrap(), blob);
            // The one that it came from serves as well.
            let gzip = store.compressed(&lease, &packed.diff_id, Compression::GZIP).unwrap();
            assert_eq!(gzip.digest, packed.blob.digest);
            let mut bytes = Vec::new();
            store.open(&blob).unwrap().read_to_end(&mut bytes).unwrap();
            (blob, bytes)
        })
        .collect();
    assert_eq!(made[0], made[1]);
    assert_eq!(made[0].0.media_type.layer_compression(), Some(LayerCompression::Zstd));
}

#[test]
fn a_layer_that_is_not_what_it_was_makes_no_blob() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let layer = build(&store, &lease, &[], &[("a", "1")]).layer;
    std::fs::write(layer.tree().join("a"), "2").unwrap();
    let error = store.compressed(&lease, &layer.diff_id, Compression::GZIP).unwrap_err();
    assert!(matches!(error, Error::LayerNotReproducible { .. }), "{error}");
    assert!(names_in(store.root().join("blobs/sha256")).is_empty());
}

#[test]
fn a_manifest_is_made_once_and_names_the_blobs_of_all_layers() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let one = build(&store, &lease, &[], &[("a", "1")]).layer;
    let two = build(&store, &lease, std::slice::from_ref(&one.diff_id), &[("b", "2")]).layer;
    let layers = [one.diff_id.clone(), two.diff_id, one.diff_id];
    put_built(&store, &lease, &layers, "built", &["app"]);
    let record = store.resolve("app").unwrap();
    assert_eq!(record.manifest, None);
    let image = store.manifest(&lease, &record, None).unwrap();
    assert_eq!(image.manifest.layers.len(), 3);
    assert_eq!(image.manifest.layers[0], image.manifest.layers[2]);
    assert_eq!(image.manifest.config.digest, record.id);

    let record = store.resolve("app").unwrap();
    assert_eq!(record.manifest.as_ref(), Some(image.manifest.digest()));
    let again = store.manifest(&lease, &record, None).unwrap();
    assert_eq!(again.manifest.bytes(), image.manifest.bytes());
    let zstd = store.manifest(&lease, &record, Some(Compression::ZSTD)).unwrap();
    assert!(zstd.manifest.layers.iter().all(|l| l.media_type == MediaType::OCI_LAYER_ZSTD));
}

#[test]
fn a_claim_of_one_image_does_not_become_the_blob_of_another() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let layer = build(&store, &lease, &[], &[("a", "good")]).layer;
    put_built(&store, &lease, std::slice::from_ref(&layer.diff_id), "good", &["good"]);
    // An image from elsewhere says that its own blob is that layer. It is there, so that nobody
    // unpacks the blob and finds out.
    let source = MemoryBlobs::default();
    let evil = pack(&source, &tar(&[("a", "evil")]));
    let claim = Packed { diff_id: layer.diff_id.clone(), blob: evil.blob.clone() };
    let evil_image = image(&[claim], "evil");
    oci::ImageSink::put(&store, &name("evil"), &evil_image, &source).unwrap();

    let good = store.resolve("good").unwrap();
    let manifest = store.manifest(&lease, &good, None).unwrap().manifest;
    assert_ne!(manifest.layers[0].digest, evil.blob.digest);
    let root = Root::open(&layer.tree()).unwrap();
    assert!(root.stat("a").unwrap().is_some());
}

#[test]
fn a_kept_blob_that_was_damaged_is_fetched_again() {
    let (_dir, store) = new_store();
    let source = MemoryBlobs::default();
    let bytes = gzip(&tar(&[("a", "1")]));
    let packed = pack(&source, &tar(&[("a", "1")]));
    let lease = store.lease().unwrap();
    put_blob(&lease, &bytes);
    let path = store.blob_path(&packed.blob.digest).unwrap().unwrap();
    let mut damaged = bytes;
    let last = damaged.len() - 20;
    damaged[last] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let layer = store.unpack(&lease, &packed.blob, &packed.diff_id, &source, &quiet).unwrap();
    assert_eq!(content(&layer, "a"), "1");
    let mut again = Vec::new();
    store.open(&packed.blob).unwrap().read_to_end(&mut again).unwrap();
}

#[test]
fn threads_that_want_the_same_layer_fetch_it_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Counting(MemoryBlobs, AtomicUsize);
    impl BlobRead for Counting {
        fn size(&self, digest: &Digest) -> oci::Result<Option<u64>> {
            self.0.size(digest)
        }
        fn open(&self, blob: &Descriptor) -> oci::Result<oci::Verified<Box<dyn Read + Send + '_>>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(50));
            self.0.open(blob)
        }
    }

    let (_dir, store) = new_store();
    let source = Counting(MemoryBlobs::default(), AtomicUsize::new(0));
    let packed = pack(&source.0, &tar(&[("a", "1")]));
    let lease = store.lease().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                store.unpack(&lease, &packed.blob, &packed.diff_id, &source, &quiet).unwrap()
            });
        }
    });
    assert_eq!(source.1.load(Ordering::Relaxed), 1);
}

#[test]
fn a_layer_loaded_as_a_plain_tar_is_compressed_for_a_registry_whoever_wrote_it() {
    let (_dir, store) = new_store();
    let source = MemoryBlobs::default();
    // Not as a store would write it.
    let bytes = tar(&[("z", "1"), ("a", "2")]);
    let diff_id = DiffId(Digest::sha256(&bytes));
    assert_ne!(bytes, canonical(&[("z", "1"), ("a", "2")]));
    let (digest, size) = put_blob(&source, &bytes);
    let blob = Descriptor::new(MediaType::DOCKER_LAYER, digest, size);
    let loaded = image(&[Packed { diff_id: diff_id.clone(), blob }], "loaded");
    oci::ImageSink::put(&store, &name("loaded"), &loaded, &source).unwrap();
    let lease = store.lease().unwrap();
    let record = store.resolve("loaded").unwrap();
    let made = store.manifest(&lease, &record, None).unwrap().manifest;
    assert_eq!(made.layers[0].media_type, MediaType::OCI_LAYER_GZIP);
    let mut compressed = Vec::new();
    store.open(&made.layers[0]).unwrap().read_to_end(&mut compressed).unwrap();
    assert_eq!(compressed, gzip(&bytes));

    let plain = store.compressed(&lease, &diff_id, Compression::None).unwrap();
    assert_eq!(plain.digest, diff_id.0);
}

#[test]
fn one_bad_layer_stops_the_slow_ones() {
    use std::time::{Duration, Instant};

    struct Slow(MemoryBlobs);
    struct Drip<R>(R);
    impl<R: Read> Read for Drip<R> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            std::thread::sleep(Duration::from_millis(20));
            let end = buffer.len().min(1);
            self.0.read(&mut buffer[..end])
        }
    }
    impl BlobRead for Slow {
        fn size(&self, digest: &Digest) -> oci::Result<Option<u64>> {
            self.0.size(digest)
        }
        fn open(&self, blob: &Descriptor) -> oci::Result<oci::Verified<Box<dyn Read + Send + '_>>> {
            let bytes = self.0.open(blob)?;
            Ok(oci::Verified::new(Box::new(Drip(bytes)), blob))
        }
    }

    let (_dir, store) = new_store();
    let source = Slow(MemoryBlobs::default());
    let noise: String =
        (0..20_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect();
    let slow = pack(&source.0, &tar(&[("slow", &noise)]));
    let mut bad = pack(&source.0, &tar(&[("bad", "")]));
    bad.blob.digest = Digest::sha256(b"nowhere");
    let lease = store.lease().unwrap();
    let began = Instant::now();
    let error = store.unpack_image(&lease, &image(&[slow, bad], "x"), &source, &quiet).unwrap_err();
    assert!(matches!(error, Error::Oci(oci::Error::BlobNotFound { .. })), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(60), "the whole would take half an hour");
    assert!(names_in(store.root().join("layers")).is_empty());
}

#[test]
fn blobs_come_in_whole_or_not_at_all() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let blobs = || names_in(store.root().join("blobs/sha256"));
    let staged = || names_in(store.root().join("staging").join(lease.id()));
    {
        let mut ingest = lease.ingest().unwrap();
        ingest.write_all(b"half").unwrap();
        assert_eq!(staged().len(), 1);
    }
    let mut ingest = lease.ingest().unwrap();
    ingest.write_all(b"four").unwrap();
    let error = ingest.commit(Some(&Digest::sha256(b"five"))).unwrap_err();
    assert!(matches!(error, oci::Error::DigestMismatch { .. }), "{error}");
    assert!(staged().is_empty() && blobs().is_empty());

    for expected in [Digest::sha256(b"four"), Algorithm::Sha512.digest(b"four")] {
        for _ in 0..2 {
            let mut ingest = lease.ingest().unwrap();
            ingest.write_all(b"four").unwrap();
            assert_eq!(ingest.commit(Some(&expected)).unwrap(), (expected.clone(), 4));
        }
        let blob = Descriptor::new(MediaType::OCI_LAYER, expected.clone(), 4);
        let mut bytes = Vec::new();
        lease.open(&blob).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"four");
        BlobStore::remove(&lease, &expected).unwrap();
        assert_eq!(lease.size(&expected).unwrap(), None);
        assert!(matches!(lease.open(&blob), Err(oci::Error::BlobNotFound { .. })));
    }
}
