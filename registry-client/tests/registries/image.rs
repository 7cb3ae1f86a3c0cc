//! Images behind indexes.

use std::collections::HashMap;

use oci::{Descriptor, Digest, ImageConfig, Index, Manifest, MediaType, Platform, Raw};
use registry_client::Error;

use crate::server::{Reply, Server};

/// Documents by digest, served from one repository; the top one under the tag `1` too.
#[derive(Default)]
struct Documents {
    by_digest: HashMap<String, (String, Vec<u8>)>,
}

impl Documents {
    fn add<T: serde::Serialize>(&mut self, media_type: MediaType, value: T) -> Descriptor {
        let raw = Raw::write(value);
        let entry = (media_type.to_string(), raw.bytes().to_vec());
        self.by_digest.insert(raw.digest().to_string(), entry);
        Descriptor::new(media_type, raw.digest().clone(), raw.size())
    }

    /// An image; its entry for an index says where it runs if `says` so.
    fn image(&mut self, platform: &str, says: bool) -> Descriptor {
        let platform: Platform = platform.parse().unwrap();
        let config = self.add(MediaType::OCI_CONFIG, ImageConfig::empty(&platform));
        let mut entry = self.add(MediaType::OCI_MANIFEST, Manifest::oci(config, Vec::new()));
        entry.platform = says.then_some(platform);
        entry
    }

    fn index(&mut self, entries: Vec<Descriptor>) -> Descriptor {
        self.add(MediaType::OCI_INDEX, Index::oci(entries))
    }

    fn serve(self, top: &Descriptor) -> Server {
        let top = top.digest.to_string();
        Server::start(move |asked| {
            let last = asked.path.rsplit('/').next().unwrap_or_default();
            let digest = if last == "1" { &top } else { last };
            match self.by_digest.get(digest) {
                Some((media_type, body)) => {
                    Reply::new(200).header("Content-Type", media_type).body(&**body)
                }
                None => Reply::new(404),
            }
        })
    }
}

async fn pull(server: &Server, platform: &str) -> Result<String, Error> {
    let platform = platform.parse().unwrap();
    let image = server.client().image(&server.name("a:1"), &platform).await?;
    Ok(image.config.platform().to_string())
}

#[tokio::test]
async fn an_index_leads_to_the_image_for_a_platform() {
    let mut documents = Documents::default();
    let mut attestation = documents.image("linux/amd64", false);
    attestation.platform =
        Some(Platform { os: "unknown".into(), architecture: "unknown".into(), ..Platform::host() });
    let nested = {
        let entries = vec![documents.image("linux/riscv64", true)];
        documents.index(entries)
    };
    let entries = vec![
        attestation,
        documents.image("linux/amd64", true),
        documents.image("linux/arm64", true),
        documents.image("linux/s390x", false),
        nested,
    ];
    let top = documents.index(entries);
    let server = documents.serve(&top);
    for platform in ["linux/amd64", "linux/arm64", "linux/s390x", "linux/riscv64"] {
        assert_eq!(pull(&server, platform).await.unwrap(), platform);
    }
    let error = pull(&server, "linux/ppc64le").await.unwrap_err();
    let Error::Content { source, .. } = error else { panic!("{error}") };
    assert!(source.to_string().contains("only for linux/amd64, linux/arm64"), "{source}");
    let image = server.client().image(&server.name("a:1"), &Platform::host()).await.unwrap();
    assert_eq!(image.index, Some(top.digest));
}

#[tokio::test]
async fn what_is_known_is_not_fetched_again() {
    let mut documents = Documents::default();
    let entries = ["linux/amd64", "linux/arm64"].map(|name| documents.image(name, true));
    let top = documents.index(entries.to_vec());
    let known: HashMap<String, Vec<u8>> = documents
        .by_digest
        .iter()
        .map(|(digest, (_, body))| (digest.clone(), body.clone()))
        .collect();
    let server = documents.serve(&top);
    let (name, platform) = (server.name("a:1"), "linux/arm64".parse().unwrap());
    let find = |digest: &Digest| known.get(&digest.to_string()).cloned();
    let image = server.client().image_knowing(&name, &platform, &find).await.unwrap();
    assert_eq!(image.config.platform().to_string(), "linux/arm64");
    assert_eq!(server.lines(), ["GET /v2/a/manifests/1"]);

    // What is at hand is believed no more than what a registry says.
    let wrong = |_: &Digest| Some(b"{}".to_vec());
    assert!(server.client().image_knowing(&name, &platform, &wrong).await.is_err());
}

#[tokio::test]
async fn an_image_alone_means_every_platform() {
    let mut documents = Documents::default();
    let top = documents.image("linux/arm64", false);
    let server = documents.serve(&top);
    assert_eq!(pull(&server, "linux/amd64").await.unwrap(), "linux/arm64");
}

#[tokio::test]
async fn indexes_that_are_too_deep_or_too_wide_are_left() {
    let mut deep = Documents::default();
    let mut top = deep.image("linux/s390x", true);
    for _ in 0..8 {
        top = deep.index(vec![top]);
    }
    let mut wide = Documents::default();
    let indexes = (0..100)
        .map(|n| {
            let digest = Digest::sha256(format!("{n}").as_bytes());
            let mut entry = Descriptor::new(MediaType::OCI_MANIFEST, digest, 1);
            entry.platform = Some("linux/s390x".parse().unwrap());
            wide.index(vec![entry])
        })
        .collect();
    let wide_top = wide.index(indexes);
    for server in [deep.serve(&top), wide.serve(&wide_top)] {
        let error = pull(&server, "linux/amd64").await.unwrap_err();
        assert!(error.to_string().contains("too deep or too wide"), "{error}");
        assert!(server.lines().len() < 40);
    }
}

#[tokio::test]
async fn an_entry_must_have_the_size_that_its_index_says() {
    let mut documents = Documents::default();
    let mut entry = documents.image("linux/amd64", true);
    entry.size += 1;
    let top = documents.index(vec![entry]);
    let error = pull(&documents.serve(&top), "linux/amd64").await.unwrap_err();
    assert!(matches!(error, Error::Content { .. }), "{error}");
}

#[tokio::test]
async fn an_artifact_is_no_image() {
    let mut documents = Documents::default();
    let config = documents.add(MediaType::OCI_EMPTY, serde_json::json!({}));
    let top = documents.add(MediaType::OCI_MANIFEST, Manifest::oci(config, Vec::new()));
    let error = pull(&documents.serve(&top), "linux/amd64").await.unwrap_err();
    let Error::Content { source, .. } = error else { panic!("{error}") };
    assert!(matches!(*source, oci::Error::UnsupportedMediaType { .. }), "{source}");
}
