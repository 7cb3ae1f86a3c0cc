//! What is not needed is not fetched.

use std::sync::Arc;

use builder::{BaseImage, BaseImages, BuildError, Builder, Cancel, Silent};
use layerfs::IdMode;
use oci::{DiffId, Digest, ImageConfig, Platform, Raw};

use crate::common::{World, describe, platform, request, unreachable_blob};

/// An image in a registry from which no blob comes.
struct Remote;

impl BaseImages for Remote {
    fn resolve(&self, name: &str, _: &Platform, _: bool) -> oci::Result<BaseImage> {
        let mut config = ImageConfig::empty(&platform());
        config.created = Some("2020-01-01T00:00:00Z".into());
        config.rootfs.diff_ids = vec![DiffId(Digest::sha256(b"tar"))];
        config.config.env = vec!["A=base".into()];
        Ok(BaseImage {
            name: name.to_owned(),
            digest: None,
            config: Raw::write(config),
            layers: vec![Some(unreachable_blob(b"gzip"))],
            blobs: Arc::new(oci::blob::MemoryBlobs::default()),
        })
    }
}

fn build(world: &World, dockerfile: &str) -> Result<builder::Built, BuildError> {
    let lease = world.store.lease().unwrap();
    let cancel = Cancel::new().unwrap();
    let builder = Builder {
        store: &world.store,
        lease: &lease,
        images: &Remote,
        remotes: &builder::NoRemotes,
        progress: &Silent,
        cancel: &cancel,
        ids: IdMode::Full,
    };
    builder.build(&request(dockerfile, None))
}

#[test]
fn a_base_that_nothing_reads_is_a_manifest_and_a_config() {
    let world = World::empty();
    let dockerfile = "FROM example.com/base\nENV B=$A\nLABEL x=y\nCMD [\"z\"]\n";
    let built = build(&world, dockerfile).unwrap_or_else(|error| panic!("{}", describe(&error)));
    assert_eq!(built.layers.len(), 1);
    assert_eq!(built.layers[0].1, Some(unreachable_blob(b"gzip")));
    assert!(built.config.config.env.contains(&"B=base".to_owned()));
    // The store knows the image and where its layer would come from.
    let record = world.store.resolve(&built.config.digest().to_string()).unwrap();
    let layers = world.store.image_layers(&record.id).unwrap();
    assert_eq!(layers[0].1, Some(unreachable_blob(b"gzip")));
}

#[test]
fn a_step_that_reads_the_base_needs_its_layers() {
    let world = World::empty();
    let error = build(&world, "FROM example.com/base\nRUN x\n").unwrap_err();
    let blob = unreachable_blob(b"gzip");
    assert!(describe(&error).contains(blob.digest.hex()), "{}", describe(&error));
}
