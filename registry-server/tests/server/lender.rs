//! A registry beside another store on the machine: what that has is taken without a copy.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use oci::{Algorithm, Digest};
use registry_server::{
    Access, Actions, Collection, Lender, Pattern, Registry, Rule, Storage, Who, router,
};
use tower::ServiceExt;

/// A store with blobs, and a registry beside it.
struct Place {
    root: tempfile::TempDir,
    registry: Registry,
}

impl Place {
    fn new() -> Place {
        let root = tempfile::tempdir().unwrap();
        let lender = Lender { blobs: root.path().join("store"), name: "here".into() };
        let storage = Storage::dir_beside(root.path().join("registry"), lender).unwrap();
        Place { root, registry: Registry::new(storage) }
    }

    /// Puts bytes where the store would have those of a digest.
    fn lend(&self, digest: &Digest, bytes: &[u8]) -> PathBuf {
        let path = self.stored(digest);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        path
    }

    fn stored(&self, digest: &Digest) -> PathBuf {
        self.root.path().join("store").join(digest.algorithm().as_str()).join(digest.hex())
    }

    fn taken(&self, repository: &str, digest: &Digest) -> PathBuf {
        let blobs = self.root.path().join("registry").join(repository).join("blobs");
        blobs.join(digest.algorithm().as_str()).join(digest.hex())
    }

    async fn call(&self, request: &str) -> (u16, Vec<u8>) {
        call(&router(self.registry.clone()), request).await
    }

    async fn mount(&self, repository: &str, digest: &Digest) -> u16 {
        self.call(&format!("POST /v2/{repository}/blobs/uploads/?mount={digest}")).await.0
    }
}

async fn call(server: &Router, request: &str) -> (u16, Vec<u8>) {
    let (method, target) = request.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(target).body(Body::empty()).unwrap();
    let response = server.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
}

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().ino()
}

#[tokio::test]
async fn what_the_store_has_is_linked() {
    let place = Place::new();
    for digest in [Digest::sha256(b"bytes"), Algorithm::Sha512.digest(b"bytes")] {
        let stored = place.lend(&digest, b"bytes");
        // Asked for alone, it is not there: nobody has pushed it.
        assert_eq!(place.call(&format!("GET /v2/a/blobs/{digest}")).await.0, 404);
        for repository in ["a", "a", "b"] {
            assert_eq!(place.mount(repository, &digest).await, 201);
            let got = place.call(&format!("GET /v2/{repository}/blobs/{digest}")).await;
            assert_eq!(got, (200, b"bytes".to_vec()));
            assert_eq!(inode(&place.taken(repository, &digest)), inode(&stored));
        }
        // It stays when the store lets it go.
        std::fs::remove_file(&stored).unwrap();
        let got = place.call(&format!("GET /v2/a/blobs/{digest}")).await;
        assert_eq!(got, (200, b"bytes".to_vec()));
    }
    let absent = Digest::sha256(b"absent");
    assert_eq!(place.mount("a", &absent).await, 202);
    let answer = router(place.registry.clone());
    let ping = Request::get("/v2/").body(Body::empty()).unwrap();
    assert_eq!(answer.oneshot(ping).await.unwrap().headers()["tierce-blobs-of"], "here");
}

#[tokio::test]
async fn what_is_not_what_its_name_says_is_not_taken() {
    let place = Place::new();
    let digest = Digest::sha256(b"bytes");
    let outside = place.root.path().join("outside");
    std::fs::write(&outside, b"bytes").unwrap();
    let path = place.lend(&digest, b"other bytes");
    assert_eq!(place.mount("a", &digest).await, 202, "damaged");
    std::fs::write(&path, b"byte").unwrap();
    assert_eq!(place.mount("a", &digest).await, 202, "cut");
    for odd in ["link", "pipe", "directory"] {
        std::fs::remove_file(&path).unwrap();
        match odd {
            "link" => std::os::unix::fs::symlink(&outside, &path).unwrap(),
            "pipe" => {
                let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
                assert!(made.success());
            }
            _ => std::fs::create_dir(&path).unwrap(),
        }
        let mounted = tokio::time::timeout(Duration::from_secs(10), place.mount("a", &digest));
        assert_eq!(mounted.await.unwrap(), 202, "{odd}");
    }
    assert!(!place.taken("a", &digest).exists());
}

/// Who may write to the store's file could change it after it was verified.
#[tokio::test]
async fn what_others_can_change_is_copied() {
    let place = Place::new();
    let digest = Digest::sha256(b"bytes");
    let stored = place.lend(&digest, b"bytes");
    std::fs::set_permissions(&stored, PermissionsExt::from_mode(0o664)).unwrap();
    assert_eq!(place.mount("a", &digest).await, 201);
    assert_ne!(inode(&place.taken("a", &digest)), inode(&stored));
    std::fs::write(&stored, b"other").unwrap();
    let got = place.call(&format!("GET /v2/a/blobs/{digest}")).await;
    assert_eq!(got, (200, b"bytes".to_vec()));
    // What was copied with wrong bytes is not kept.
    let other = Digest::sha256(b"more");
    let stored = place.lend(&other, b"less");
    std::fs::set_permissions(&stored, PermissionsExt::from_mode(0o666)).unwrap();
    assert_eq!(place.mount("a", &other).await, 202);
    let staging = place.root.path().join("registry/_staging");
    assert_eq!(std::fs::read_dir(staging).unwrap().count(), 0);
}

/// A digest alone opens nothing to those who may not read everything.
#[tokio::test]
async fn the_store_is_open_to_those_who_may_read_everything() {
    let place = Place::new();
    let digest = Digest::sha256(b"bytes");
    place.lend(&digest, b"bytes");
    let rule = |repositories: &str| Rule {
        who: Who::Anyone,
        repositories: Pattern::new(repositories),
        actions: Actions::ALL,
    };
    for (repositories, status) in [("team/**", 202), ("**", 201)] {
        let rules = vec![rule(repositories)];
        place.registry.set_access(Some(Access { rules, ..Access::default() }));
        assert_eq!(place.mount("team/app", &digest).await, status, "{repositories}");
    }
}

#[tokio::test]
async fn a_blob_goes_with_the_last_repository_though_the_store_keeps_it() {
    let place = Place::new();
    let digest = Digest::sha256(b"bytes");
    let stored = place.lend(&digest, b"bytes");
    let shared = place.root.path().join("registry/_shared/sha256").join(digest.hex());
    for keeps_it in [true, false] {
        assert_eq!(place.mount("a", &digest).await, 201);
        assert_eq!(place.mount("b", &digest).await, 201);
        if !keeps_it {
            // A link that nobody can know of.
            std::fs::rename(&stored, place.root.path().join("elsewhere")).unwrap();
        }
        for (repository, left) in [("a", true), ("b", !keeps_it)] {
            let delete = format!("DELETE /v2/{repository}/blobs/{digest}");
            assert_eq!(place.call(&delete).await.0, 202);
            assert_eq!(shared.exists(), left, "after {repository}");
        }
    }
    let grace = Duration::ZERO;
    let rules = Collection { grace, untagged: false, retention: Vec::new(), dry_run: false };
    place.registry.collect(&rules).await.unwrap();
    assert!(!shared.exists());
    assert_eq!(place.mount("c", &digest).await, 202);
}
