//! The pages of `tierce registry serve`, as a browser without scripts gets them.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::io::{Read, Write};
use std::net::TcpStream;

use testutil::{EmbeddedRegistry, Tierce, busybox};

fn get(registry: &EmbeddedRegistry, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(&registry.address).unwrap();
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", registry.address);
    stream.write_all(head.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let answer = String::from_utf8_lossy(&bytes).into_owned();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

/// The places that a page links to, which begin with `beginning`.
fn links(page: &str, beginning: &str) -> Vec<String> {
    let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    links.filter(|link| link.starts_with(beginning)).map(str::to_owned).collect()
}

#[test]
fn pages_lead_from_the_registry_to_the_files_of_a_layer() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let context = tierce.scratch().join("context");
    std::fs::create_dir_all(&context).unwrap();
    let text = "FROM busybox\nRUN mkdir /made && echo x > '/made/<b>file' && ln -s file /made/link\n\
                ENV GREETING=\"<script>hello</script>\"\nCMD [\"run\", \"me\"]\n";
    std::fs::write(context.join("Dockerfile"), text).unwrap();
    let name = format!("{}/team/app:1", registry.address);
    let context = context.to_str().unwrap();
    let platforms = "--platform=linux/amd64";
    tierce.ok(["build", "-q", platforms, "-t", &name, "--push", context]);
    let sbom = tierce.scratch().write("sbom.json", "{}");
    let kind = "application/spdx+json";
    tierce.ok(["registry", "attach", "--artifact-type", kind, &name, sbom.to_str().unwrap()]);

    let (_, all) = get(&registry, "/");
    assert_eq!(links(&all, "/ui/"), ["/ui/team/app"]);
    let (_, repository) = get(&registry, "/ui/team/app");
    let digest = tierce.ok(["registry", "digest", &name]);
    let image = format!("/ui/team/app@{}", digest.trim());
    assert_eq!(links(&repository, "/ui/"), [image.as_str()]);
    assert!(repository.contains(&format!("tierce pull {name}")), "{repository}");

    let (_, image) = get(&registry, &image);
    assert!(image.contains("linux/amd64") && image.contains("mkdir /made"), "{image}");
    assert!(image.contains("GREETING=&lt;script&gt;hello"), "{image}");
    assert!(!image.contains("<script"), "nothing that is in an image is a part of the page");
    assert!(image.contains("spdx+json (SBOM)"), "{image}");
    let places = links(&image, "/ui/team/app@");
    let layer = &places[places.len() - 2];
    let (status, files) = get(&registry, layer);
    assert_eq!(status, 200, "{files}");
    assert!(files.contains("made/&lt;b&gt;file") && files.contains("made/link"), "{files}");
    assert!(files.contains("→ <code>file</code>"), "{files}");
    let (_, artifact) = get(&registry, places.last().unwrap());
    assert!(artifact.contains("about <a href="), "{artifact}");

    let config = tierce.ok(["registry", "manifest", &name]);
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let config = format!("/ui/team/app@{}", config["config"]["digest"].as_str().unwrap());
    let (status, no_layer) = get(&registry, &config);
    assert!(status == 200 && no_layer.contains("no files are shown: it is no tar"), "{no_layer}");
    for wrong in ["/ui/team/app@sha256:00", "/ui/none@sha256:00", "/ui/team/app@", "/ui/@x"] {
        assert_eq!(get(&registry, wrong).0, 404, "{wrong}");
    }
    let absent = format!("/ui/team/app@sha256:{}", "0".repeat(64));
    assert_eq!(get(&registry, &absent).0, 404);
    // What belongs to one repository is not shown as another's.
    let elsewhere = layer.replace("team/app", "busybox");
    assert_eq!(get(&registry, &elsewhere).0, 404);
}
