//! Decompression of everything that images and archives come in.

use std::io::{self, BufReader, Cursor, Read};

use crate::inflate::GzipReader;
use crate::{Error, LayerCompression, Result};

use super::sniff::{Format, SNIFF_LEN, sniff};

/// What decoders read at once. Small reads cost more than they save.
const BUFFER: usize = 128 << 10;
/// The largest window of a zstd frame that is taken, as a power of two: 128 MiB, what the
/// reference decoder takes without being told otherwise.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// The memory that an xz stream may ask for, in bytes; `xz -9` asks for 65 MiB.
const XZ_MEMORY_MAX: u64 = 128 << 20;

/// Reads a layer's tar out of its blob.
///
/// Several gzip members or zstd frames in a row are one stream; what follows the last and is no
/// further one ends in an error, as it does in Go's readers. The magic bytes win over `kind`
/// where they disagree: registries hold layers with wrong media types, all engines read them,
/// and the DiffID tells in the end whether the right tar came out. A layer said to be plain is
/// passed on as it is.
///
/// # Errors
/// If the first bytes cannot be read or memory for the decoder is short. What is wrong with the
/// data comes from the reader.
pub fn decoder<'a>(
    kind: LayerCompression,
    mut input: Box<dyn Read + Send + 'a>,
) -> Result<Box<dyn Read + Send + 'a>> {
    let declared = match kind {
        LayerCompression::None => return Ok(input),
        LayerCompression::Gzip => Format::Gzip,
        LayerCompression::Zstd => Format::Zstd,
    };
    let prefix = read_prefix(&mut input)?;
    let format = match sniff(&prefix) {
        Some(found @ (Format::Gzip | Format::Zstd | Format::Tar)) => found,
        _ => declared,
    };
    decode(format, Box::new(Cursor::new(prefix).chain(input)))
}

/// The first bytes, as many as [`sniff`] wants.
pub(super) fn read_prefix(input: &mut dyn Read) -> Result<Vec<u8>> {
    let mut prefix = Vec::with_capacity(SNIFF_LEN);
    input
        .take(SNIFF_LEN as u64)
        .read_to_end(&mut prefix)
        .map_err(|e| Error::io("read", "compressed data", e))?;
    Ok(prefix)
}

/// Decompresses one format; a tar is passed on.
pub(super) fn decode<'a>(
    format: Format,
    input: Box<dyn Read + Send + 'a>,
) -> Result<Box<dyn Read + Send + 'a>> {
    let failed = |e: io::Error| Error::io("start", "decompression", e);
    let buffered = BufReader::with_capacity(BUFFER, input);
    Ok(match format {
        Format::Tar => Box::new(buffered),
        Format::Gzip => Box::new(GzipReader::new(buffered)),
        Format::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(buffered)),
        Format::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(
                XZ_MEMORY_MAX,
                liblzma::stream::CONCATENATED,
            )
            .map_err(|e| failed(e.into()))?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(buffered, stream))
        }
        Format::Zstd => {
            let mut decoder =
                ::zstd::stream::read::Decoder::with_buffer(buffered).map_err(failed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(failed)?;
            Box::new(decoder)
        }
    })
}

/// Whether a decoder stopped because the data asks for more memory than it may have.
pub(super) fn wants_memory(e: &io::Error) -> bool {
    let Some(cause) = e.get_ref() else { return false };
    match cause.downcast_ref::<liblzma::stream::Error>() {
        Some(cause) => *cause == liblzma::stream::Error::MemLimit,
        // The library's own words; it has no other way to tell.
        None => cause.to_string().contains("too much memory"),
    }
}
