//! A gzip stream is read as zlib reads it, to the same bytes and the same verdict.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = |mut reader: Box<dyn Read + '_>| {
        let mut output = Vec::new();
        let verdict = reader.by_ref().take(1 << 24).read_to_end(&mut output).is_ok();
        (verdict, output)
    };
    let (ours, mine) = read(Box::new(oci::inflate::GzipReader::new(bytes)));
    let (zlibs, theirs) = read(Box::new(flate2::bufread::MultiGzDecoder::new(bytes)));
    assert_eq!(ours, zlibs);
    // Before an error ours may give more of them.
    assert!(mine.starts_with(&theirs) && (!ours || mine == theirs));
});
