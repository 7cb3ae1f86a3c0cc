//! What every place of blobs must hold, run on each of them.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};

use oci::blob::{DirBlobs, MemoryBlobs};
use oci::{Algorithm, BlobStore, Descriptor, Digest, Error, MediaType};

fn read(blobs: &dyn BlobStore, digest: &Digest, size: u64) -> Vec<u8> {
    let blob = Descriptor::new(MediaType::OCI_LAYER, digest.clone(), size);
    let mut bytes = Vec::new();
    blobs.open(&blob).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn conforms(blobs: &dyn BlobStore) {
    let content = b"some bytes".repeat(1000);
    let digest = Digest::sha256(&content);

    // Not there at first, and not while it is on its way.
    assert_eq!(blobs.size(&digest).unwrap(), None);
    let missing = Descriptor::new(MediaType::OCI_LAYER, digest.clone(), 1);
    assert!(matches!(blobs.open(&missing), Err(Error::BlobNotFound { .. })));
    let mut ingest = blobs.ingest().unwrap();
    ingest.write_all(&content).unwrap();
    assert_eq!(blobs.size(&digest).unwrap(), None);

    // There after the commit, also when it comes a second time.
    for mut ingest in [ingest, blobs.ingest().unwrap()] {
        if blobs.size(&digest).unwrap().is_some() {
            ingest.write_all(&content).unwrap();
        }
        assert_eq!(ingest.commit(None).unwrap(), (digest.clone(), content.len() as u64));
        assert_eq!(blobs.size(&digest).unwrap(), Some(content.len() as u64));
        assert_eq!(read(blobs, &digest, content.len() as u64), content);
    }

    // Under the digest that was asked for, of whichever algorithm, or not at all.
    let long = Algorithm::Sha512.digest(&content);
    let mut ingest = blobs.ingest().unwrap();
    ingest.write_all(&content).unwrap();
    assert_eq!(ingest.commit(Some(&long)).unwrap().0, long);
    assert_eq!(read(blobs, &long, content.len() as u64), content);
    let mut ingest = blobs.ingest().unwrap();
    ingest.write_all(b"other").unwrap();
    assert!(matches!(ingest.commit(Some(&digest)), Err(Error::DigestMismatch { .. })));
    assert_eq!(blobs.size(&Digest::sha256(b"other")).unwrap(), None);

    // Dropped is gone; removing twice is no error.
    drop(blobs.ingest().unwrap());
    blobs.remove(&digest).unwrap();
    blobs.remove(&digest).unwrap();
    assert_eq!(blobs.size(&digest).unwrap(), None);
}

#[test]
fn blobs_in_memory_conform() {
    conforms(&MemoryBlobs::default());
}

#[test]
fn blobs_in_a_directory_conform_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let staging = dir.path().join("staging");
    let blobs = DirBlobs::new(dir.path().join("blobs"), &staging);
    conforms(&blobs);
    assert_eq!(std::fs::read_dir(staging).unwrap().count(), 0);
    assert_eq!(blobs.list().unwrap().len(), 1);
}
