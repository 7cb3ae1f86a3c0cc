//! What ADD fetches, from a registry of answers that stands for the network.

use std::path::Path;
use std::sync::Mutex;

use builder::{BuildError, Builder, Built, Cancel, GitSource, RemoteFile, Remotes, StepCause};
use layerfs::IdMode;
use oci::Digest;

use crate::common::{Listener, Local, Said, World, describe, request};

/// A server of files and repositories.
#[derive(Default)]
struct Server {
    content: Vec<u8>,
    etag: Option<&'static str>,
    last_modified: Option<i64>,
    commit: String,
    log: Mutex<Vec<String>>,
}

impl Server {
    fn say(&self, what: String) {
        self.log.lock().unwrap().push(what);
    }

    fn said(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

impl Remotes for Server {
    fn file(&self, url: &str) -> oci::Result<RemoteFile> {
        self.say(format!("GET {url}"));
        Ok(RemoteFile {
            etag: self.etag.map(str::to_owned),
            last_modified: self.last_modified,
            size: None,
            body: Box::new(std::io::Cursor::new(self.content.clone())),
        })
    }

    fn commit(&self, source: &GitSource) -> oci::Result<String> {
        self.say(format!("ls {} {}", source.url, source.reference.as_deref().unwrap_or("HEAD")));
        Ok(self.commit.clone())
    }

    fn checkout(
        &self,
        source: &GitSource,
        commit: &str,
        into: &Path,
        _: &Cancel,
    ) -> oci::Result<()> {
        self.say(format!("checkout {} {}", source.url, &commit[..7]));
        std::fs::write(into.join("README"), format!("at {}\n", &commit[..7])).unwrap();
        std::fs::create_dir(into.join("src")).unwrap();
        std::fs::write(into.join("src/main"), "main\n").unwrap();
        Ok(())
    }
}

fn build_from(
    world: &World,
    server: &Server,
    dockerfile: &str,
) -> (Result<Built, BuildError>, Said) {
    let context = world.dir.path().join("context");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::write(context.join("local"), "local\n").unwrap();
    let listener = Listener::default();
    let lease = world.store.lease().unwrap();
    let cancel = Cancel::new().unwrap();
    let builder = Builder {
        store: &world.store,
        lease: &lease,
        images: &Local(&world.store),
        remotes: server,
        progress: &listener,
        cancel: &cancel,
        ids: IdMode::Full,
    };
    let result = builder.build(&request(dockerfile, Some(&context)));
    (result, listener.0.into_inner().unwrap())
}

fn built(world: &World, server: &Server, dockerfile: &str) -> (Built, Said) {
    let (result, said) = build_from(world, server, dockerfile);
    (result.unwrap_or_else(|error| panic!("{}", describe(&error))), said)
}

fn refused(world: &World, server: &Server, dockerfile: &str) -> String {
    describe(&build_from(world, server, dockerfile).0.unwrap_err())
}

const URL: &str = "FROM scratch\nADD http://h/d/file /to/\n";

#[test]
fn a_file_comes_with_its_owners_mode_and_the_servers_time() {
    let world = World::empty();
    let server =
        Server { content: "bytes".into(), last_modified: Some(1_000_000_000), ..Server::default() };
    let (image, said) = built(&world, &server, URL);
    assert_eq!(world.read(&image, "/to/file"), "bytes");
    let stat = world.stat(&image, "/to/file");
    assert_eq!((stat.mode, stat.mtime.seconds, stat.uid), (0o600, 1_000_000_000, 0));
    assert_eq!(said.started, ["http://h/d/file", "[1/1] ADD http://h/d/file /to/"]);
    let history = image.config.history.last().unwrap();
    assert_eq!(history.created_by.as_deref(), Some("ADD http://h/d/file /to/ # buildkit"));

    let chmod = "FROM scratch\nADD --chmod=755 --chown=3:4 http://h/ /as\n";
    let (image, _) = built(&world, &server, chmod);
    let stat = world.stat(&image, "/as");
    assert_eq!((stat.mode, stat.uid, stat.gid), (0o755, 3, 4));
    let (image, _) = built(&world, &server, "FROM scratch\nADD http://h/ /d/\n");
    assert_eq!(world.read(&image, "/d/__unnamed__"), "bytes");
}

#[test]
fn what_a_server_knows_by_its_validators_is_not_read_again() {
    let world = World::empty();
    for (etag, last_modified) in [(Some("one"), None), (None, Some(7))] {
        let server = Server { content: "1".into(), etag, last_modified, ..Server::default() };
        let (first, _) = built(&world, &server, URL);
        let (second, said) = built(&world, &server, URL);
        assert_eq!(said.started, [""; 0], "{etag:?}");
        assert_eq!(first.config.digest(), second.config.digest());
    }
    let server = Server { content: "2".into(), etag: Some("two"), ..Server::default() };
    let (image, said) = built(&world, &server, URL);
    assert_eq!(said.started.len(), 2);
    assert_eq!(world.read(&image, "/to/file"), "2");
}

#[test]
fn without_validators_the_content_decides() {
    let world = World::empty();
    let server = Server { content: "1".into(), ..Server::default() };
    built(&world, &server, URL);
    let (_, said) = built(&world, &server, URL);
    assert_eq!(said.started, ["http://h/d/file"], "the copy is known by what came");
    let server = Server { content: "2".into(), ..Server::default() };
    assert_eq!(built(&world, &server, URL).1.started.len(), 2);
}

#[test]
fn a_checksum_is_checked_once_and_asks_nobody_after_that() {
    let world = World::empty();
    let server = Server { content: "bytes".into(), ..Server::default() };
    let digest = Digest::sha256(b"bytes");
    let dockerfile = format!("FROM scratch\nARG SUM={digest}\nADD --checksum=$SUM http://h/f /\n");
    built(&world, &server, &dockerfile);
    assert_eq!(server.said(), ["GET http://h/f"]);
    let (_, said) = built(&world, &server, &dockerfile);
    assert_eq!((server.said(), said.started), (vec![], vec![]));

    let other = Digest::sha256(b"other");
    let wrong = format!("FROM scratch\nADD --checksum={other} http://h/f /\n");
    let (result, _) = build_from(&world, &server, &wrong);
    let Err(BuildError::Step(step)) = result else { panic!("{result:?}") };
    assert!(matches!(step.cause, StepCause::Checksum { .. }), "{:?}", step.cause);
    assert!(refused(&world, &server, &wrong).contains(&digest.to_string()));
}

#[test]
fn checksums_that_make_no_sense_are_refused() {
    let world = World::empty();
    let server = Server::default();
    let digest = Digest::sha256(b"");
    for (words, error) in [
        (format!("--checksum={digest} http://h/a http://h/b /"), "multiple sources"),
        (format!("--checksum={digest} local /"), "sources that are fetched"),
        ("--checksum=md5:0 http://h/a /".to_owned(), "--checksum"),
        (format!("--checksum=sha512:{} http://h/a /", "0".repeat(128)), "takes sha256"),
        ("--checksum=zzzzzzz http://h/a.git /".to_owned(), "is no commit"),
    ] {
        let message = refused(&world, &server, &format!("FROM scratch\nADD {words}\n"));
        assert!(message.contains(error), "{words}: {message}");
    }
    assert_eq!(server.said(), [""; 0]);
    let message = refused(&world, &server, "FROM scratch\nCOPY http://h/a /\n");
    assert!(message.contains("a source of COPY cannot be a URL"), "{message}");
}

#[test]
fn a_file_and_the_context_can_be_added_at_once() {
    let world = World::empty();
    let server = Server { content: "bytes".into(), ..Server::default() };
    let dockerfile = "FROM scratch\nADD local http://h/a http://h/b /to/\n";
    let (image, _) = built(&world, &server, dockerfile);
    assert_eq!(world.read(&image, "/to/local"), "local\n");
    assert_eq!(world.read(&image, "/to/b"), "bytes");
}

/// A tar of the file `in`.
fn one_file() -> Vec<u8> {
    let mut header = vec![0; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, "in");
    put(100, "0000644\0");
    put(124, "00000000006\0");
    put(136, "00000000000\0");
    put(148, "        0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.extend(b"inside");
    header.resize(512 * 4, 0);
    header
}

#[test]
fn an_archive_is_unpacked_on_request_alone() {
    let world = World::empty();
    let tar = one_file();
    let server = Server { content: tar.clone(), ..Server::default() };
    let (image, _) = built(&world, &server, "FROM scratch\nADD http://h/a.tar /d/\n");
    assert_eq!(world.read(&image, "/d/a.tar").len(), tar.len());
    let (image, _) = built(&world, &server, "FROM scratch\nADD --unpack http://h/a.tar /d/\n");
    assert_eq!(world.read(&image, "/d/in"), "inside");
}

#[test]
fn a_repository_is_known_by_its_commit() {
    let world = World::empty();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let server = Server { commit: commit.to_owned(), ..Server::default() };
    let dockerfile = "FROM scratch\nADD https://h/a.git#main /src/\n";
    let (image, _) = built(&world, &server, dockerfile);
    assert_eq!(world.read(&image, "/src/README"), "at 0123456\n");
    assert_eq!(world.read(&image, "/src/src/main"), "main\n");
    assert_eq!(server.said(), ["ls https://h/a.git main", "checkout https://h/a.git 0123456"]);

    let (_, said) = built(&world, &server, dockerfile);
    assert_eq!((server.said(), said.started), (vec!["ls https://h/a.git main".to_owned()], vec![]));

    let pinned = format!("FROM scratch\nADD https://h/a.git#{commit} /src/\n");
    built(&world, &server, &pinned);
    assert_eq!(server.said(), [""; 0], "a commit that was fetched is looked for nowhere");

    let wrong = "FROM scratch\nADD --checksum=fffffff https://h/a.git#main /src/\n";
    assert!(refused(&world, &server, wrong).contains(commit));
}
