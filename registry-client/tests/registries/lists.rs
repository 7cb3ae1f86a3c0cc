//! Lists in pages.

use oci::{Descriptor, Digest, Index, MediaType, Raw};
use registry_client::Error;

use crate::server::{Reply, Server};

#[tokio::test]
async fn pages_are_followed_to_the_end() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/v2/a/tags/list?n=1000" => Reply::new(200)
            .header("Link", "</v2/a/tags/list?n=1000&last=b>; rel=\"next\"")
            .body(r#"{"name":"a","tags":["b","a",null]}"#),
        "/v2/a/tags/list?n=1000&last=b" => {
            Reply::new(200).header("Link", "<list?last=c>; rel=next").body(r#"{"tags":["c"]}"#)
        }
        "/v2/a/tags/list?last=c" => Reply::new(200).body(r#"{"tags":null}"#),
        "/v2/_catalog?n=1000" => Reply::new(200).body(r#"{"repositories":["x"]}"#),
        _ => Reply::new(404),
    });
    let client = server.client();
    assert_eq!(client.tags(&server.name("a")).await.unwrap(), ["a", "b", "c"]);
    assert_eq!(client.catalog(&server.address).await.unwrap(), ["x"]);
}

#[tokio::test]
async fn a_list_without_end_or_on_another_host_is_left() {
    for link in [
        "</v2/a/tags/list?n=1000>; rel=next",
        "</v2/a/tags/list?n=1000&last=a>; rel=next",
        "<http://198.51.100.1/v2/a/tags/list>; rel=next",
        "<http://[::1>; rel=next",
    ] {
        let server =
            Server::start(move |_| Reply::new(200).header("Link", link).body(r#"{"tags":["a"]}"#));
        let error = server.client().tags(&server.name("a")).await.unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{link}: {error}");
        assert!(server.lines().len() <= 2, "{link}");
    }
    let server = Server::start(|_| Reply::new(200).body("[]"));
    assert!(server.client().tags(&server.name("a")).await.is_err());
}

#[tokio::test]
async fn referrers_are_found_by_question_or_by_tag() {
    let subject = Digest::sha256(b"subject");
    let referrer = |artifact_type: &str| {
        let digest = Digest::sha256(artifact_type.as_bytes());
        let mut entry = Descriptor::new(MediaType::OCI_MANIFEST, digest, 1);
        entry.artifact_type = Some(artifact_type.to_owned());
        entry
    };
    let index = Raw::write(Index::oci(vec![referrer("application/a"), referrer("application/b")]));
    for known in [true, false] {
        let body = index.bytes().to_vec();
        let question = format!("/v2/a/referrers/{subject}");
        let tag = format!("/v2/a/manifests/sha256-{}", subject.hex());
        let server = Server::start(move |asked| {
            let path = asked.path.split('?').next().unwrap_or_default();
            if (known && path == question) || (!known && path == tag) {
                return Reply::new(200).header("Content-Type", MediaType::OCI_INDEX).body(&*body);
            }
            Reply::new(404)
        });
        let client = server.client();
        let name = server.name("a");
        assert_eq!(client.referrers(&name, &subject, None).await.unwrap().len(), 2);
        let some = client.referrers(&name, &subject, Some("application/b")).await.unwrap();
        assert_eq!(some, [referrer("application/b")]);
        let none = client.referrers(&name, &Digest::sha256(b"other"), None).await.unwrap();
        assert_eq!(none, []);
    }
    // Any other answer is no sign that the question is unknown.
    let server = Server::start(|_| Reply::new(403));
    assert!(server.client().referrers(&server.name("a"), &subject, None).await.is_err());
}
