//! Archives: what is written is read back, by us and by others, and what is broken is refused.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Cursor, Read, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;

use oci::archive::{Archive, ArchiveFormat, ArchiveWriter, OciLayoutDir};
use oci::blob::MemoryBlobs;
use oci::compress::{Compression, compress};
use oci::{
    BlobRead, BlobStore, Descriptor, DiffId, Digest, Error, Image, ImageConfig, ImageSink,
    ImageSource, Manifest, MediaType, Platform, Raw, Reference,
};
use proptest::prelude::*;

/// Entries of a tar: name, kind, content or link target.
type Entries<'a> = &'a [(&'a str, u8, &'a [u8])];

fn tar(entries: Entries<'_>) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, kind, content) in entries {
        let link = matches!(kind, b'1' | b'2');
        let mut header = [0u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[108..115].copy_from_slice(b"0000000");
        header[116..123].copy_from_slice(b"0000000");
        let size = if link { 0 } else { content.len() };
        header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        header[136..147].copy_from_slice(b"00000000000");
        header[156] = *kind;
        if link {
            header[157..157 + content.len()].copy_from_slice(content);
        }
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|&b| u32::from(b)).sum::<u32>() + 8 * 32;
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend_from_slice(&header);
        if !link {
            tar.extend_from_slice(content);
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
    }
    tar.extend_from_slice(&[0; 1024]);
    tar
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(Compression::GZIP, NonZeroUsize::MIN, &mut &data[..], &mut out).unwrap();
    out
}

fn add(blobs: &MemoryBlobs, bytes: &[u8]) -> Digest {
    let mut ingest = blobs.ingest().unwrap();
    ingest.write_all(bytes).unwrap();
    ingest.commit(None).unwrap().0
}

/// An image of gzip layers, one for each text, that can run nowhere and be loaded everywhere.
fn image(blobs: &MemoryBlobs, texts: &[&str]) -> Image {
    let mut config = ImageConfig::empty(&Platform::host());
    let mut layers = Vec::new();
    for text in texts {
        let layer = tar(&[("file", b'0', text.as_bytes())]);
        config.rootfs.diff_ids.push(DiffId(Digest::sha256(&layer)));
        let blob = gzip(&layer);
        let size = blob.len() as u64;
        layers.push(Descriptor::new(MediaType::OCI_LAYER_GZIP, add(blobs, &blob), size));
    }
    let config = Raw::write(config);
    add(blobs, config.bytes());
    let of_config = Descriptor::new(MediaType::OCI_CONFIG, config.digest().clone(), config.size());
    Image { manifest: Raw::write(Manifest::oci(of_config, layers)), config, index: None }
}

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

/// Two images that share a layer, the first by two names, the last by none.
fn write(format: ArchiveFormat) -> (Vec<u8>, Vec<Image>) {
    let blobs = MemoryBlobs::default();
    let images = vec![image(&blobs, &["a", "b"]), image(&blobs, &["a", "c"]), image(&blobs, &[])];
    let writer = ArchiveWriter::new(format, Vec::new());
    writer.put(&name("one"), &images[0], &blobs).unwrap();
    writer.put(&name("localhost:5000/x/two:tag"), &images[1], &blobs).unwrap();
    writer.put(&name("one:again"), &images[0], &blobs).unwrap();
    writer.put_unnamed(&images[2], &blobs).unwrap();
    (writer.finish().unwrap(), images)
}

fn read(tar: Vec<u8>) -> oci::Result<Archive> {
    let staging = tempfile::tempdir().unwrap();
    Archive::read(Box::new(Cursor::new(tar)), staging.path())
}

/// Reads every blob of an image.
fn verify(archive: &dyn BlobRead, image: &Image) -> oci::Result<()> {
    for layer in &image.manifest.layers {
        if archive.size(&layer.digest)? != Some(layer.size) {
            return Err(Error::BlobNotFound { digest: layer.digest.clone() });
        }
        archive
            .open(layer)?
            .read_to_end(&mut Vec::new())
            .map_err(|e| Error::io("read", "a layer", e))?;
    }
    Ok(())
}

/// Runs a program that has to succeed. One that is missing fails the test.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|e| {
        panic!("cannot start `{program}`: {e}; on Debian: `apt-get install skopeo podman`")
    });
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_written_is_read_back() {
    for format in [ArchiveFormat::Docker, ArchiveFormat::Oci] {
        let (tar, images) = write(format);
        assert!(tar == write(format).0, "the same bytes each time");
        for bytes in [tar.clone(), gzip(&tar)] {
            let archive = read(bytes).unwrap();
            let names: Vec<Vec<_>> = archive
                .images()
                .iter()
                .map(|image| image.names.iter().map(Reference::familiar).collect())
                .collect();
            let expected: [&[&str]; 3] =
                [&["one:latest", "one:again"], &["localhost:5000/x/two:tag"], &[]];
            assert_eq!(names, expected);
            for (found, image) in archive.images().iter().zip(&images) {
                let loaded = archive.load(found, &Platform::host()).unwrap();
                assert_eq!(loaded.manifest.bytes(), image.manifest.bytes());
                assert_eq!(loaded.config.bytes(), image.config.bytes());
                verify(&archive, &loaded).unwrap();
            }
            let host = Platform::host();
            let digest = images[1].manifest.digest();
            let by_name = archive.image(&name("localhost:5000/x/two:tag"), &host).unwrap();
            assert_eq!(by_name.manifest.digest(), digest);
            let by_digest = archive.image(&name(&format!("any@{digest}")), &host).unwrap();
            assert_eq!(by_digest.manifest.digest(), digest);
            let none = archive.image(&name("two:tag"), &host);
            assert!(matches!(none, Err(Error::ImageNotFound { .. })));
        }
    }
}

#[test]
fn an_image_whose_layers_fail_spoils_the_archive_and_not_silently() {
    let (blobs, empty) = (MemoryBlobs::default(), MemoryBlobs::default());
    let image = image(&blobs, &["a"]);
    let writer = ArchiveWriter::new(ArchiveFormat::Docker, Vec::new());
    assert!(matches!(writer.put(&name("a"), &image, &empty), Err(Error::BlobNotFound { .. })));
    assert!(writer.put(&name("a"), &image, &blobs).is_err());
    assert!(matches!(writer.finish(), Err(Error::InvalidArchive { .. })));
}

#[test]
fn a_layout_in_a_directory_takes_images_and_gives_them_back() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("layout");
    let blobs = MemoryBlobs::default();
    let (old, new) = (image(&blobs, &["a", "b"]), image(&blobs, &["a", "c"]));
    OciLayoutDir::create(&root).unwrap().put(&name("x"), &old, &blobs).unwrap();
    let layout = OciLayoutDir::create(&root).unwrap();
    layout.put(&name("x:old"), &old, &blobs).unwrap();
    layout.put(&name("x"), &new, &blobs).unwrap();

    let archive = Archive::open(&root, dir.path()).unwrap();
    for (text, image) in [("x:old", &old), ("x:latest", &new)] {
        let found = archive.image(&name(text), &Platform::host()).unwrap();
        assert_eq!(found.manifest.digest(), image.manifest.digest(), "{text}");
        verify(&archive, &found).unwrap();
    }
    // Two documents and a layer each of their own, and the layer that they share; no leftovers.
    assert_eq!(fs::read_dir(root.join("blobs/sha256")).unwrap().count(), 2 * 3 + 1);
    assert_eq!(fs::read_dir(root.join("blobs")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 3);

    let foreign = dir.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("precious"), "").unwrap();
    assert!(matches!(OciLayoutDir::create(&foreign), Err(Error::InvalidArchive { .. })));
}

/// An archive as docker wrote it before version 25, with the tricks that it had.
fn old_docker_archive(config: &str, layers: &str, extra: Entries<'_>) -> Vec<u8> {
    let manifest =
        format!(r#"[{{"Config":"c.json","RepoTags":["old:1","x/y"],"Layers":{layers}}}]"#);
    let mut entries: Vec<(&str, u8, &[u8])> = extra.to_vec();
    entries.push(("c.json", b'0', config.as_bytes()));
    entries.push(("manifest.json", b'0', manifest.as_bytes()));
    tar(&entries)
}

fn config(layers: &[&[u8]]) -> String {
    let ids: Vec<_> = layers.iter().map(|layer| format!("\"{}\"", Digest::sha256(layer))).collect();
    let ids = ids.join(",");
    format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{ids}]}}}}"#
    )
}

#[test]
fn archives_of_older_dockers_are_read() {
    let (a, b) = (tar(&[("a", b'0', b"a")]), tar(&[("b", b'0', b"b")]));
    let b_gzip = gzip(&b);
    let bytes = old_docker_archive(
        &config(&[&a, &b, &a, &a]),
        r#"["1/layer.tar","./2/layer.tar","3/layer.tar","4/layer.tar"]"#,
        &[
            ("1/", b'5', b""),
            ("1/layer.tar", b'0', &a),
            ("2/layer.tar", b'0', &b_gzip),
            ("3/layer.tar", b'2', b"../1/layer.tar"),
            ("4/layer.tar", b'1', b"1/layer.tar"),
        ],
    );
    let archive = read(bytes).unwrap();
    let [found] = archive.images() else { panic!("one image") };
    let names: Vec<_> = found.names.iter().map(Reference::familiar).collect();
    assert_eq!(names, ["old:1", "x/y:latest"]);
    let image = archive.load(found, &Platform::host()).unwrap();
    let layers: Vec<_> = image.manifest.layers.iter().map(|d| (&d.digest, &d.media_type)).collect();
    let (a, b) = (Digest::sha256(&a), Digest::sha256(&b_gzip));
    let (plain, gzip) = (&MediaType::OCI_LAYER, &MediaType::OCI_LAYER_GZIP);
    assert_eq!(layers, [(&a, plain), (&b, gzip), (&a, plain), (&a, plain)]);
    verify(&archive, &image).unwrap();
}

#[test]
fn a_layer_that_is_not_what_the_config_says_fails_when_it_is_read() {
    let (a, b) = (tar(&[("a", b'0', b"a")]), tar(&[("b", b'0', b"b")]));
    let bytes = old_docker_archive(&config(&[&b]), r#"["layer.tar"]"#, &[("layer.tar", b'0', &a)]);
    let archive = read(bytes).unwrap();
    let image = archive.load(&archive.images()[0], &Platform::host()).unwrap();
    assert!(verify(&archive, &image).is_err());
}

#[test]
fn broken_archives_are_refused_with_a_reason() {
    let layer = tar(&[("a", b'0', b"a")]);
    let good = config(&[&layer]);
    let old = |layers: &str, extra: Entries<'_>| old_docker_archive(&good, layers, extra);
    let whole = old(r#"["l"]"#, &[("l", b'0', &layer)]);
    let large = vec![b' '; (16 << 20) + 1];
    for (bytes, reason) in [
        (Vec::new(), "no tar"),
        (b"text".to_vec(), "no tar"),
        (tar(&[("readme", b'0', b"hello")]), "no `index.json`"),
        (old(r#"["l"]"#, &[]), "`l`, which is not there"),
        (old("[]", &[]), "has 0 layers, and its config tells of 1"),
        (old(r#"["l"]"#, &[("l", b'2', b"m"), ("m", b'2', b"l")]), "link in a circle"),
        (old(r#"["l"]"#, &[("l", b'2', b"../../etc/passwd")]), "leads outside"),
        (old(r#"["l"]"#, &[("l", b'5', b"")]), "no regular file"),
        (old(r#"["../l"]"#, &[("l", b'0', &layer)]), "`../l`, which is not there"),
        (old(r#"["l"]"#, &[("l", b'0', b"BZh91AY&SY")]), "neither gzip, zstd nor plain"),
        (tar(&[("manifest.json", b'0', b"{}")]), "`manifest.json` cannot be read"),
        (tar(&[("manifest.json", b'0', &large)]), "bytes, more than"),
        (tar(&[("index.json", b'0', &large)]), "bytes, more than"),
        (
            tar(&[
                ("index.json", b'0', b"{}"),
                ("oci-layout", b'0', br#"{"imageLayoutVersion":"2"}"#),
            ]),
            "unknown version `2`",
        ),
        (whole[..whole.len() - 1024 - 600].to_vec(), "cut off"),
        (whole[..700].to_vec(), "cut off"),
    ] {
        let error = read(bytes).unwrap_err().to_string();
        assert!(error.contains(reason), "{error:?} should say {reason:?}");
    }
    // The end marker may be missing, or half of it.
    read(whole[..whole.len() - 1024].to_vec()).unwrap();
    read(whole[..whole.len() - 512].to_vec()).unwrap();
}

#[test]
fn an_index_gives_the_image_for_the_platform() {
    let blobs = MemoryBlobs::default();
    let image = image(&blobs, &["a"]);
    let mut descriptor = Descriptor::new(
        MediaType::OCI_MANIFEST,
        image.manifest.digest().clone(),
        image.manifest.size(),
    );
    descriptor.platform = Some("linux/arm64".parse().unwrap());
    let inner = Raw::write(oci::Index::oci(vec![descriptor]));
    let mut outer = Descriptor::new(MediaType::OCI_INDEX, inner.digest().clone(), inner.size());
    outer.annotations.insert("org.opencontainers.image.ref.name".into(), "x/y:1".into());
    let outer = Raw::write(oci::Index::oci(vec![outer]));
    let path = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    let (inner_path, manifest, config) =
        (path(inner.digest()), path(image.manifest.digest()), path(image.config.digest()));
    let archive = read(tar(&[
        (&inner_path, b'0', inner.bytes()),
        (&manifest, b'0', image.manifest.bytes()),
        (&config, b'0', image.config.bytes()),
        ("index.json", b'0', outer.bytes()),
        ("oci-layout", b'0', br#"{"imageLayoutVersion":"1.0.0"}"#),
    ]))
    .unwrap();
    let arm = "linux/arm64".parse().unwrap();
    let found = archive.image(&name("x/y:1"), &arm).unwrap();
    assert_eq!(found.manifest.digest(), image.manifest.digest());
    assert_eq!(found.index.as_ref(), Some(inner.digest()));
    let error = archive.image(&name("x/y:1"), &"linux/s390x".parse().unwrap()).unwrap_err();
    assert!(matches!(error, Error::PlatformNotFound { .. }), "{error}");
}

#[test]
fn docker_is_told_the_whole_name_and_no_digest() {
    let blobs = MemoryBlobs::default();
    let image = image(&blobs, &["a"]);
    let writer = ArchiveWriter::new(ArchiveFormat::Docker, Vec::new());
    writer.put(&name("busybox"), &image, &blobs).unwrap();
    let by_digest = name("busybox").with_digest(image.manifest.digest().clone());
    writer.put(&by_digest, &image, &blobs).unwrap();
    let tar = writer.finish().unwrap();
    let list = String::from_utf8_lossy(&tar);
    assert!(list.contains(r#""RepoTags":["docker.io/library/busybox:latest"]"#));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damage_never_panics_nor_passes_for_another_image(
        format in prop::sample::select(vec![ArchiveFormat::Docker, ArchiveFormat::Oci]),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let (mut tar, images) = write(format);
        let at = at.index(tar.len());
        if cut { tar.truncate(at) } else { tar[at] = byte }
        let Ok(archive) = read(tar) else { return Ok(()) };
        for found in archive.images() {
            if let Ok(image) = archive.load(found, &Platform::host())
                && verify(&archive, &image).is_ok()
            {
                let digest = image.manifest.digest();
                prop_assert!(images.iter().any(|other| other.manifest.digest() == digest));
            }
        }
    }

    #[test]
    fn damage_to_an_old_archive_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let layer = tar(&[("a", b'0', b"a")]);
        let extra: Entries<'_> = &[("l", b'0', &layer), ("m", b'2', b"l")];
        let mut bytes = old_docker_archive(&config(&[&layer, &layer]), r#"["l","m"]"#, extra);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let Ok(archive) = read(bytes) else { return Ok(()) };
        for found in archive.images() {
            if let Ok(image) = archive.load(found, &Platform::host()) {
                let _ = verify(&archive, &image);
            }
        }
    }
}

/// Files that hold what [`write`] makes of one image.
fn files(dir: &Path) -> (Image, [String; 2]) {
    let blobs = MemoryBlobs::default();
    let image = image(&blobs, &["a", "b"]);
    let files = [ArchiveFormat::Docker, ArchiveFormat::Oci].map(|format| {
        let path = dir.join(format!("{format:?}.tar"));
        let writer = ArchiveWriter::new(format, fs::File::create(&path).unwrap());
        writer.put(&name("localhost/one:tag"), &image, &blobs).unwrap();
        writer.finish().unwrap();
        path.to_str().unwrap().to_owned()
    });
    (image, files)
}

#[test]
fn skopeo_reads_what_we_write_and_we_read_what_it_writes() {
    let dir = tempfile::tempdir().unwrap();
    let (image, [docker, oci]) = files(dir.path());
    for source in [
        format!("docker-archive:{docker}"),
        format!("oci-archive:{oci}"),
        format!("oci-archive:{docker}"),
    ] {
        let theirs = dir.path().join("theirs").to_str().unwrap().to_owned();
        for target in ["docker-archive", "oci-archive", "oci"] {
            let named = format!("{target}:{theirs}:localhost/one:tag");
            run("skopeo", &["--insecure-policy", "copy", "-q", &source, &named]);
            let archive = Archive::open(theirs.as_ref(), dir.path()).unwrap();
            let found = archive.image(&name("localhost/one:tag"), &Platform::host()).unwrap();
            assert_eq!(found.config.rootfs, image.config.rootfs, "{source} {target}");
            verify(&archive, &found).unwrap();
            if target == "oci" { fs::remove_dir_all(&theirs) } else { fs::remove_file(&theirs) }
                .unwrap();
        }
    }
}

#[test]
fn podman_loads_what_we_write() {
    let dir = tempfile::tempdir().unwrap();
    let (image, archives) = files(dir.path());
    let (root, runroot) = (dir.path().join("root"), dir.path().join("runroot"));
    let store = ["--root", root.to_str().unwrap(), "--runroot", runroot.to_str().unwrap()];
    for archive in &archives {
        let podman = |arguments: &[&str]| {
            let driver = &["--storage-driver", "vfs"][..];
            run("podman", &[&store[..], driver, arguments].concat())
        };
        podman(&["load", "-q", "-i", archive]);
        let id = podman(&["image", "inspect", "-f", "{{.Id}}", "localhost/one:tag"]);
        assert_eq!(id.trim(), image.config.digest().hex(), "{archive}");
        podman(&["rmi", "localhost/one:tag"]);
    }
}
