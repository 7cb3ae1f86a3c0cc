//! Stores, images and layers to test with.

use std::fs;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use layerfs::{
    ApplyOptions, CommittedLayer, DirectoryTimes, IdMode, Layer, Lease, NewImage, Root,
    SnapshotMode, Store, StoreOptions, apply_layer, write_layer,
};
use oci::compress::{Compression, compress};
use oci::{
    BlobStore, Descriptor, DiffId, Digest, Image, ImageConfig, Manifest, MediaType, Platform, Raw,
    Reference,
};
use tempfile::TempDir;

pub(crate) fn threads() -> NonZeroUsize {
    NonZeroUsize::new(4).unwrap()
}

pub(crate) fn options(boot: &str) -> StoreOptions {
    let snapshots = SnapshotMode::Overlay;
    StoreOptions { boot: boot.into(), ids: IdMode::Full, snapshots, threads: threads() }
}

pub(crate) fn open(root: &Path) -> Store {
    Store::open(root, options("boot-1")).unwrap()
}

/// A directory for a test, in memory: the machine's disk may be busy with other things.
pub(crate) fn scratch() -> TempDir {
    tempfile::Builder::new().prefix("tierce-store-").tempdir_in("/dev/shm").unwrap()
}

pub(crate) fn new_store() -> (TempDir, Store) {
    let dir = scratch();
    let store = open(&dir.path().join("store"));
    (dir, store)
}

/// A layer as a registry has it.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    pub(crate) diff_id: DiffId,
    pub(crate) blob: Descriptor,
}

/// Files as a tar: names that end in a slash are directories.
pub(crate) fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, content) in files {
        let is_dir = name.ends_with('/');
        let mut header = [0_u8; 512];
        let mut put = |at: usize, text: &str| {
            header[at..at + text.len()].copy_from_slice(text.as_bytes());
        };
        put(0, name);
        put(100, if is_dir { "0000755" } else { "0000644" });
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{:011o}", content.len()));
        put(136, "14000000000");
        put(148, "        ");
        put(156, if is_dir { "5" } else { "0" });
        put(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        tar.extend_from_slice(&header);
        tar.extend_from_slice(content.as_bytes());
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// The same files as a tar in the form that a store writes.
pub(crate) fn canonical(files: &[(&str, &str)]) -> Vec<u8> {
    let dir = scratch();
    let root = Root::open(dir.path()).unwrap();
    apply_layer(&mut &tar(files)[..], &root, &ApplyOptions::default()).unwrap();
    let mut canonical = Vec::new();
    write_layer(&root, &mut canonical).unwrap();
    canonical
}

pub(crate) fn put_blob(blobs: &dyn BlobStore, bytes: &[u8]) -> (Digest, u64) {
    let mut ingest = blobs.ingest().unwrap();
    ingest.write_all(bytes).unwrap();
    ingest.commit(None).unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    compress(Compression::GZIP, threads(), &mut &bytes[..], &mut packed).unwrap();
    packed
}

pub(crate) fn pack(blobs: &dyn BlobStore, tar: &[u8]) -> Packed {
    let (digest, size) = put_blob(blobs, &gzip(tar));
    Packed {
        diff_id: DiffId(Digest::sha256(tar)),
        blob: Descriptor::new(MediaType::OCI_LAYER_GZIP, digest, size),
    }
}

/// A config over layers; `label` tells images of the same layers apart.
pub(crate) fn config(diff_ids: &[DiffId], label: &str) -> Raw<ImageConfig> {
    let mut config = ImageConfig::empty(&Platform::host());
    config.rootfs.diff_ids = diff_ids.to_vec();
    config.config.labels.insert("label".into(), label.into());
    Raw::write(config)
}

/// An image as a registry has it.
pub(crate) fn image(layers: &[Packed], label: &str) -> Image {
    let diff_ids: Vec<DiffId> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let config = config(&diff_ids, label);
    let blobs = layers.iter().map(|layer| layer.blob.clone()).collect();
    let config_blob =
        Descriptor::new(MediaType::OCI_CONFIG, config.digest().clone(), config.size());
    let manifest = Raw::write(Manifest::oci(config_blob, blobs));
    Image { manifest, config, index: None }
}

pub(crate) fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

/// An image without layers.
pub(crate) fn put_empty(store: &Store, label: &str, names: &[&str]) -> Digest {
    put_built(store, &store.lease().unwrap(), &[], label, names)
}

/// An image that was built here: it has no manifest.
pub(crate) fn put_built(
    store: &Store,
    lease: &Lease,
    layers: &[DiffId],
    label: &str,
    names: &[&str],
) -> Digest {
    let config = config(layers, label);
    let names: Vec<Reference> = names.iter().map(|text| name(text)).collect();
    let new = NewImage { config: &config, names: &names, manifest: None, index: None, base: &[] };
    store.put_image(lease, &new).unwrap().id
}

/// A layer made by writing files on `below`, as a build step does.
pub(crate) fn build(
    store: &Store,
    lease: &Lease,
    below: &[DiffId],
    files: &[(&str, &str)],
) -> CommittedLayer {
    let snapshot = store.prepare(lease, below).unwrap();
    for (path, content) in files {
        let root = &snapshot.active.root;
        if root.stat(path).unwrap().is_some() {
            root.unlink(path).unwrap();
        }
        let mut file = root.create_file(path, 0o644).unwrap();
        file.write_all(content.as_bytes()).unwrap();
        // The same files make the same layer, whenever it is made.
        root.set_mtime(path, layerfs::Timestamp::at(1_000_000_000)).unwrap();
    }
    store.commit(lease, snapshot, DirectoryTimes::Keep, None).unwrap()
}

pub(crate) fn content(layer: &Layer, path: &str) -> String {
    fs::read_to_string(layer.tree().join(path)).unwrap()
}

/// Whether the layer's directory gives the tar of its DiffID.
pub(crate) fn is_whole(layer: &Layer) -> bool {
    let mut tar = Vec::new();
    write_layer(&Root::open(&layer.tree()).unwrap(), &mut tar).unwrap();
    DiffId(Digest::sha256(&tar)) == layer.diff_id
}

/// What stands in a directory of a store, sorted.
pub(crate) fn names_in(dir: PathBuf) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn quiet(_: &Descriptor, _: u64) {}
