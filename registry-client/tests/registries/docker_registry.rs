//! Against Debian's docker-registry, through the blocking traits.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::sync::{Arc, Mutex};

use oci::{
    BlobRead, BlobStore, Descriptor, Digest, Image, ImageConfig, ImageSink, ImageSource, Manifest,
    MediaType, Platform, Raw, Reference, Verified, blob::MemoryBlobs, copy_missing_blobs,
};
use registry_client::Client;
use registry_client::blocking::{BlobProgress, Sink, SinkOptions, Source};
use testutil::DockerRegistry;
use tokio::runtime::Runtime;

use crate::server::{config, noise};

struct Setting {
    registry: DockerRegistry,
    runtime: Runtime,
    client: Client,
}

impl Setting {
    fn new() -> Setting {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        Setting { registry: DockerRegistry::start(), runtime, client: Client::new(config()) }
    }

    fn name(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.registry.address).parse().unwrap()
    }

    /// Puts an image and answers with what became of each blob.
    fn put(
        &self,
        name: &Reference,
        image: &Image,
        blobs: &dyn BlobRead,
        mounts: Vec<Reference>,
    ) -> oci::Result<Vec<BlobProgress>> {
        let seen: Arc<Mutex<BTreeMap<Digest, BlobProgress>>> = Arc::default();
        let notes = Arc::clone(&seen);
        let options = SinkOptions {
            mounts: Arc::new(move |_| mounts.clone()),
            progress: Arc::new(move |blob, progress| {
                notes.lock().unwrap().insert(blob.digest.clone(), progress);
            }),
            ..SinkOptions::default()
        };
        let sink = Sink::new(self.client.clone(), self.runtime.handle().clone(), options);
        let digest = sink.put(name, image, blobs)?;
        assert_eq!(digest, *image.manifest.digest());
        let mut seen: Vec<_> = seen.lock().unwrap().values().copied().collect();
        seen.sort_by_key(|progress| format!("{progress:?}"));
        Ok(seen)
    }

    fn source(&self) -> Source {
        Source::new(self.client.clone(), self.runtime.handle().clone())
    }
}

/// An image of layers of some sizes.
fn image(sizes: &[usize]) -> (Image, MemoryBlobs) {
    let blobs = MemoryBlobs::default();
    let layers = sizes.iter().map(|&size| {
        let mut ingest = blobs.ingest().unwrap();
        ingest.write_all(&noise(size)).unwrap();
        let (digest, size) = ingest.commit(None).unwrap();
        Descriptor::new(MediaType::OCI_LAYER, digest, size)
    });
    let layers = layers.collect();
    let config = Raw::write(ImageConfig::empty(&Platform::host()));
    let described = Descriptor::new(MediaType::OCI_CONFIG, config.digest().clone(), config.size());
    let manifest = Raw::write(Manifest::oci(described, layers));
    (Image { manifest, config, index: None }, blobs)
}

#[test]
fn an_image_goes_there_and_comes_back() {
    let setting = Setting::new();
    let (image, blobs) = image(&[0, 1, 70_000, 3_000_000, 20_000_000]);
    let name = setting.name("some/app:1");
    let first = setting.put(&name, &image, &blobs, Vec::new()).unwrap();
    assert_eq!(first, [BlobProgress::Sent; 6]);

    let source = setting.source();
    let by_digest = name.with_digest(image.manifest.digest().clone());
    for name in [&name, &by_digest] {
        let pulled = source.image(name, &Platform::host()).unwrap();
        assert_eq!(pulled.manifest.bytes(), image.manifest.bytes());
        assert_eq!(pulled.config.bytes(), image.config.bytes());
    }
    let empty = MemoryBlobs::default();
    let copied = copy_missing_blobs(&source, &empty, &image.manifest.layers).unwrap();
    assert_eq!(copied, 23_070_001);

    let resolved = setting.runtime.block_on(setting.client.resolve(&name)).unwrap();
    assert_eq!(resolved.digest, *image.manifest.digest());
    let tags = setting.runtime.block_on(setting.client.tags(&name)).unwrap();
    assert_eq!(tags, ["1"]);
    let all = setting.runtime.block_on(setting.client.catalog(&setting.registry.address)).unwrap();
    assert_eq!(all, ["some/app"]);
}

#[test]
fn what_is_there_is_not_sent_again() {
    let setting = Setting::new();
    let (image, blobs) = image(&[100_000, 200_000]);
    let (first, second, third) = (setting.name("a:1"), setting.name("a:2"), setting.name("b:1"));
    setting.put(&first, &image, &blobs, Vec::new()).unwrap();
    // A source that has nothing proves that nothing is read.
    let nothing = MemoryBlobs::default();
    let present = [BlobProgress::Present; 3];
    assert_eq!(setting.put(&first, &image, &nothing, Vec::new()).unwrap(), present);
    assert_eq!(setting.put(&second, &image, &nothing, Vec::new()).unwrap(), present);
    let mounted = setting.put(&third, &image, &nothing, vec![first]).unwrap();
    assert_eq!(mounted, [BlobProgress::Mounted; 3]);
    setting.source().image(&third, &Platform::host()).unwrap();
}

#[test]
fn several_blobs_are_read_at_once() {
    let setting = Setting::new();
    let (image, blobs) = image(&[2_000_000, 2_000_001, 2_000_002, 2_000_003]);
    let name = setting.name("a:1");
    setting.put(&name, &image, &blobs, Vec::new()).unwrap();
    let source = setting.source();
    source.image(&name, &Platform::host()).unwrap();
    let mut readers: Vec<_> =
        image.manifest.layers.iter().map(|layer| source.open(layer).unwrap()).collect();
    // The last that was opened is read first: nothing waits for the others.
    while let Some(mut reader) = readers.pop() {
        io::copy(&mut reader, &mut io::sink()).unwrap();
    }
    std::thread::scope(|scope| {
        for layer in &image.manifest.layers {
            let source = &source;
            scope.spawn(move || {
                let mut bytes = Vec::new();
                source.open(layer).unwrap().read_to_end(&mut bytes).unwrap();
            });
        }
    });
}

#[test]
fn what_is_absent_has_its_own_error() {
    let setting = Setting::new();
    let source = setting.source();
    let error = source.image(&setting.name("a:1"), &Platform::host()).unwrap_err();
    assert!(matches!(error, oci::Error::ImageNotFound { .. }), "{error}");
    let (image, _) = image(&[5]);
    let layer = &image.manifest.layers[0];
    let of_a = Source::of_repository(
        setting.client.clone(),
        setting.runtime.handle().clone(),
        setting.name("a"),
    );
    for source in [source, of_a] {
        let error = source.open(layer).err().unwrap();
        assert!(matches!(error, oci::Error::BlobNotFound { .. }), "{error}");
    }
}

#[test]
fn an_image_with_a_subject_is_listed_among_its_referrers() {
    let setting = Setting::new();
    let (subject, blobs) = image(&[10]);
    let name = setting.name("a:1");
    setting.put(&name, &subject, &blobs, Vec::new()).unwrap();
    let mut expected = Vec::new();
    // docker-registry 2.8 knows nothing of referrers: the tag stands in for the list.
    for note in ["one", "two", "two"] {
        let (mut image, blobs) = image(&[20]);
        let manifest = &subject.manifest;
        let described =
            Descriptor::new(MediaType::OCI_MANIFEST, manifest.digest().clone(), manifest.size());
        let mut changed = (*image.manifest).clone();
        changed.subject = Some(described);
        changed.annotations.insert("note".into(), note.into());
        image.manifest = Raw::write(changed);
        setting.put(&setting.name(&format!("a:{note}")), &image, &blobs, Vec::new()).unwrap();
        expected.push((image.manifest.digest().clone(), note.to_owned()));
    }
    expected.dedup();
    let found = setting
        .runtime
        .block_on(setting.client.referrers(&name, subject.manifest.digest(), None))
        .unwrap();
    let found: Vec<_> =
        found.into_iter().map(|entry| (entry.digest, entry.annotations["note"].clone())).collect();
    assert_eq!(found, expected);
}

/// Blobs whose bytes are not what they should be.
struct Broken;

impl BlobRead for Broken {
    fn size(&self, _: &Digest) -> oci::Result<Option<u64>> {
        Ok(None)
    }

    fn open(&self, blob: &Descriptor) -> oci::Result<Verified<Box<dyn io::Read + Send + '_>>> {
        Ok(Verified::new(Box::new(io::repeat(7).take(blob.size)), blob))
    }
}

#[test]
fn bytes_that_cannot_be_read_end_the_push() {
    let setting = Setting::new();
    let (image, _) = image(&[300_000, 400_000]);
    let name = setting.name("a:1");
    let error = setting.put(&name, &image, &Broken, Vec::new()).unwrap_err();
    let text = format!("{error}: {:?}", std::error::Error::source(&error));
    assert!(text.contains("push blob"), "{text}");
    let error = setting.source().image(&name, &Platform::host()).unwrap_err();
    assert!(matches!(error, oci::Error::ImageNotFound { .. }), "nothing became visible: {error}");
    // A store that lacks a blob.
    let error = setting.put(&name, &image, &MemoryBlobs::default(), Vec::new()).unwrap_err();
    assert!(format!("{error:?}").contains("BlobNotFound"), "{error:?}");
}

#[test]
fn what_was_pushed_can_be_deleted() {
    let setting = Setting::new();
    let (image, blobs) = image(&[10]);
    let name = setting.name("a:1");
    setting.put(&name, &image, &blobs, Vec::new()).unwrap();
    let by_digest = name.with_digest(image.manifest.digest().clone());
    setting.runtime.block_on(setting.client.delete_manifest(&by_digest)).unwrap();
    let error = setting.runtime.block_on(setting.client.resolve(&name)).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let layer = &image.manifest.layers[0].digest;
    setting.runtime.block_on(setting.client.delete_blob(&name, layer)).unwrap();
    assert!(!setting.runtime.block_on(setting.client.has_blob(&name, layer)).unwrap());
}
