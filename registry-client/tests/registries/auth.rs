//! Challenges, tokens, passwords.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use futures_util::future::join_all;
use registry_client::Error;
use registry_client::auth::{ConfigFiles, Credential, Secret};
use registry_client::{Client, Config};

use crate::server::{Asked, BASIC, Reply, Server, config, layer, noise, password};

const MANIFEST: &str = concat!(
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
    r#""config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"#,
    r#""sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"#,
    r#""layers":[]}"#
);

fn manifest() -> Reply {
    Reply::new(200)
        .header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
        .body(MANIFEST)
}

fn is_token(asked: &Asked) -> bool {
    asked.path.starts_with("/token")
}

/// A registry that wants tokens and issues them itself. `issue` makes the answer to the n-th
/// token request (from 0), `takes` says whether a request's `Authorization` is good, for which
/// scope it would be.
fn with_tokens(
    scope: &'static str,
    issue: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static,
    takes: impl Fn(&Asked, &str) -> bool + Send + Sync + 'static,
    answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> Server {
    let address: Arc<OnceLock<String>> = Arc::default();
    let known = Arc::clone(&address);
    let issued = AtomicUsize::new(0);
    let server = Server::start(move |asked| {
        if is_token(asked) {
            return issue(issued.fetch_add(1, Ordering::SeqCst), asked);
        }
        if asked.header("authorization").is_some_and(|given| takes(asked, given)) {
            return answer(asked);
        }
        let address = known.get().map(String::as_str).unwrap_or_default();
        let scope =
            if asked.path == "/v2/" { String::new() } else { format!(",scope=\"{scope}\"") };
        Reply::challenge(&format!("Bearer realm=\"http://{address}/token\",service=\"s\"{scope}"))
    });
    address.set(server.address.clone()).unwrap();
    server
}

fn token(n: usize) -> Reply {
    Reply::new(200).body(format!(r#"{{"token":"t{n}","expires_in":300}}"#))
}

#[tokio::test]
async fn what_changes_nothing_is_asked_without_a_look_before() {
    let server = Server::start(|_| manifest());
    server.client().manifest(&server.name("a/b:1")).await.unwrap();
    let lines: Vec<_> = server.all_asked().iter().map(Asked::line).collect();
    assert_eq!(lines, ["GET /v2/a/b/manifests/1"]);
}

#[tokio::test]
async fn one_token_serves_all_calls_of_a_scope() {
    let server = with_tokens("", |n, _| token(n), |_, given| given == "Bearer t0", |_| manifest());
    let client = server.client();
    let name = server.name("a/b:1");
    for result in join_all((0..8).map(|_| client.manifest(&name))).await {
        result.unwrap();
    }
    let tokens: Vec<_> = server.asked().into_iter().filter(is_token).collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].line(), "GET /token?service=s&scope=repository%3Aa%2Fb%3Apull");
    assert_eq!(tokens[0].header("authorization"), None);
}

#[tokio::test]
async fn a_token_that_expired_is_replaced() {
    let uses = AtomicUsize::new(0);
    let takes = move |_: &Asked, given: &str| match given {
        "Bearer t0" => uses.fetch_add(1, Ordering::SeqCst) < 2,
        _ => given == "Bearer t1",
    };
    let server = with_tokens("", |n, _| token(n), takes, |_| manifest());
    let client = server.client();
    for _ in 0..4 {
        client.manifest(&server.name("a:1")).await.unwrap();
    }
    assert_eq!(server.asked().iter().filter(|asked| is_token(asked)).count(), 2);
}

#[tokio::test]
async fn a_wider_scope_that_the_registry_names_is_asked_for_first() {
    let issue = |n: usize, _: &Asked| token(n);
    let takes = |_: &Asked, given: &str| given == "Bearer t1";
    let server = with_tokens("repository:other:pull", issue, takes, |_| manifest());
    server.client().manifest(&server.name("a:1")).await.unwrap();
    let tokens: Vec<_> =
        server.asked().iter().filter(|asked| is_token(asked)).map(Asked::line).collect();
    assert_eq!(
        tokens,
        [
            "GET /token?service=s&scope=repository%3Aa%3Apull",
            "GET /token?service=s&scope=repository%3Aother%3Apull&scope=repository%3Aa%3Apull",
        ]
    );
}

#[tokio::test]
async fn a_registry_that_is_never_content_ends_in_an_error() {
    let server = with_tokens("repository:a:pull", |n, _| token(n), |_, _| false, |_| manifest());
    let error = server.client().manifest(&server.name("a:1")).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { given: false, .. }), "{error}");
    assert!(server.lines().len() < 8, "{:?}", server.lines());
}

#[tokio::test]
async fn a_password_goes_to_the_token_service_and_not_to_the_registry() {
    let issue = |n, asked: &Asked| {
        if asked.header("authorization") == Some(BASIC) { token(n) } else { Reply::new(401) }
    };
    let server = with_tokens("", issue, |_, given| given == "Bearer t0", |_| manifest());
    server.client_as(password()).manifest(&server.name("a:1")).await.unwrap();
    let registry: Vec<_> = server.asked().into_iter().filter(|asked| !is_token(asked)).collect();
    assert!(registry.iter().all(|asked| asked.header("authorization") != Some(BASIC)));

    let wrong = Credential::Password { username: "u".into(), password: Secret::new("wrong") };
    let error = server.client_as(wrong).manifest(&server.name("a:1")).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { given: true, .. }), "{error}");
    assert!(!format!("{error:?}").contains("wrong"), "{error:?}");
}

#[tokio::test]
async fn an_identity_token_is_posted() {
    let server = with_tokens(
        "",
        |_, asked| match asked.method.as_str() {
            "POST" => Reply::new(200).body(r#"{"access_token":"t0"}"#),
            _ => Reply::new(404),
        },
        |_, given| given == "Bearer t0",
        |_| manifest(),
    );
    let client = server.client_as(Credential::IdentityToken(Secret::new("r&r")));
    client.manifest(&server.name("a:1")).await.unwrap();
    let posted = server.asked().into_iter().find(is_token).unwrap();
    assert_eq!(
        String::from_utf8(posted.body).unwrap(),
        "grant_type=refresh_token&refresh_token=r%26r&client_id=tierce&service=s&scope=repository%3Aa%3Apull"
    );
}

#[tokio::test]
async fn a_service_that_knows_post_alone_gets_the_password_there() {
    for status in [404, 405] {
        let server = with_tokens(
            "",
            move |_, asked| match asked.method.as_str() {
                "POST" => Reply::new(200).body(r#"{"access_token":"t0"}"#),
                _ => Reply::new(status),
            },
            |_, given| given == "Bearer t0",
            |_| manifest(),
        );
        server.client_as(password()).manifest(&server.name("a:1")).await.unwrap();
        let posted = server.asked().into_iter().find(|asked| asked.method == "POST").unwrap();
        assert!(posted.body.starts_with(b"grant_type=password&username=u&password=p&"));
    }
}

#[tokio::test]
async fn a_token_service_cannot_flood_us() {
    for issue in [
        |_: usize, _: &Asked| Reply::new(200).body(noise(4096)).without_end(),
        |_: usize, _: &Asked| Reply::new(200).body(noise(100)),
        |_: usize, _: &Asked| Reply::new(200).body(r#"{"token":""}"#),
        |_: usize, _: &Asked| Reply::new(307).header("Location", "/token?again"),
    ] {
        let server = with_tokens("", issue, |_, _| false, |_| manifest());
        let error = server.client().manifest(&server.name("a:1")).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. } | Error::Protocol { .. }), "{error}");
    }
}

#[tokio::test]
async fn credentials_do_not_go_to_a_strange_realm_without_tls() {
    let server =
        Server::start(|_| Reply::challenge("Bearer realm=\"http://198.51.100.1/token\",service=s"));
    let error = server.client_as(password()).manifest(&server.name("a:1")).await.unwrap_err();
    assert!(matches!(error, Error::RefusedTarget { kind: "a token realm", .. }), "{error}");
}

fn with_password(asked: &Asked) -> Reply {
    match asked.header("authorization") {
        Some(BASIC) => manifest(),
        _ => Reply::challenge("Basic realm=\"x\""),
    }
}

#[tokio::test]
async fn a_password_is_given_when_it_is_asked_for() {
    let server = Server::start(with_password);
    server.client_as(password()).manifest(&server.name("a:1")).await.unwrap();
    // The first answer showed the challenge.
    assert_eq!(server.lines(), ["GET /v2/a/manifests/1", "GET /v2/a/manifests/1"]);
    let error = server.client().manifest(&server.name("a:1")).await.unwrap_err();
    assert!(error.to_string().contains("a login is required"), "{error}");
}

#[tokio::test]
async fn a_refusal_without_a_challenge_is_looked_up() {
    let server = Server::start(|asked| match asked.header("authorization") {
        Some(BASIC) => manifest(),
        None if asked.path == "/v2/" => Reply::challenge("Basic realm=x"),
        _ => Reply::new(401),
    });
    server.client_as(password()).manifest(&server.name("a:1")).await.unwrap();
}

#[tokio::test]
async fn a_login_is_checked() {
    let server = Server::start(with_password);
    let client = server.client();
    client.check_login(&server.address, password()).await.unwrap();
    let wrong = Credential::Password { username: "u".into(), password: Secret::new("x") };
    let error = client.check_login(&server.address, wrong).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { given: true, .. }), "{error}");
    assert!(!client.is_open(&server.address).await.unwrap());
}

#[tokio::test]
async fn credentials_come_from_files_when_they_are_asked_for() {
    let server = Server::start(with_password);
    let open = Server::start(|_| manifest());
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let good = file("good", format!(r#"{{"auths":{{"{}":{{"auth":"dTpw"}}}}}}"#, server.address));
    let bad = file("bad", "{".into());
    let client = |paths: &[&std::path::PathBuf]| {
        let files = ConfigFiles::new(paths.iter().map(|&path| path.clone()));
        Client::new(Config { credentials: Arc::new(files), ..config() })
    };
    let absent = directory.path().join("absent");
    client(&[&absent, &good]).manifest(&server.name("a:1")).await.unwrap();
    let error = client(&[&bad]).manifest(&server.name("a:1")).await.unwrap_err();
    assert!(matches!(error, Error::CredentialFile { .. }), "{error}");
    // Nobody asked, nobody read.
    client(&[&bad]).manifest(&open.name("a:1")).await.unwrap();
}

#[tokio::test]
async fn a_token_that_expires_during_an_upload_is_replaced() {
    let uses = AtomicUsize::new(0);
    let takes = move |asked: &Asked, given: &str| match (given, asked.method.as_str()) {
        ("Bearer t0", "PUT") => false,
        _ => uses.fetch_add(1, Ordering::SeqCst) < 100,
    };
    let server = with_tokens(
        "repository:a:pull,push",
        |n, _| token(n),
        takes,
        |asked| match asked.method.as_str() {
            "POST" => Reply::new(202).header("Location", "/v2/a/blobs/uploads/1"),
            _ => Reply::new(201),
        },
    );
    let bytes = noise(100_000);
    let blob = layer(&bytes);
    let source = bytes::Bytes::from(bytes.clone());
    server.client().upload_blob(&server.name("a"), &blob, &source, &[]).await.unwrap();
    let puts: Vec<_> = server.asked().into_iter().filter(|asked| asked.method == "PUT").collect();
    assert_eq!(puts.len(), 2);
    assert_eq!(puts[1].header("authorization"), Some("Bearer t1"));
    assert_eq!(puts[1].body, bytes);
}

#[tokio::test]
async fn a_push_asks_for_the_scope_of_the_mount_as_well() {
    let scopes: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&scopes);
    let issue = move |n, asked: &Asked| {
        seen.lock().unwrap().push(asked.path.clone());
        token(n)
    };
    let server = with_tokens("", issue, |_, _| true, |_| Reply::new(201));
    let blob = layer(b"x");
    let source = bytes::Bytes::from_static(b"x");
    server.client().upload_blob(&server.name("a"), &blob, &source, &["b".into()]).await.unwrap();
    let expected =
        "/token?service=s&scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Ab%3Apull";
    assert_eq!(*scopes.lock().unwrap(), [expected]);
}
