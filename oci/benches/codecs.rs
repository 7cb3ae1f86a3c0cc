//! What every byte of a layer goes through: `cargo bench -p oci`.

#![allow(clippy::unwrap_used, reason = "what fails in a benchmark ends it")]

use std::io::Read;
use std::num::NonZeroUsize;

use divan::Bencher;
use divan::counter::BytesCount;
use oci::compress::{Compression, compress, decoder};
use oci::{Digest, LayerCompression};

fn main() {
    divan::main();
}

/// Eight megabytes of programs and libraries: this program, again and again if need be.
fn corpus() -> Vec<u8> {
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    program.iter().copied().cycle().take(8 << 20).collect()
}

fn packed(compression: Compression) -> Vec<u8> {
    let mut packed = Vec::new();
    compress(compression, NonZeroUsize::MIN, &mut corpus().as_slice(), &mut packed).unwrap();
    packed
}

#[divan::bench]
fn sha256(bencher: Bencher<'_, '_>) {
    let corpus = corpus();
    bencher.counter(BytesCount::new(corpus.len())).bench(|| Digest::sha256(&corpus));
}

#[divan::bench]
fn deflate(bencher: Bencher<'_, '_>) {
    let corpus = corpus();
    bencher.counter(BytesCount::new(corpus.len())).bench(|| {
        let mut packed = Vec::new();
        let input = &mut corpus.as_slice();
        compress(Compression::GZIP, NonZeroUsize::MIN, input, &mut packed).unwrap();
        packed
    });
}

#[divan::bench]
fn inflate(bencher: Bencher<'_, '_>) {
    let packed = packed(Compression::GZIP);
    bencher.counter(BytesCount::new(8_usize << 20)).bench(|| {
        let mut reader = decoder(LayerCompression::Gzip, Box::new(packed.as_slice())).unwrap();
        let mut bytes = Vec::with_capacity(8 << 20);
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    });
}
