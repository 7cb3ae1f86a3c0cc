//! Who may do what: passwords, tokens, signed claims, and rules for repositories.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use oci::Digest;
use registry_server::{
    Access, Actions, Issuer, Passwords, Pattern, Registry, Rule, Storage, Who, router,
};
use tower::ServiceExt;

fn rule(who: Who, repositories: &str, actions: Actions) -> Rule {
    Rule { who, repositories: Pattern::new(repositories), actions }
}

fn alice() -> Who {
    Who::Named(vec!["alice".into()])
}

fn server(rules: Vec<Rule>, issuer: Option<Issuer>) -> Router {
    let lines = [("alice", "wonderland"), ("bob", "builder")]
        .map(|(user, password)| format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap()));
    let registry = Registry::new(Storage::memory());
    registry.set_access(Some(Access {
        passwords: Passwords::parse(&lines.concat()).unwrap(),
        tokens: vec![("s3cret".into(), "robot".into())],
        issuer,
        rules,
        ..Access::default()
    }));
    router(registry)
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

async fn call(server: &Router, request: &str, credentials: &str) -> (u16, HeaderMap, Vec<u8>) {
    let (method, target) = request.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(target).header("host", "here:5000");
    if !credentials.is_empty() {
        request = request.header("authorization", credentials);
    }
    let request = request.body(Body::from("bytes")).unwrap();
    let (parts, body) = server.clone().oneshot(request).await.unwrap().into_parts();
    (parts.status.as_u16(), parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

fn push(repository: &str) -> String {
    format!("POST /v2/{repository}/blobs/uploads/?digest={}", Digest::sha256(b"bytes"))
}

fn pull(repository: &str) -> String {
    format!("GET /v2/{repository}/blobs/{}", Digest::sha256(b"bytes"))
}

#[tokio::test]
async fn passwords_and_tokens_open_what_rules_allow() {
    let server = server(
        vec![
            rule(alice(), "team/**", Actions::ALL),
            rule(Who::Users, "team/*", Actions::PULL),
            rule(Who::Named(vec!["robot".into()]), "ci", Actions::PUSH),
        ],
        None,
    );
    let (alice, bob) = (basic("alice", "wonderland"), basic("bob", "builder"));
    let wrong = basic("alice", "builder");
    for (request, credentials, status) in [
        ("GET /v2/".to_owned(), "", 401),
        ("GET /v2/".to_owned(), alice.as_str(), 200),
        ("GET /v2/".to_owned(), &wrong, 401),
        ("GET /v2/".to_owned(), "Negotiate abc", 401),
        ("GET /v2/".to_owned(), "Basic %%", 401),
        ("GET /v2/".to_owned(), &basic("nobody", "builder"), 401),
        (push("team/app"), "", 401),
        (push("team/app"), &bob, 403),
        (push("team/app"), &wrong, 401),
        (push("team/app"), &alice, 201),
        (pull("team/app"), &bob, 200),
        (pull("team/app"), &alice, 200),
        (pull("team/app"), "", 401),
        (push("team/deep/er"), &alice, 201),
        (pull("team/deep/er"), &bob, 403),
        (push("other"), &alice, 403),
        (push("ci"), "Bearer s3cret", 201),
        (push("ci"), &basic("whoever", "s3cret"), 201),
        (push("ci"), "Bearer other", 401),
        (pull("ci"), "Bearer s3cret", 403),
        (format!("DELETE /v2/team/app/blobs/{}", Digest::sha256(b"bytes")), &bob, 403),
        // A blob is mounted only from where the caller may read it (CVE-2024-39897).
        (
            format!(
                "POST /v2/ci/blobs/uploads/?mount={}&from=team/deep/er",
                Digest::sha256(b"bytes")
            ),
            "Bearer s3cret",
            202,
        ),
        (
            format!("POST /v2/team/x/blobs/uploads/?mount={}&from=ci", Digest::sha256(b"bytes")),
            &alice,
            202,
        ),
        (
            format!(
                "POST /v2/team/x/blobs/uploads/?mount={}&from=team/app",
                Digest::sha256(b"bytes")
            ),
            &alice,
            201,
        ),
        (format!("POST /v2/team/y/blobs/uploads/?mount={}", Digest::sha256(b"bytes")), &alice, 202),
        ("GET /metrics".to_owned(), "", 401),
        ("GET /metrics".to_owned(), &bob, 200),
        ("GET /healthz".to_owned(), "", 200),
        ("GET /readyz".to_owned(), "", 200),
        ("GET /ui/team/app".to_owned(), "", 401),
    ] {
        let (answered, headers, body) = call(&server, &request, credentials).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(answered, status, "{request} as {credentials}: {body}");
        assert_eq!(headers.contains_key("www-authenticate"), status == 401, "{request}");
    }
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository_and_its_name_opens_nothing() {
    let server = server(
        vec![
            rule(alice(), "a", Actions::ALL),
            rule(Who::Named(vec!["bob".into()]), "b", Actions::ALL),
        ],
        None,
    );
    let (alice, bob) = (basic("alice", "wonderland"), basic("bob", "builder"));
    let (_, headers, _) = call(&server, "POST /v2/a/blobs/uploads/", &alice).await;
    let location = headers["location"].to_str().unwrap().to_owned();
    assert_eq!(call(&server, &format!("PATCH {location}"), &bob).await.0, 403);
    let elsewhere = location.replace("/v2/a/", "/v2/b/");
    assert_eq!(call(&server, &format!("PATCH {elsewhere}"), &bob).await.0, 404);
    assert_eq!(call(&server, &format!("GET {elsewhere}"), &bob).await.0, 404);
    assert_eq!(call(&server, &format!("PATCH {location}"), &alice).await.0, 202);
}

#[tokio::test]
async fn where_something_is_open_everybody_gets_a_token() {
    let server = server(
        vec![rule(Who::Anyone, "open/*", Actions::PULL), rule(alice(), "**", Actions::ALL)],
        None,
    );
    let (status, headers, _) = call(&server, "GET /v2/", "").await;
    let challenge = r#"Bearer realm="http://here:5000/token",service="registry""#;
    assert_eq!((status, headers["www-authenticate"].to_str().unwrap()), (401, challenge));
    let (_, headers, _) = call(&server, &push("open/x"), "").await;
    assert!(
        headers["www-authenticate"]
            .to_str()
            .unwrap()
            .ends_with(r#"scope="repository:open/x:pull,push""#)
    );
    let token = |body: Vec<u8>| {
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        format!("Bearer {}", body["token"].as_str().unwrap())
    };
    let nobody = token(call(&server, "GET /token?service=registry", "").await.2);
    let alice = token(call(&server, "GET /token", &basic("alice", "wonderland")).await.2);
    assert_eq!(call(&server, "GET /token", &basic("alice", "x")).await.0, 401);
    assert_eq!(call(&server, "GET /v2/", &nobody).await.0, 200);
    assert_eq!(call(&server, &push("open/x"), &nobody).await.0, 401);
    assert_eq!(call(&server, &push("open/x"), &alice).await.0, 201);
    assert_eq!(call(&server, &push("closed"), &alice).await.0, 201);
    assert_eq!(call(&server, &pull("open/x"), &nobody).await.0, 200);
    assert_eq!(call(&server, &pull("closed"), &nobody).await.0, 401);
    // A token is not to be changed.
    let (text, tag) = alice.split_once('.').unwrap();
    assert_eq!(call(&server, "GET /v2/", &format!("{text}x.{tag}")).await.0, 401);
    let forged = URL_SAFE_NO_PAD.encode(r#"{"user":"alice","until":99999999999}"#);
    assert_eq!(call(&server, "GET /v2/", &format!("Bearer {forged}.{tag}")).await.0, 401);
}

struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Signer {
        Signer(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn jwks(&self) -> String {
        let point = self.0.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        format!(
            r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"k","x":"{x}","y":"{y}"}},{{"kty":"oct"}}]}}"#
        )
    }

    fn token(&self, header: &str, claims: &str) -> String {
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let random = aws_lc_rs::rand::SystemRandom::new();
        let signature = self.0.sign(&random, signed.as_bytes()).unwrap();
        format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

#[tokio::test]
async fn signed_claims_open_what_they_name_and_nothing_else() {
    let signer = Signer::new();
    let jwks = signer.jwks();
    let issuer =
        || Issuer::new("https://auth/token".into(), "here".into(), "auth".into(), jwks.as_bytes());
    let server = server(vec![], Some(issuer().unwrap()));
    let (status, headers, _) = call(&server, &push("a"), "").await;
    let challenge =
        r#"Bearer realm="https://auth/token",service="here",scope="repository:a:pull,push""#;
    assert_eq!((status, headers["www-authenticate"].to_str().unwrap()), (401, challenge));
    let header = r#"{"alg":"ES256","kid":"k"}"#;
    let claims = r#"{"iss":"auth","aud":"here","exp":9999999999,"sub":"me","access":[
        {"type":"repository","name":"a","actions":["pull","push"]},
        {"type":"repository","name":"**","actions":["delete"]}]}"#;
    let good = signer.token(header, claims);
    assert_eq!(call(&server, &push("a"), &good).await.0, 201);
    assert_eq!(call(&server, &pull("a"), &good).await.0, 200);
    // The token of one repository is none of another's, and a star in it is no pattern.
    assert_eq!(call(&server, &pull("b"), &good).await.0, 401);
    let delete = format!("DELETE /v2/a/blobs/{}", Digest::sha256(b"bytes"));
    assert_eq!(call(&server, &delete, &good).await.0, 401);
    let unsigned = good.rsplit_once('.').unwrap().0.to_owned() + ".";
    for bad in [
        signer.token(header, &claims.replace("9999999999", "1")),
        signer.token(header, &claims.replace(r#""exp""#, r#""nbf":9999999998,"exp""#)),
        signer.token(header, &claims.replace(r#""auth""#, r#""other""#)),
        signer.token(header, &claims.replace(r#""here""#, r#""there""#)),
        signer.token(r#"{"alg":"none"}"#, claims),
        signer.token(r#"{"alg":"HS256","kid":"k"}"#, claims),
        signer.token(r#"{"alg":"ES256","kid":"other"}"#, claims),
        Signer::new().token(header, claims),
        unsigned,
        "Bearer a.b.c".to_owned(),
    ] {
        assert_eq!(call(&server, &pull("a"), &bad).await.0, 401, "{bad}");
    }
    assert!(Issuer::new(String::new(), String::new(), String::new(), b"{\"keys\":[]}").is_err());
}

#[tokio::test]
async fn the_catalog_shows_what_may_be_read() {
    let server = server(
        vec![rule(alice(), "**", Actions::ALL), rule(Who::Users, "team/*", Actions::PULL)],
        None,
    );
    let (alice, bob) = (basic("alice", "wonderland"), basic("bob", "builder"));
    for name in ["a", "team/x", "z"] {
        let manifest = format!("PUT /v2/{name}/manifests/t");
        let request = Request::builder().method("PUT").uri(manifest.split_once(' ').unwrap().1);
        let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        let request = request.header("authorization", &alice).body(Body::from(index)).unwrap();
        assert_eq!(server.clone().oneshot(request).await.unwrap().status(), 201);
    }
    let (_, _, all) = call(&server, "GET /v2/_catalog", &alice).await;
    assert_eq!(all, br#"{"repositories":["a","team/x","z"]}"#);
    let (_, _, some) = call(&server, "GET /v2/_catalog", &bob).await;
    assert_eq!(some, br#"{"repositories":["team/x"]}"#);
    let (_, _, page) = call(&server, "GET /", &bob).await;
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains("team/x") && !page.contains("/ui/z"), "{page}");
}

#[test]
fn what_protects_nothing_is_no_password() {
    for line in ["alice:{SHA}2PRZAyDhNDqRW2OUFwZQqPNdaSY=", "alice:plain", "alice"] {
        assert!(Passwords::parse(line).is_err(), "{line}");
    }
    Passwords::parse("# nobody\n\n").unwrap();
}
