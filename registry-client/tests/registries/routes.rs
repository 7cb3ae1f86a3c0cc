//! Mirrors, other places and certificates, by the files of containers, containerd and docker.

use std::fs;
use std::sync::Arc;

use oci::{MediaType, Reference};
use registry_client::auth::OneCredential;
use registry_client::routes::{HostFiles, HostFilesAt, Place, Route, Routes};
use registry_client::{Client, Config, Error};
use testutil::Scratch;

use crate::pull::part;
use crate::server::{BASIC, Reply, Server, config, layer, noise, password};

/// A machine with these files below `etc`.
struct Machine(Scratch);

impl Machine {
    fn with(files: &[(&str, &str)]) -> Machine {
        let scratch = Scratch::new();
        for (name, text) in files {
            let path = scratch.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Machine(scratch)
    }

    fn files(&self) -> HostFiles {
        HostFiles::new(HostFilesAt {
            registries: vec![self.0.join("own.conf"), self.0.join("registries.conf")],
            registries_more: vec![self.0.join("registries.conf.d")],
            certs: vec![self.0.join("certs.d"), self.0.join("more.d")],
        })
    }

    fn route(&self, name: &str) -> registry_client::Result<Route> {
        self.files().route(&name.parse::<Reference>().unwrap())
    }

    fn client(&self) -> Client {
        Client::new(Config { routes: Arc::new(self.files()), ..config() })
    }
}

fn shown(place: &Place) -> String {
    let insecure = if place.host.insecure { " insecure" } else { "" };
    format!("{}{insecure}", place.name)
}

#[test]
fn the_longest_prefix_says_where_an_image_is() {
    let machine = Machine::with(&[
        (
            "registries.conf",
            r#"
            unqualified-search-registries = ["docker.io"]
            [[registry]]
            location = "docker.io"
            [[registry.mirror]]
            location = "mirror.lan:5000/hub"
            insecure = true
            [[registry.mirror]]
            location = "second.lan"
            pull-from-mirror = "digest-only"
            [[registry]]
            prefix = "example.com/team"
            location = "internal.lan/group/"
            insecure = true
            [[registry]]
            prefix = "example.com/team/app"
            location = "apps.lan/app"
            mirror-by-digest-only = true
            [[registry.mirror]]
            location = "near.lan/app"
            [[registry]]
            prefix = "*.corp.example"
            insecure = true
            [[registry]]
            prefix = "old.lan"
            location = "replaced.lan"
            [registries.insecure]
            registries = ["plain.lan:5000"]
            "#,
        ),
        (
            "registries.conf.d/50-more.conf",
            "[[registry]]\nprefix = 'old.lan'\nlocation = 'new.lan'",
        ),
        ("registries.conf.d/not-read", "nonsense"),
    ]);
    let digest = format!("sha256:{}", "0".repeat(64));
    let by_digest = format!("busybox@{digest}");
    let hub = format!(
        "mirror.lan:5000/hub/library/busybox@{digest} insecure, second.lan/library/busybox@{digest}"
    );
    let app = format!("example.com/team/app@{digest}");
    let near = format!("near.lan/app@{digest}");
    let apps = format!("apps.lan/app@{digest}");
    for (name, mirrors, origin, target) in [
        (
            "busybox:1",
            "mirror.lan:5000/hub/library/busybox:1 insecure",
            "docker.io/library/busybox:1",
            "",
        ),
        (&by_digest, &*hub, &*format!("docker.io/library/busybox@{digest}"), ""),
        ("example.com/other", "", "example.com/other", ""),
        ("example.com/teams/x", "", "example.com/teams/x", ""),
        (
            "example.com/team/x:1",
            "",
            "internal.lan/group/x:1 insecure",
            "example.com/team/x:1 insecure",
        ),
        ("example.com/team/app:1", "", "apps.lan/app:1", "example.com/team/app:1"),
        (&app, &near, &apps, &app),
        ("a.corp.example/x:1", "", "a.corp.example/x:1 insecure", ""),
        ("b.a.corp.example:5000/x:1", "", "b.a.corp.example:5000/x:1 insecure", ""),
        ("corp.example/x:1", "", "corp.example/x:1", ""),
        ("old.lan/x:1", "", "new.lan/x:1", "old.lan/x:1"),
        ("plain.lan:5000/x:1", "", "plain.lan:5000/x:1 insecure", ""),
        ("plain.lan/x:1", "", "plain.lan/x:1", ""),
    ] {
        let route = machine.route(name).unwrap();
        let found: Vec<String> = route.mirrors.iter().map(shown).collect();
        assert_eq!(found.join(", "), mirrors, "{name}");
        assert_eq!(shown(&route.origin), origin, "{name}");
        let target = if target.is_empty() { origin } else { target };
        assert_eq!(shown(&route.target), target, "{name}");
    }
    let files = machine.files();
    assert!(files.registry("x.corp.example").unwrap().insecure);
    assert!(!files.registry("example.com").unwrap().insecure);
}

#[test]
fn what_files_say_wrongly_is_an_error_that_names_them() {
    for (file, text, expected) in [
        ("registries.conf", "[[registry]]\ninsecure = true", "neither a prefix nor a location"),
        ("registries.conf", "[[registry]]\nprefix = 'a*b.example'", "stands for the first part"),
        ("registries.conf", "[[registry]\n", "registries.conf: TOML parse error"),
        ("registries.conf.d/a.conf", "registry = 1", "a.conf: TOML parse error"),
        (
            "registries.conf",
            "[[registry]]\nprefix='r.io'\nlocation='team'",
            "does not begin with a host",
        ),
        (
            "registries.conf",
            "[[registry]]\nprefix='r.io'\nlocation='x.io/A'",
            "`x.io/A` is no place",
        ),
        (
            "registries.conf",
            "[[registry]]\nprefix='r.io'\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation='m.io'\npull-from-mirror='all'",
            "pull-from-mirror beside",
        ),
        ("certs.d/r.io/hosts.toml", "server = 'ftp://x'", "neither http nor https"),
        ("certs.d/r.io/hosts.toml", "[host.'https://']", "is no address"),
        ("certs.d/r.io/hosts.toml", "server = 3", "hosts.toml: TOML parse error"),
        ("certs.d/r.io/a.cert", "", "a.cert has not a key beside it"),
        ("certs.d/r.io/a.key", "", "a.key has not a certificate"),
        ("registries.conf", "[[registry]]\nprefix='r.io/a'\nblocked=true", "r.io/a/x:1 is blocked"),
    ] {
        let error = Machine::with(&[(file, text)]).route("r.io/a/x:1").unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let message = format!("{error}: {}", source.unwrap_or_default());
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[tokio::test]
async fn mirrors_are_asked_in_order_and_then_the_registry() {
    let manifest = |text: &str| {
        let bytes = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[],"annotations":{{"a":"{text}"}}}}"#,
            MediaType::OCI_INDEX
        );
        move |path: &str| match path {
            path if path.starts_with("/v2/") && path.contains("/manifests/") => {
                Reply::new(200).header("Content-Type", MediaType::OCI_INDEX).body(bytes.clone())
            }
            _ => Reply::new(404),
        }
    };
    let from_origin = manifest("origin");
    let from_second = manifest("second");
    let origin = Server::start(move |asked| from_origin(&asked.path));
    let first =
        Server::start(|asked| Reply::new(if asked.path.contains("denied") { 403 } else { 500 }));
    let second = Server::start(move |asked| match asked.path.contains("denied") {
        true => Reply::new(404),
        false => from_second(&asked.path),
    });
    let nobody = "127.0.0.1:1";
    let machine = Machine::with(&[(
        "registries.conf",
        &format!(
            "[[registry]]\nprefix = '{}/x'\n[[registry.mirror]]\nlocation = '{nobody}/x'\n\
             [[registry.mirror]]\nlocation = '{}/y'\n[[registry.mirror]]\nlocation = '{}/z'",
            origin.address, first.address, second.address
        ),
    )]);
    let client = machine.client();
    let second_has = client.manifest(&origin.name("x/app:1")).await.unwrap();
    assert!(String::from_utf8_lossy(second_has.bytes()).contains("second"));
    assert_eq!(first.lines(), ["GET /v2/y/app/manifests/1"], "one try alone");
    assert_eq!(second.lines(), ["GET /v2/z/app/manifests/1"]);
    assert!(origin.lines().is_empty());

    let origin_has = client.manifest(&origin.name("x/denied:1")).await.unwrap();
    assert!(String::from_utf8_lossy(origin_has.bytes()).contains("origin"));
    assert_eq!(origin.lines(), ["GET /v2/x/denied/manifests/1"]);

    let pushed =
        client.put_manifest(&origin.name("x/app:2"), b"{}".to_vec(), &MediaType::OCI_INDEX).await;
    assert!(pushed.is_ok() && origin.lines().last().unwrap().starts_with("PUT"), "{pushed:?}");
}

#[tokio::test]
async fn a_blob_that_a_mirror_breaks_off_goes_on_at_the_registry() {
    let bytes = noise(300_000);
    let (cut, whole) = (bytes.clone(), bytes.clone());
    let mirror = Server::start(move |asked| part(&cut, asked).cut_after(100_000));
    let origin = Server::start(move |asked| part(&whole, asked));
    let machine = Machine::with(&[(
        &format!("certs.d/{}/hosts.toml", origin.address),
        &format!(
            "[host.'http://{}/v2/prox']\noverride_path = true\ncapabilities = ['pull']\n\
             [host.'http://{0}/v2/prox'.header]\nX-Team = ['a', 'b']",
            mirror.address
        ),
    )]);
    let client = machine.client();
    // It knows no tags; blobs have none.
    let got = client.blob_bytes(&origin.name("a:1"), &layer(&bytes), 1 << 30).await.unwrap();
    assert!(got == bytes);
    assert!(client.manifest(&origin.name("a:1")).await.is_err());
    let asked = mirror.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let digest = layer(&bytes).digest;
    let expected = format!("GET /v2/prox/a/blobs/{digest}?ns={}", origin.address);
    assert_eq!(asked[0].line(), expected.replace("127.0.0.1:", "127.0.0.1%3A"));
    assert_eq!(asked[0].header("x-team"), Some("a"));
    let start = origin.asked()[0].range_start();
    assert!(start.is_some_and(|start| start > 0), "{start:?}");
}

#[tokio::test]
async fn a_registry_may_be_served_elsewhere() {
    let server = Server::start(|asked| {
        Reply::new(200).body(format!(r#"{{"tags":["{}"]}}"#, asked.path.replace('"', "")))
    });
    let machine = Machine::with(&[
        ("certs.d/r.example/hosts.toml", &format!("server = 'http://{}/below'", server.address)),
        ("more.d/r.example/hosts.toml", "server = 'http://127.0.0.1:1'"),
        ("more.d/_default/hosts.toml", &format!("server = 'http://{}/all'", server.address)),
    ]);
    let client = machine.client();
    let tags = client.tags(&"r.example/a".parse().unwrap()).await.unwrap();
    assert_eq!(tags, ["/below/v2/a/tags/list?n=1000"]);
    let tags = client.tags(&"other.example:5000/a".parse().unwrap()).await.unwrap();
    assert_eq!(tags, ["/all/v2/a/tags/list?n=1000"]);
}

#[tokio::test]
async fn nobody_goes_where_it_is_blocked() {
    let server = Server::start(|_| Reply::new(200));
    let machine = Machine::with(&[(
        "own.conf",
        &format!("[[registry]]\nprefix = '{}/bad'\nblocked = true", server.address),
    )]);
    let client = machine.client();
    let name = server.name("bad/x:1");
    let errors = [
        client.manifest(&name).await.map(drop).unwrap_err(),
        client.resolve(&name).await.map(drop).unwrap_err(),
        client.tags(&name).await.map(drop).unwrap_err(),
        client.blob_size(&name, &layer(b"").digest).await.map(drop).unwrap_err(),
        client.put_manifest(&name, Vec::new(), &MediaType::OCI_INDEX).await.map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Blocked { .. }), "{error}");
    }
    assert!(server.lines().is_empty());
}

/// Whoever stands in for a registry is another server: what opens the one is none of its business.
#[tokio::test]
async fn a_mirror_never_sees_the_credentials_of_the_registry() {
    let origin = Server::start(|asked| match asked.header("authorization") {
        Some(BASIC) => Reply::new(200).header("Content-Type", MediaType::OCI_INDEX).body(format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#,
            MediaType::OCI_INDEX
        )),
        _ => Reply::challenge("Basic realm=\"origin\""),
    });
    let mirror = Server::start(|_| Reply::challenge("Basic realm=\"mirror\""));
    for (file, text) in [
        (
            format!("certs.d/{}/hosts.toml", origin.address),
            format!("[host.'http://{}']\n", mirror.address),
        ),
        (
            "registries.conf".to_owned(),
            format!(
                "[[registry]]\nprefix = '{}'\n[[registry.mirror]]\nlocation = '{}'\n",
                origin.address, mirror.address
            ),
        ),
    ] {
        let machine = Machine::with(&[(&file, &text)]);
        let credentials =
            Arc::new(OneCredential { registry: origin.address.clone(), credential: password() });
        let routes = Arc::new(machine.files());
        let client = Client::new(Config { routes, credentials, ..config() });
        client.manifest(&origin.name("a:1")).await.unwrap();
    }
    assert!(mirror.asked().len() >= 2);
    let seen = mirror.asked();
    assert!(seen.iter().all(|asked| asked.header("authorization").is_none()), "{seen:?}");
}
