//! What ours and zlib make of the same bytes.

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;
use oci::inflate::GzipReader;

/// All output, and why there is no more if it does not end well.
pub(crate) type Outcome = (Vec<u8>, Option<io::Error>);

pub(crate) fn read_all(mut reader: impl Read) -> Outcome {
    let mut output = Vec::new();
    let error = reader.read_to_end(&mut output).err();
    (output, error)
}

pub(crate) fn ours(data: &[u8]) -> Outcome {
    read_all(GzipReader::new(data))
}

/// The same verdict and the same bytes; before an error ours may give more of them.
#[track_caller]
pub(crate) fn agrees_with_zlib(data: &[u8]) -> Outcome {
    let (output, error) = ours(data);
    let (theirs, their_error) = read_all(MultiGzDecoder::new(data));
    assert_eq!(error.is_some(), their_error.is_some(), "{error:?}, {their_error:?}");
    match error {
        Some(_) => assert!(output.starts_with(&theirs)),
        None => assert!(output == theirs),
    }
    (output, error)
}
