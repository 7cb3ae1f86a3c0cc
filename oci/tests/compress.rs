//! Compression and decompression: what goes in comes out, for every reader there is.

#![allow(clippy::unwrap_used)]

use std::io::{self, Cursor, Read, Write};
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};

use oci::compress::{Compression, Encoder, Format, compress, decoder, open_archive, sniff};
use oci::{Error, LayerCompression};
use proptest::prelude::*;

const ALL: [Compression; 5] = [
    Compression::None,
    Compression::GZIP,
    Compression::Gzip { level: 6 },
    Compression::ZSTD,
    Compression::Zstd { level: 1 },
];

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

fn compressed(compression: Compression, threads_used: usize, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let count = compress(compression, threads(threads_used), &mut &data[..], &mut out).unwrap();
    assert_eq!(count, data.len() as u64);
    out
}

fn decoded(kind: LayerCompression, blob: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    decoder(kind, Box::new(blob))?.read_to_end(&mut out)?;
    Ok(out)
}

/// Data like that of layers: partly repetitive, partly not, longer than several blocks.
fn sample(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut data = Vec::with_capacity(len + 64);
    while data.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match state >> 30 {
            0 => data.extend_from_slice(&state.to_le_bytes()),
            1 => data.extend_from_slice(b"fn main() { println!(\"hello\"); }\n"),
            _ => data
                .extend_from_within(data.len().saturating_sub(17 + (state >> 20 & 63) as usize)..),
        }
    }
    data.truncate(len);
    data
}

/// A tar of one entry, and of `size` bytes in all.
fn tar(size: usize) -> Vec<u8> {
    let mut header = [0u8; 512];
    header[..4].copy_from_slice(b"file");
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", size - 512).as_bytes());
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|&b| u32::from(b)).sum::<u32>() + 8 * 32;
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = header.to_vec();
    tar.extend_from_slice(&sample(size - 512));
    tar
}

/// What `program` makes of `input`. A program that is missing fails the test.
fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start `{program}`: {e}; install it, on Debian by `apt-get install gzip bzip2 xz-utils zstd python3`"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    assert!(output.status.success(), "{program} {arguments:?} refused its input");
    output.stdout
}

#[test]
fn every_length_comes_back_and_threads_change_nothing() {
    const MIB: usize = 1 << 20;
    for compression in ALL {
        for len in [0, 1, MIB - 1, MIB, MIB + 1, 9 * MIB + 5] {
            let data = sample(len);
            let blob = compressed(compression, 1, &data);
            for count in [2, 3, 7] {
                assert!(blob == compressed(compression, count, &data), "{compression:?} {len}");
            }
            let back = decoded(compression.layer_compression(), &blob).unwrap();
            assert!(back == data, "{compression:?} {len}");
        }
    }
}

#[test]
fn how_data_is_written_changes_nothing() {
    let data = sample(3 << 20);
    let whole = compressed(Compression::GZIP, 2, &data);
    let mut encoder = Encoder::new(Compression::GZIP, threads(2), Vec::new()).unwrap();
    for part in data.chunks(4099) {
        encoder.write_all(part).unwrap();
        encoder.flush().unwrap();
    }
    assert!(encoder.finish().unwrap() == whole);
}

#[test]
fn other_programs_read_what_we_write() {
    const PYTHON_GUNZIP: &str =
        "import gzip,sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";
    for len in [0, 100, (5 << 20) + 3] {
        let data = sample(len);
        let gzip = compressed(Compression::GZIP, 2, &data);
        assert!(filter("gzip", &["-dc"], &gzip) == data);
        filter("gzip", &["-t"], &gzip);
        assert!(filter("python3", &["-c", PYTHON_GUNZIP], &gzip) == data);
        let zstd = compressed(Compression::ZSTD, 2, &data);
        assert!(filter("zstd", &["-dcq"], &zstd) == data);
        filter("zstd", &["-tq"], &zstd);
    }
}

#[test]
fn the_default_is_at_most_1_12_times_the_size_of_gzip_6() {
    // Our own binary and its debug information: code and strings, like most layers.
    let data = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let theirs = filter("gzip", &["-6c"], &data).len();
    let ours = compressed(Compression::default(), 2, &data).len();
    assert!(ours * 100 <= theirs * 112, "{ours} bytes, gzip -6 makes {theirs}");
}

#[test]
fn members_and_frames_in_a_row_are_one_stream() {
    let (a, b) = (sample(70_000), sample(100));
    for (kind, program) in [(LayerCompression::Gzip, "gzip"), (LayerCompression::Zstd, "zstd")] {
        let mut blob = filter(program, &["-c"], &a);
        blob.extend(filter(program, &["-c"], b""));
        blob.extend(filter(program, &["-c"], &b));
        assert!(decoded(kind, &blob).unwrap() == [&a[..], &b[..]].concat());
        blob.extend_from_slice(b"garbage");
        assert!(decoded(kind, &blob).is_err(), "{program}");
    }
}

#[test]
fn a_layer_is_read_as_what_it_is_whatever_its_media_type_says() {
    let tar = tar(5000);
    let gzip = compressed(Compression::GZIP, 1, &tar);
    let zstd = compressed(Compression::ZSTD, 1, &tar);
    for kind in [LayerCompression::Gzip, LayerCompression::Zstd] {
        for blob in [&tar, &gzip, &zstd] {
            assert!(decoded(kind, blob).unwrap() == tar, "{kind:?}");
        }
        assert!(decoded(kind, b"neither of them").is_err());
        assert!(decoded(kind, b"").is_err(), "not even an empty one");
    }
    assert!(decoded(LayerCompression::None, &gzip).unwrap() == gzip);
}

#[test]
fn archives_open_in_every_compression() {
    let tar = tar(300_000);
    for (program, arguments, format) in [
        ("gzip", &["-c"][..], Format::Gzip),
        ("bzip2", &["-c"], Format::Bzip2),
        ("xz", &["-c"], Format::Xz),
        ("xz", &["-9ec"], Format::Xz),
        ("zstd", &["-c"], Format::Zstd),
        ("zstd", &["-c", "--ultra", "-22"], Format::Zstd),
        ("cat", &[], Format::Tar),
    ] {
        let blob = filter(program, arguments, &tar);
        assert_eq!(sniff(&blob), Some(format));
        let (found, mut reader) = open_archive(Box::new(Cursor::new(blob))).unwrap();
        assert_eq!(found, Some(format));
        let mut out = Vec::new();
        reader.read_to_end(&mut out).unwrap();
        assert!(out == tar, "{program}");
    }
}

#[test]
fn what_holds_no_tar_is_passed_on_as_it_is() {
    let text = sample(200_000);
    let mut cases = vec![Vec::new(), b"text".to_vec(), text.clone(), vec![0; 10240]];
    for program in ["gzip", "bzip2", "xz", "zstd"] {
        cases.push(filter(program, &["-c"], &text));
        cases.push(filter(program, &["-c"], b""));
        // Cut off in the middle, and broken there.
        let whole = filter(program, &["-c"], &text);
        cases.push(whole[..20].to_vec());
        let mut broken = whole;
        broken[8..40].fill(0xff);
        cases.push(broken);
    }
    // Empty members without end: no tar comes out however long one looks.
    cases.push(filter("gzip", &["-c"], b"").repeat(1 << 20));
    for case in cases {
        let (found, mut reader) = open_archive(Box::new(Cursor::new(case.clone()))).unwrap();
        assert_eq!(found, None);
        let mut out = Vec::new();
        reader.read_to_end(&mut out).unwrap();
        assert!(out == case);
    }
}

#[test]
fn a_window_that_wants_too_much_memory_is_refused() {
    // A frame header alone: its window is 2 GiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3];
    frame.extend_from_slice(&[0x03, 0x00, 0x00, b'x']);
    assert!(decoded(LayerCompression::Zstd, &frame).is_err());
}

#[test]
fn an_archive_that_wants_too_much_memory_is_refused_and_not_taken_for_a_file() {
    let tar = tar(10_000);
    for (program, arguments) in
        [("xz", &["-c", "--lzma2=dict=512MiB"][..]), ("zstd", &["-cq", "--long=31", "--ultra"])]
    {
        let blob = filter(program, arguments, &tar);
        let error = open_archive(Box::new(Cursor::new(blob))).map(drop).unwrap_err();
        assert!(matches!(error, Error::Io { operation: "decompress", .. }), "{error}");
    }
}

#[test]
fn an_input_that_fails_is_not_taken_for_a_file() {
    let gzip = compressed(Compression::GZIP, 1, &tar(10_000));
    for kept in [0, 5, 30] {
        let input = Cursor::new(gzip[..kept].to_vec()).chain(Fails);
        let error = open_archive(Box::new(input)).map(drop).unwrap_err();
        assert!(matches!(error, Error::Io { operation: "read", .. }), "{error}");
    }
}

/// Neither reads nor writes.
struct Fails;

impl Read for Fails {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl Write for Fails {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn levels_that_there_are_not_are_refused() {
    for compression in [
        Compression::Gzip { level: 0 },
        Compression::Gzip { level: 13 },
        Compression::Zstd { level: 0 },
        Compression::Zstd { level: 20 },
    ] {
        let result = Encoder::new(compression, threads(1), Vec::new()).map(drop);
        assert!(matches!(result, Err(Error::InvalidCompressionLevel { .. })), "{compression:?}");
    }
}

#[test]
fn failing_readers_and_writers_end_the_compression() {
    let data = sample(20 << 20);
    for compression in ALL {
        for count in [1, 3] {
            let mut input = data.as_slice().chain(Fails);
            let result = compress(compression, threads(count), &mut input, &mut io::sink());
            assert!(matches!(result, Err(Error::Io { operation: "read", .. })));
            let result = compress(compression, threads(count), &mut &data[..], &mut Fails);
            assert!(matches!(result, Err(Error::Io { operation: "write", .. })));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_come_back(data in prop::collection::vec(any::<u8>(), 0..5000), which in 0..ALL.len()) {
        let blob = compressed(ALL[which], 2, &data);
        prop_assert_eq!(decoded(ALL[which].layer_compression(), &blob).unwrap(), data);
    }

    #[test]
    fn broken_blobs_never_panic_nor_pass_for_whole(
        at in any::<prop::sample::Index>(), flip in 1u8..=255, cut in any::<bool>(), which in 1..ALL.len(),
    ) {
        let data = sample(20_000);
        let mut blob = compressed(ALL[which], 1, &data);
        let at = at.index(blob.len());
        if cut { blob.truncate(at) } else { blob[at] ^= flip }
        // Zstd frames carry no checksum of ours, and gzip headers none at all: the digest of
        // the blob guards those. A gzip body never passes for another.
        if let Ok(out) = decoded(ALL[which].layer_compression(), &blob)
            && ALL[which].layer_compression() == LayerCompression::Gzip
        {
            prop_assert!(out == data);
        }
    }

    #[test]
    fn noise_never_panics(magic in 0..5usize, noise in prop::collection::vec(any::<u8>(), 0..2000)) {
        let magics: [&[u8]; 5] = [b"", b"\x1f\x8b\x08\x00\0\0\0\0\0\xff", b"BZh9", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"];
        let blob = [magics[magic], &noise].concat();
        if let Ok((_, mut reader)) = open_archive(Box::new(Cursor::new(blob.clone()))) {
            let _ = io::copy(&mut reader, &mut io::sink());
        }
        for kind in [LayerCompression::Gzip, LayerCompression::Zstd] {
            let _ = decoded(kind, &blob);
        }
    }
}

#[test]
fn an_encoder_of_one_name_makes_the_same_bytes_for_ever() {
    // Stores and registries know layers by these bytes. If this fails after an update, the new
    // encoder needs a new name.
    let data = sample((2 << 20) + 77);
    let made: Vec<(String, String)> =
        [Compression::GZIP, Compression::Gzip { level: 6 }, Compression::ZSTD]
            .map(|compression| {
                let digest = oci::Digest::sha256(&compressed(compression, 2, &data));
                (compression.encoder().unwrap(), digest.to_string())
            })
            .into();
    let expected = [
        (
            "gzip 1 libdeflate 1.26",
            "sha256:85e0387355efaf737d4912f0671d10621d8b35122c7e91fcac1faa6fb3bc1e86",
        ),
        (
            "gzip 6 libdeflate 1.26",
            "sha256:7d9981bdf58c17cd7e06d9164c3bc44b8e3dd928b35d2929aee910f2b19bdaa5",
        ),
        (
            "zstd 3 libzstd 1.5.7",
            "sha256:04a3d9c926833a03e2e666a9c4ce9e3b65c10edff9905b0a38f1206c3adafb41",
        ),
    ];
    assert_eq!(made, expected.map(|(name, digest)| (name.to_owned(), digest.to_owned())));
    assert_eq!(Compression::None.encoder(), None);
}
