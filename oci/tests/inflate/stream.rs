//! Members, headers and ends, and inputs that come slowly or break off.

use std::io::{self, BufReader, ErrorKind, Read};

use oci::inflate::{Corrupt, GzipReader};

use crate::samples::{STRATEGIES, by_libdeflate, by_zlib, sample};
use crate::verdict::{agrees_with_zlib, read_all};

#[test]
fn headers_are_read_with_all_their_fields() {
    let body = by_libdeflate(b"body", 6).split_off(10);
    for flags in 0..=255u8 {
        let mut data = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 5, 6];
        if flags & 4 != 0 {
            data.extend([5, 0, b'e', 0, b't', b'r', b'a']);
        }
        if flags & 8 != 0 {
            data.extend(b"name\0");
        }
        if flags & 16 != 0 {
            data.extend(b"\0");
        }
        let checksum = crc32fast::hash(&data) as u16;
        if flags & 2 != 0 {
            data.extend(checksum.to_le_bytes());
        }
        let whole = [&data[..], &body].concat();
        let (output, error) = agrees_with_zlib(&whole);
        assert_eq!(error.is_none(), flags < 32);
        if flags < 32 {
            assert_eq!(output, b"body");
            for at in 0..whole.len() {
                agrees_with_zlib(&whole[..at]);
                let mut broken = whole.clone();
                broken[at] ^= 1;
                agrees_with_zlib(&broken);
            }
        }
    }
}

#[test]
fn names_in_headers_end() {
    for len in [65_534, 65_535, 65_536, 1 << 20] {
        let mut data = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255];
        data.resize(data.len() + len, b'n');
        data.push(0);
        data.extend(by_libdeflate(b"body", 6).split_off(10));
        assert_eq!(agrees_with_zlib(&data).1.is_some(), len > 65_535);
    }
}

#[test]
fn what_follows_the_last_member_is_refused() {
    let member = by_libdeflate(b"body", 6);
    assert_eq!(agrees_with_zlib(&member.repeat(3)).0, b"bodybodybody");
    for rest in [&b"\0"[..], b"\x1f", b"\x1f\x8b", b"garbage garbage", &[0; 512]] {
        let (output, error) = agrees_with_zlib(&[&member, rest].concat());
        assert_eq!(output, b"body");
        assert!(error.is_some());
    }
    assert!(agrees_with_zlib(b"").1.is_some(), "not even one member");
}

#[test]
fn what_is_cut_off_is_refused_wherever_that_is() {
    let data = sample(3000, 7);
    for whole in [by_libdeflate(&data, 1), by_zlib(&data, 9, STRATEGIES[4], 15, 8)] {
        for len in 0..whole.len() {
            let (output, error) = agrees_with_zlib(&whole[..len]);
            assert_eq!(error.unwrap().kind(), ErrorKind::UnexpectedEof);
            assert!(data.starts_with(&output));
        }
    }
}

#[test]
fn checksums_and_lengths_are_verified() {
    let whole = by_libdeflate(&sample(400_000, 11), 6);
    for (back, why) in [(1, Corrupt::Length), (5, Corrupt::Checksum)] {
        let mut broken = whole.clone();
        let at = broken.len() - back;
        broken[at] ^= 0x40;
        let error = agrees_with_zlib(&broken).1.unwrap();
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Corrupt>());
        assert_eq!(cause, Some(&why));
    }
}

#[test]
fn an_error_comes_after_all_output_and_stays() {
    let data = sample(400_000, 13);
    let mut broken = by_libdeflate(&data, 6);
    let at = broken.len() - 1;
    broken[at] ^= 1;
    let mut reader = GzipReader::new(&broken[..]);
    let mut output = Vec::new();
    assert!(reader.read_to_end(&mut output).is_err());
    assert!(output == data);
    for _ in 0..3 {
        assert_eq!(reader.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}

/// Is interrupted before each byte, and breaks off in the end.
struct Interrupted<'a>(&'a [u8], bool);

impl Read for Interrupted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        match self.0 {
            _ if self.1 => Err(ErrorKind::Interrupted.into()),
            [] => Err(ErrorKind::ConnectionReset.into()),
            [first, rest @ ..] => {
                (buffer[0], self.0) = (*first, rest);
                Ok(1)
            }
        }
    }
}

#[test]
fn interruptions_are_nothing_and_failures_are_passed_on() {
    let data = Vec::from_iter((0..10_000).map(|n| ((n * n) >> 7) as u8));
    let whole = by_libdeflate(&data, 6);
    for kept in [5, 30, 1000, whole.len()] {
        let input = BufReader::new(Interrupted(&whole[..kept], false));
        let (output, error) = read_all(GzipReader::new(input));
        assert_eq!(error.unwrap().kind(), ErrorKind::ConnectionReset);
        assert!(data.starts_with(&output));
    }
}

/// Fails the test if it is read beyond what it has.
struct Live<'a>(&'a [u8]);

impl Read for Live<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!self.0.is_empty(), "waits for ever");
        self.0.read(buffer)
    }
}

#[test]
fn output_comes_before_more_input_is_waited_for() {
    let texts = [sample(1, 1), sample(100, 2), sample(70_000, 3), sample(300_000, 4)];
    for text in &texts {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        io::Write::write_all(&mut encoder, text).unwrap();
        io::Write::flush(&mut encoder).unwrap();
        let sent = encoder.get_ref().clone();
        let mut output = vec![0; text.len()];
        GzipReader::new(BufReader::new(Live(&sent))).read_exact(&mut output).unwrap();
        assert!(output == *text);
    }
}

#[test]
fn a_member_ends_without_a_byte_behind_it() {
    let data = sample(100_000, 19);
    for level in 0..=12 {
        let whole = by_libdeflate(&data, level);
        let mut output = vec![0; data.len()];
        GzipReader::new(BufReader::new(Live(&whole))).read_exact(&mut output).unwrap();
        assert!(output == data);
    }
}
