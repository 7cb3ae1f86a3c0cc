//! What every storage promises, run against each of them.

use futures_util::TryStreamExt;
use oci::MediaType;

use super::*;
use crate::condition::Condition;
use crate::name::Tag;
use crate::state::Entry;

#[path = "../../tests/store/mod.rs"]
mod store;

macro_rules! suite {
    ($($rule:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $rule() { super::$rule(&crate::Storage::memory()).await; })*
        }
        mod dir {
            $(#[tokio::test] async fn $rule() {
                let root = tempfile::tempdir().unwrap();
                super::$rule(&crate::Storage::dir(root.path()).unwrap()).await;
            })*
        }
        mod dir_with_names {
            $(#[tokio::test] async fn $rule() {
                let root = tempfile::tempdir().unwrap();
                let dir = crate::storage::dir::Dir::with_names(root.path()).unwrap();
                super::$rule(&crate::Storage(std::sync::Arc::new(dir))).await;
            })*
        }
        mod bucket {
            $(#[tokio::test] async fn $rule() {
                let store = super::store::Store::start().await;
                super::$rule(&crate::Storage::bucket(&store.bucket("")).unwrap()).await;
            })*
        }
    };
}

suite!(
    a_blob_is_visible_after_its_commit_and_only_in_its_repository,
    what_is_dropped_was_never_there,
    bytes_come_in_any_pieces,
    an_open_blob_outlives_its_name,
    a_mounted_blob_outlives_its_source,
    the_last_repository_takes_the_blob_with_it,
    missing_blobs_are_told_apart,
    changes_at_once_are_all_made,
    of_conditional_changes_at_once_one_is_made,
    repositories_are_listed_in_order,
);

fn named(name: &str) -> Repository {
    Repository::parse(name).unwrap()
}

async fn push(storage: &Storage, repository: &str, bytes: &[u8]) -> Digest {
    let digest = Digest::sha256(bytes);
    let mut staged = storage.0.stage();
    staged.write(0, vec![Bytes::copy_from_slice(bytes)]).await.unwrap();
    staged.commit(named(repository), digest.clone(), bytes.len() as u64).await.unwrap();
    digest
}

async fn read(storage: &Storage, repository: &str, digest: &Digest) -> Option<Vec<u8>> {
    let blob = storage.0.open_blob(&named(repository), digest).await.unwrap()?;
    let size = blob.size;
    Some(collect(blob, 0..size).await)
}

async fn collect(blob: Blob, range: Range<u64>) -> Vec<u8> {
    let pieces: Vec<Bytes> = blob.content.stream(range).try_collect().await.unwrap();
    pieces.concat()
}

fn put(bytes: &[u8], tags: &[&str]) -> Change {
    Change::Put {
        digest: Digest::sha256(bytes),
        entry: Entry {
            media_type: MediaType::OCI_MANIFEST,
            size: bytes.len() as u64,
            subject: None,
            pushed: None,
        },
        tags: tags.iter().map(|tag| Tag::parse(tag).unwrap()).collect(),
        condition: Condition::default(),
        most_tags: usize::MAX,
        needs: Vec::new(),
    }
}

async fn a_blob_is_visible_after_its_commit_and_only_in_its_repository(storage: &Storage) {
    let (here, other) = (named("a/b"), named("a"));
    let digest = Digest::sha256(b"bytes");
    let mut staged = storage.0.stage();
    staged.write(0, vec![Bytes::from_static(b"bytes")]).await.unwrap();
    assert_eq!(storage.0.blob_size(&here, &digest).await.unwrap(), None);
    assert!(storage.0.open_blob(&here, &digest).await.unwrap().is_none());
    staged.commit(here.clone(), digest.clone(), 5).await.unwrap();
    assert_eq!(storage.0.blob_size(&here, &digest).await.unwrap(), Some(5));
    assert_eq!(storage.0.blob_size(&other, &digest).await.unwrap(), None);
    assert!(!storage.0.remove_blob(&other, &digest).await.unwrap());
    assert!(storage.0.remove_blob(&here, &digest).await.unwrap());
    assert_eq!(read(storage, "a/b", &digest).await, None);
}

async fn what_is_dropped_was_never_there(storage: &Storage) {
    let digest = Digest::sha256(b"bytes");
    let mut staged = storage.0.stage();
    staged.write(0, vec![Bytes::from_static(b"bytes")]).await.unwrap();
    drop(staged);
    drop(storage.0.stage());
    assert_eq!(read(storage, "a", &digest).await, None);
    assert!(!storage.0.mount_blob(None, &named("a"), &digest).await.unwrap());
    assert!(storage.0.state(&named("a")).await.unwrap().is_none());
}

async fn bytes_come_in_any_pieces(storage: &Storage) {
    let bytes: Vec<u8> = (0..3_500_000_u32).map(|number| ((number * 13) >> 4) as u8).collect();
    let (digest, size) = (Digest::sha256(&bytes), bytes.len() as u64);
    for piece in [9_999, 1 << 20, bytes.len()] {
        let repository = named(&format!("pieces{piece}"));
        let mut staged = storage.0.stage();
        let mut offset = 0;
        for pair in bytes.chunks(piece * 2) {
            let batch = pair.chunks(piece).map(Bytes::copy_from_slice).collect();
            staged.write(offset, batch).await.unwrap();
            offset += pair.len() as u64;
        }
        let sha512 = staged.digest(Algorithm::Sha512, size).await.unwrap();
        assert_eq!(sha512, Algorithm::Sha512.digest(&bytes));
        staged.commit(repository.clone(), digest.clone(), size).await.unwrap();
        assert_eq!(read(storage, repository.as_str(), &digest).await.as_deref(), Some(&bytes[..]));
    }
    for range in [0..1, 1_048_575..1_048_577, 300_000..3_400_000, 3_499_999..3_500_000, 7..7] {
        let blob = storage.0.open_blob(&named("pieces9999"), &digest).await.unwrap().unwrap();
        let part = collect(blob, range.clone()).await;
        assert!(part == bytes[range.start as usize..range.end as usize], "{range:?}");
    }
    let empty = push(storage, "empty", b"").await;
    assert_eq!(read(storage, "empty", &empty).await.as_deref(), Some(&b""[..]));
}

async fn an_open_blob_outlives_its_name(storage: &Storage) {
    let bytes = vec![7; 2_000_000];
    let digest = push(storage, "a", &bytes).await;
    let blob = storage.0.open_blob(&named("a"), &digest).await.unwrap().unwrap();
    assert!(storage.0.remove_blob(&named("a"), &digest).await.unwrap());
    assert!(collect(blob, 0..2_000_000).await == bytes);
}

async fn a_mounted_blob_outlives_its_source(storage: &Storage) {
    let digest = push(storage, "from", b"bytes").await;
    let (from, to) = (named("from"), named("to"));
    assert!(!storage.0.mount_blob(Some(&to), &named("x"), &digest).await.unwrap());
    assert!(storage.0.mount_blob(Some(&from), &to, &digest).await.unwrap());
    assert!(storage.0.mount_blob(Some(&from), &to, &digest).await.unwrap());
    assert!(storage.0.remove_blob(&from, &digest).await.unwrap());
    assert_eq!(read(storage, "to", &digest).await.as_deref(), Some(&b"bytes"[..]));
    assert_eq!(read(storage, "x", &digest).await, None);
}

async fn the_last_repository_takes_the_blob_with_it(storage: &Storage) {
    let digest = push(storage, "a", b"bytes").await;
    push(storage, "b", b"bytes").await;
    assert!(storage.0.mount_blob(None, &named("c"), &digest).await.unwrap());
    for repository in ["a", "b", "c"] {
        assert!(storage.0.remove_blob(&named(repository), &digest).await.unwrap());
    }
    assert!(!storage.0.mount_blob(None, &named("d"), &digest).await.unwrap());
    push(storage, "d", b"bytes").await;
    assert_eq!(read(storage, "d", &digest).await.as_deref(), Some(&b"bytes"[..]));
}

async fn missing_blobs_are_told_apart(storage: &Storage) {
    let (there, absent) = (push(storage, "a", b"1").await, Digest::sha256(b"2"));
    let digests = vec![there.clone(), absent.clone()];
    let missing = storage.0.missing_blobs(&named("a"), digests.clone()).await.unwrap();
    assert_eq!(missing, [absent]);
    assert_eq!(storage.0.missing_blobs(&named("b"), digests.clone()).await.unwrap(), digests);
}

async fn changes_at_once_are_all_made(storage: &Storage) {
    let names: Vec<String> = (0..200).map(|number| format!("t{number}")).collect();
    let repository = named("a");
    push(storage, "a", b"{}").await;
    let changes = names.iter().map(|name| storage.0.commit(&repository, put(b"{}", &[name])));
    for made in futures_util::future::join_all(changes).await {
        made.unwrap().unwrap();
    }
    let state = storage.0.state(&repository).await.unwrap().unwrap();
    assert_eq!(look(&state).tags().len(), 200);
    let gone =
        Change::RemoveManifest { digest: Digest::sha256(b"{}"), condition: Condition::default() };
    storage.0.commit(&repository, gone.clone()).await.unwrap().unwrap();
    let state = storage.0.state(&repository).await.unwrap().unwrap();
    assert_eq!(look(&state).tags().len(), 0);
    assert_eq!(storage.0.commit(&repository, gone).await.unwrap(), Err(Refusal::Unknown));
}

async fn of_conditional_changes_at_once_one_is_made(storage: &Storage) {
    let mut headers = http::HeaderMap::new();
    headers.insert("if-none-match", "*".parse().unwrap());
    let bytes: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let repository = named("a");
    let changes = bytes.iter().map(|bytes| {
        let Change::Put { digest, entry, tags, .. } = put(bytes.as_bytes(), &["v1"]) else {
            unreachable!("a put is made above")
        };
        let condition = Condition::of(&headers);
        storage.0.commit(
            &repository,
            Change::Put {
                digest,
                entry,
                tags,
                condition,
                most_tags: usize::MAX,
                needs: Vec::new(),
            },
        )
    });
    let outcomes = futures_util::future::join_all(changes).await;
    let made = outcomes.into_iter().map(Result::unwrap).filter(Result::is_ok).count();
    assert_eq!(made, 1);
}

async fn repositories_are_listed_in_order(storage: &Storage) {
    for name in ["b/c", "a", "b", "b/blobs", "index.json", "b-c"] {
        storage.0.commit(&named(name), put(b"{}", &["v1"])).await.unwrap().unwrap();
        // Asked for in between, the list must not grow stale.
        storage.0.repositories(None, 1).await.unwrap();
    }
    push(storage, "only/blobs", b"bytes").await;
    let listed = storage.0.repositories(None, 100).await.unwrap();
    let names: Vec<&str> = listed.iter().map(Repository::as_str).collect();
    assert_eq!(names, ["a", "b", "b-c", "b/blobs", "b/c", "index.json"]);
    let page = storage.0.repositories(Some("b"), 2).await.unwrap();
    let names: Vec<&str> = page.iter().map(Repository::as_str).collect();
    assert_eq!(names, ["b-c", "b/blobs"]);
}
