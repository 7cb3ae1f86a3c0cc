//! What fuzzing has found of different texts (`testdata/fuzz`), read again.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod any_text;

use std::io::Read;
use std::path::Path;
use std::sync::Mutex;

use oci::{LayerCompression, compress};

/// A header and the content's unit in a tar.
const BLOCK: usize = 512;

/// The contents of the files of a tar that has nothing else.
fn files(tar: &[u8]) -> Vec<&[u8]> {
    let mut files = Vec::new();
    let mut at = 0;
    while let Some(header) = tar.get(at..at + BLOCK).filter(|header| header[0] != 0) {
        let size = std::str::from_utf8(&header[124..135]).unwrap();
        let size = usize::from_str_radix(size, 8).unwrap();
        at += BLOCK;
        if header[156] == b'0' {
            files.push(&tar[at..at + size]);
        }
        at += size.next_multiple_of(BLOCK);
    }
    files
}

#[test]
fn no_text_makes_the_parser_or_the_checks_panic() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/fuzz/dockerfile.tar.zst");
    let packed = Box::new(std::fs::File::open(path).unwrap());
    let mut tar = Vec::new();
    compress::decoder(LayerCompression::Zstd, packed).unwrap().read_to_end(&mut tar).unwrap();
    let files = files(&tar);
    assert!(files.len() > 1000, "{} texts", files.len());
    let left = Mutex::new(files.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap().next();
                    let Some(text) = next else { break };
                    any_text::every_way(text);
                }
            });
        }
    });
}
