//! Names, ids and what they mean.

use layerfs::{Error, NewImage};
use oci::blob::MemoryBlobs;
use oci::{BlobRead, Descriptor, ImageSink, ImageSource, MediaType, Platform, Reference};
use std::io::Read;

use crate::common::*;

#[test]
fn an_image_goes_by_its_names_its_id_and_beginnings_of_that() {
    let (_dir, store) = new_store();
    let id = put_empty(&store, "a", &["busybox", "127.0.0.1:5000/x/y:v1"]);
    let other = put_empty(&store, "b", &["other"]);
    for text in [
        "busybox",
        "busybox:latest",
        "docker.io/library/busybox",
        "127.0.0.1:5000/x/y:v1",
        &id.to_string(),
        id.hex(),
        id.short(),
        &format!("sha256:{}", id.short()),
    ] {
        assert_eq!(store.resolve(text).unwrap().id, id, "{text}");
    }
    assert_eq!(store.resolve("other").unwrap().id, other);
    let record = store.resolve("busybox").unwrap();
    let names: Vec<String> = record.names.iter().map(Reference::familiar).collect();
    assert_eq!(names, ["127.0.0.1:5000/x/y:v1", "busybox:latest"]);
    for text in ["busybox:1", "nobody", "127.0.0.1:5000/x/y", "", "sha256:", "A!", "x y"] {
        let error = store.resolve(text).unwrap_err();
        assert!(matches!(error, Error::ImageNotFound { .. }), "{text}: {error}");
    }
}

#[test]
fn the_beginning_of_two_ids_is_ambiguous_and_a_name_of_hex_digits_goes_first() {
    let (_dir, store) = new_store();
    let ids: Vec<_> = (0..17).map(|n| put_empty(&store, &n.to_string(), &[])).collect();
    let shared = ids
        .iter()
        .map(|id| &id.hex()[..1])
        .find(|first| ids.iter().filter(|id| id.hex().starts_with(*first)).count() > 1)
        .expect("17 ids share one of 16 first digits");
    let error = store.resolve(shared).unwrap_err();
    assert!(matches!(error, Error::AmbiguousId { kind: "image", .. }), "{error}");

    let named = put_empty(&store, "named", &[shared]);
    assert_eq!(store.resolve(shared).unwrap().id, named);
}

#[test]
fn a_name_moves_to_the_image_that_gets_it() {
    let (_dir, store) = new_store();
    let old = put_empty(&store, "old", &["app"]);
    let new = put_empty(&store, "new", &["app"]);
    assert_eq!(store.resolve("app").unwrap().id, new);
    assert!(store.resolve(&old.to_string()).unwrap().names.is_empty());

    let old = store.resolve(old.hex()).unwrap();
    store.tag(&old, &name("app:v0")).unwrap();
    assert_eq!(store.resolve("app:v0").unwrap().id, old.id);
    assert_eq!(store.images().unwrap().len(), 2);
}

#[test]
fn a_pulled_image_is_known_by_the_digests_of_its_registry() {
    let (_dir, store) = new_store();
    let source = MemoryBlobs::default();
    let image = image(&[pack(&source, &tar(&[("a", "1")]))], "pulled");
    let lease = store.lease().unwrap();
    store.unpack_image(&lease, &image, &source, &quiet).unwrap();
    let index = oci::Digest::sha256(b"the index it was found through");
    let tagged = name("localhost:5000/app:v1");
    let names = [tagged.clone(), tagged.with_digest(index.clone())];
    let new = NewImage {
        config: &image.config,
        names: &names,
        manifest: Some(&image.manifest),
        index: Some(&index),
        base: &[],
    };
    store.put_image(&lease, &new).unwrap();

    let manifest = image.manifest.digest();
    for text in [
        format!("localhost:5000/app@{index}"),
        format!("localhost:5000/app@{manifest}"),
        format!("localhost:5000/app:ignored@{manifest}"),
        index.to_string(),
        manifest.to_string(),
    ] {
        let record = store.resolve(&text).unwrap();
        assert_eq!(record.id, *image.config.digest(), "{text}");
        assert_eq!(record.manifest.as_ref(), Some(manifest), "{text}");
        assert_eq!(record.target.as_ref(), Some(&index), "{text}");
    }
    assert!(store.resolve(&format!("localhost:5000/other@{manifest}")).is_err());
    assert!(store.resolve(&format!("localhost:5000/ap@{manifest}")).is_err());

    let untagged = store.untag(&tagged).unwrap();
    assert_eq!(untagged.names.len(), 2, "the digest hung on the last tag: {untagged:?}");
    assert!(untagged.is_nameless);
}

#[test]
fn removing_one_of_two_tags_leaves_the_digest() {
    let (_dir, store) = new_store();
    let id = put_empty(&store, "x", &["app:1", "app:2"]);
    let digest = name(&format!("app@{}", oci::Digest::sha256(b"m")));
    let record = store.resolve("app:1").unwrap();
    store.tag(&record, &digest).unwrap();
    let untagged = store.untag(&name("app:1")).unwrap();
    assert_eq!((untagged.names.len(), untagged.is_nameless), (1, false));
    assert_eq!(store.resolve(&digest.to_string()).unwrap().id, id);
    let error = store.untag(&name("app:1")).unwrap_err();
    assert!(matches!(error, Error::ImageNotFound { .. }), "{error}");
}

#[test]
fn an_image_whose_layers_nobody_can_provide_is_refused() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let missing = oci::DiffId(oci::Digest::sha256(b"nowhere"));
    let config = config(std::slice::from_ref(&missing), "x");
    let new = NewImage { config: &config, names: &[], manifest: None, index: None, base: &[] };
    let error = store.put_image(&lease, &new).unwrap_err();
    assert!(matches!(error, Error::LayerNotFound { diff_id } if diff_id == missing));
    assert!(store.images().unwrap().is_empty());

    // With the descriptor of a base image that is in a registry it is a lazy one.
    let blob = Descriptor::new(MediaType::OCI_LAYER_GZIP, oci::Digest::sha256(b"blob"), 4);
    let new = NewImage { base: std::slice::from_ref(&blob), ..new };
    let record = store.put_image(&lease, &new).unwrap();
    let image = store.manifest(&lease, &record, None).unwrap();
    assert_eq!(image.manifest.layers, [blob]);
}

#[test]
fn putting_the_same_again_changes_nothing() {
    let (_dir, store) = new_store();
    let id = put_empty(&store, "x", &["app"]);
    let before = store.resolve("app").unwrap();
    assert_eq!(put_empty(&store, "x", &["app"]), id);
    assert_eq!(store.resolve("app").unwrap(), before);
}

#[test]
fn an_image_goes_through_a_store_with_the_bytes_of_its_documents() {
    let (_dir, store) = new_store();
    let source = MemoryBlobs::default();
    let image =
        image(&[pack(&source, &tar(&[("a", "1")])), pack(&source, &tar(&[("b", "2")]))], "through");
    store.put(&name("app"), &image, &source).unwrap();
    let out = store.image(&name("app"), &Platform::host()).unwrap();
    assert_eq!(out.manifest.bytes(), image.manifest.bytes());
    assert_eq!(out.config.bytes(), image.config.bytes());
    for blob in out.manifest.layers.iter().chain([&out.manifest.config]) {
        let mut bytes = Vec::new();
        store.open(blob).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, blob.size);
        assert_eq!(BlobRead::size(&store, &blob.digest).unwrap(), Some(blob.size));
    }
    let other = Platform { architecture: "mips".into(), ..Platform::host() };
    let error = store.image(&name("app"), &other).unwrap_err();
    assert!(matches!(error, oci::Error::PlatformNotFound { .. }), "{error}");
    let error = store.image(&name("nobody"), &other).unwrap_err();
    assert!(matches!(error, oci::Error::ImageNotFound { .. }), "{error}");
}
