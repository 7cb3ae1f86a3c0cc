//! Data to be compressed, those who compress it, and ways to be given it.

use std::io::{self, BufRead, Read};

/// Gives its data in pieces of these lengths, over and over, and notes how it is read.
pub(crate) struct Pieces<'a> {
    data: &'a [u8],
    lengths: Vec<usize>,
    next: usize,
    piece: usize,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(data: &'a [u8], lengths: Vec<usize>) -> Pieces<'a> {
        Pieces { data, lengths, next: 0, piece: 0 }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Pieces<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece == 0 {
            self.piece = self.lengths[self.next % self.lengths.len()].min(self.data.len());
            self.next += 1;
        }
        Ok(&self.data[..self.piece])
    }

    fn consume(&mut self, count: usize) {
        assert!(count <= self.piece);
        self.data = &self.data[count..];
        self.piece -= count;
    }
}

pub(crate) fn lcg(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *seed >> 33
}

/// Literals of few or many kinds, runs, and matches near and far.
pub(crate) fn sample(len: usize, mut seed: u64) -> Vec<u8> {
    let mut data = Vec::with_capacity(len);
    let kinds = 1 << (lcg(&mut seed) % 9);
    while data.len() < len {
        match lcg(&mut seed) % 6 {
            0 | 1 => {
                for _ in 0..lcg(&mut seed) % 20 {
                    let (a, b) = (lcg(&mut seed) % kinds, lcg(&mut seed) % kinds);
                    data.push(a.min(b) as u8);
                }
            }
            2 => {
                let byte = lcg(&mut seed) as u8;
                data.resize(data.len() + (lcg(&mut seed) % 600) as usize, byte);
            }
            _ if data.is_empty() => {}
            which => {
                let most = [40, 400, 33_000][which as usize - 3].min(data.len() as u64);
                let distance = (lcg(&mut seed) % most + 1) as usize;
                for _ in 0..lcg(&mut seed) % 300 {
                    data.push(data[data.len() - distance]);
                }
            }
        }
    }
    data.truncate(len);
    data
}

pub(crate) const STRATEGIES: [zlib_rs::Strategy; 5] = [
    zlib_rs::Strategy::Default,
    zlib_rs::Strategy::Filtered,
    zlib_rs::Strategy::HuffmanOnly,
    zlib_rs::Strategy::Rle,
    zlib_rs::Strategy::Fixed,
];

/// What zlib-rs makes of `data`.
pub(crate) fn by_zlib(
    data: &[u8],
    level: i32,
    strategy: zlib_rs::Strategy,
    window: i32,
    mem: i32,
) -> Vec<u8> {
    let config = zlib_rs::DeflateConfig {
        level,
        window_bits: 16 + window,
        mem_level: mem,
        strategy,
        ..Default::default()
    };
    let mut output = vec![0; data.len() * 2 + 1000];
    let len = zlib_rs::compress_slice(&mut output, data, config).0.len();
    output.truncate(len);
    output
}

/// What libdeflate makes of `data`.
pub(crate) fn by_libdeflate(data: &[u8], level: i32) -> Vec<u8> {
    let level = libdeflater::CompressionLvl::new(level).unwrap();
    let mut compressor = libdeflater::Compressor::new(level);
    let mut output = vec![0; compressor.gzip_compress_bound(data.len())];
    let len = compressor.gzip_compress(data, &mut output).unwrap();
    output.truncate(len);
    output
}
