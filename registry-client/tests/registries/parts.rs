//! Large blobs, which come in parts over several connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oci::{Descriptor, Digest, MediaType};
use registry_client::{Client, Config};

use crate::server::{Asked, Reply, Server, config, layer, noise};

const SIZE: usize = (40 << 20) + 17;

/// What a range of a blob is answered with; both ends may be given.
fn range(bytes: &[u8], asked: &Asked) -> Reply {
    let Some(range) = asked.header("range").and_then(|range| range.strip_prefix("bytes=")) else {
        return Reply::new(200).body(bytes);
    };
    let (start, end) = range.split_once('-').unwrap();
    let start: usize = start.parse().unwrap();
    let end = end.parse::<usize>().map_or(bytes.len(), |end| end + 1);
    let said = format!("bytes {start}-{}/{}", end - 1, bytes.len());
    Reply::new(206).header("Content-Range", said).body(&bytes[start..end])
}

async fn pulled(server: &Server, blob: &Descriptor) -> registry_client::Result<Vec<u8>> {
    server.client().blob_bytes(&server.name("a"), blob, 1 << 30).await
}

#[tokio::test]
async fn a_large_blob_comes_in_parts_that_are_joined_in_order() {
    let bytes = Arc::new(noise(SIZE));
    let whole = Arc::clone(&bytes);
    let server = Server::start(move |asked| range(&whole, asked));
    assert!(pulled(&server, &layer(&bytes)).await.unwrap() == *bytes);
    let mut starts: Vec<_> = server
        .asked()
        .iter()
        .map(|asked| asked.header("range").unwrap_or_default().to_owned())
        .collect();
    starts.sort();
    assert_eq!(starts.len(), 7, "each byte was asked for once: {starts:?}");
    // A blob that is not large takes one request.
    let small = noise(1000);
    let whole = small.clone();
    let server = Server::start(move |asked| range(&whole, asked));
    assert!(pulled(&server, &layer(&small)).await.unwrap() == small);
    assert_eq!(server.asked()[0].header("range"), None);
}

#[tokio::test]
async fn parts_that_break_or_are_refused_are_asked_for_again() {
    let bytes = Arc::new(noise(SIZE));
    let whole = Arc::clone(&bytes);
    let count = AtomicUsize::new(0);
    let server = Server::start(move |asked| match count.fetch_add(1, Ordering::SeqCst) % 4 {
        1 => range(&whole, asked).cut_after(1_000_000),
        2 => Reply::new(503),
        3 => Reply::new(429).header("Retry-After", 0),
        _ => range(&whole, asked),
    });
    assert!(pulled(&server, &layer(&bytes)).await.unwrap() == *bytes);
}

#[tokio::test]
async fn a_registry_that_answers_a_range_with_the_whole_is_asked_for_no_other() {
    let bytes = Arc::new(noise(SIZE));
    let whole = Arc::clone(&bytes);
    let server = Server::start(move |_| Reply::new(200).body(&whole[..]));
    assert!(pulled(&server, &layer(&bytes)).await.unwrap() == *bytes);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_part_of_another_blob_is_found_out() {
    let bytes = Arc::new(noise(SIZE));
    let whole = Arc::clone(&bytes);
    let server = Server::start(move |asked| {
        let mut other = whole.to_vec();
        if asked.header("range").is_some_and(|range| range.contains("bytes=1258")) {
            other[17 << 20] ^= 1;
        }
        range(&other, asked)
    });
    let error = pulled(&server, &layer(&bytes)).await.unwrap_err();
    assert!(matches!(error, registry_client::Error::Content { .. }), "{error}");
}

/// CVE-2020-15157: the URLs of a descriptor were asked before the registry, with its credentials.
#[tokio::test]
async fn foreign_urls_are_asked_last_and_only_if_that_is_wanted() {
    let elsewhere = Server::start(|_| Reply::new(200).body("layer"));
    let mut blob = layer(b"layer");
    blob.media_type = MediaType::OCI_LAYER;
    blob.urls = vec![format!("http://{}/layer", elsewhere.address), "https://%".into()];
    let there = Server::start(|_| Reply::new(200).body("layer"));
    let gone = Server::start(|_| Reply::new(404));
    for foreign_urls in [false, true] {
        let client = Client::new(Config { foreign_urls, ..config() });
        assert_eq!(client.blob_bytes(&there.name("a"), &blob, 100).await.unwrap(), b"layer");
        let error = client.blob_bytes(&gone.name("a"), &blob, 100).await.unwrap_err();
        assert!(error.is_not_found(), "{error}");
    }
    assert!(elsewhere.lines().is_empty(), "plain HTTP is no way for a layer from elsewhere");
    assert_eq!(blob.digest, Digest::sha256(b"layer"));
}
