//! Files behind any URL.

use registry_client::FileRequest;

use crate::server::{Reply, Server, noise};

fn asking<'a>(url: &'a str, authorization: Option<&'a str>) -> FileRequest<'a> {
    FileRequest { url, authorization, ..FileRequest::default() }
}

async fn read(server: &Server, url: &str, authorization: Option<&str>) -> Vec<u8> {
    let mut download = server.client().download(asking(url, authorization)).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = download.chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

#[tokio::test]
async fn a_file_comes_with_its_validators_as_it_lies_on_the_server() {
    let content = noise(100_000);
    let sent = content.clone();
    let server = Server::start(move |_| {
        Reply::new(200)
            .header("ETag", "\"v1\"")
            .header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")
            .body(sent.clone())
    });
    let url = format!("http://{}/a?b=c", server.address);
    let download = server.client().download(asking(&url, None)).await.unwrap();
    assert_eq!(download.etag(), Some("\"v1\""));
    assert_eq!(download.last_modified(), Some(784_111_777));
    assert_eq!(download.size(), Some(100_000));
    assert_eq!(read(&server, &url, None).await, content);
    let asked = server.asked();
    assert_eq!(asked[0].line(), "GET /a?b=c");
    assert_eq!(asked[0].header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn the_authorization_stays_at_its_origin() {
    let elsewhere = Server::start(|_| Reply::new(200).body("x"));
    let target = format!("http://{}/", elsewhere.address);
    let server = Server::start(move |asked| match &*asked.path {
        "/first" => Reply::new(302).header("Location", "/second"),
        _ => Reply::new(307).header("Location", &target),
    });
    let url = format!("http://{}/first", server.address);
    assert_eq!(read(&server, &url, Some("Bearer t")).await, b"x");
    let own = server.asked();
    assert!(own.iter().all(|asked| asked.header("authorization") == Some("Bearer t")));
    assert_eq!(own.len(), 2);
    assert_eq!(elsewhere.asked()[0].header("authorization"), None);
}

#[tokio::test]
async fn what_is_no_file_is_an_error() {
    for (reply, expected) in [
        (Reply::new(404), "404"),
        (Reply::new(206).body("x"), "206"),
        (Reply::new(302), "redirects to no address"),
        (Reply::new(302).header("Location", "/"), "redirects more than 10 times"),
        (Reply::new(302).header("Location", "file:///etc/passwd"), "what is not http"),
    ] {
        let server = Server::start(move |_| reply.clone());
        let url = format!("http://{}/", server.address);
        let error = server.client().download(asking(&url, None)).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let server = Server::start(|_| Reply::new(200));
    for url in ["ftp://h/a", "a", "http://"] {
        assert!(server.client().download(asking(url, None)).await.is_err(), "{url}");
    }
}

#[tokio::test]
async fn a_file_that_breaks_off_is_an_error() {
    let server = Server::start(|_| Reply::new(200).body(noise(10_000)).cut_after(5000));
    let url = format!("http://{}/", server.address);
    let mut download = server.client().download(asking(&url, None)).await.unwrap();
    loop {
        match download.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the file seems whole"),
            Err(_) => return,
        }
    }
}

#[tokio::test]
async fn what_is_posted_arrives_once_and_is_not_redirected() {
    let server = Server::start(|request| match request.path.as_str() {
        "/" => Reply::new(200).header("Content-Type", "x/y").body(request.body.clone()),
        _ => Reply::new(302).header("Location", "/"),
    });
    let url = |path: &str| format!("http://{}{path}", server.address);
    let headers = [("X-Much".to_owned(), "more".to_owned())];
    let body = Some(b"sent".to_vec());
    let post =
        |url| FileRequest { url, headers: &headers, body: body.clone(), authorization: None };
    let (here, elsewhere) = (url("/"), url("/elsewhere"));
    let mut download = server.client().download(post(&here)).await.unwrap();
    assert_eq!(download.content_type(), Some("x/y"));
    assert_eq!(download.chunk().await.unwrap().as_deref(), Some(&b"sent"[..]));
    assert!(server.client().download(post(&elsewhere)).await.is_err());
}
