//! Everything that encoders make, and everything that breaks it.

use oci::inflate::GzipReader;
use proptest::prelude::*;

use crate::samples::{Pieces, STRATEGIES, by_libdeflate, by_zlib, sample};
use crate::verdict::{agrees_with_zlib, ours, read_all};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn all_encoders_of_zlib_are_read(
        seed in any::<u64>(), len in 0..400_000usize, level in 0..=9, strategy in 0..5usize,
        window in 9..=15, mem in 1..=9, pieces in prop::collection::vec(1..100_000usize, 1..5),
    ) {
        let data = sample(len, seed);
        let blob = by_zlib(&data, level, STRATEGIES[strategy], window, mem);
        prop_assert!(ours(&blob).0 == data);
        let (output, error) = read_all(GzipReader::new(Pieces::new(&blob, pieces)));
        prop_assert!(error.is_none());
        prop_assert!(output == data);
    }

    #[test]
    fn all_levels_of_libdeflate_are_read(
        seed in any::<u64>(), len in 0..400_000usize, level in 0..=12,
        pieces in prop::collection::vec(1..1000usize, 1..50),
    ) {
        let data = sample(len, seed);
        let blob = by_libdeflate(&data, level);
        let (output, error) = read_all(GzipReader::new(Pieces::new(&blob, pieces)));
        prop_assert!(error.is_none());
        prop_assert!(output == data);
    }

    #[test]
    fn any_pieces_of_members_give_the_same(
        parts in prop::collection::vec((any::<u64>(), 0..40_000usize, 0..=12), 1..10),
        pieces in prop::collection::vec(1..64usize, 1..50),
    ) {
        let mut blob = Vec::new();
        let mut data = Vec::new();
        for (seed, len, level) in parts {
            let part = sample(len, seed);
            blob.extend(by_libdeflate(&part, level));
            data.extend(part);
        }
        let (output, error) = read_all(GzipReader::new(Pieces::new(&blob, pieces)));
        prop_assert!(error.is_none());
        prop_assert!(output == data);
    }

    #[test]
    fn broken_blobs_are_judged_as_zlib_does(
        seed in any::<u64>(), len in 0..30_000usize, level in 0..=9, strategy in 0..5usize,
        at in any::<prop::sample::Index>(), flip in 1u8..=255, cut in any::<bool>(),
        pieces in prop::collection::vec(1..1000usize, 1..9),
    ) {
        let mut blob = by_zlib(&sample(len, seed), level, STRATEGIES[strategy], 15, 8);
        let at = at.index(blob.len());
        if cut { blob.truncate(at) } else { blob[at] ^= flip }
        let (output, error) = agrees_with_zlib(&blob);
        let (piecewise, its_error) = read_all(GzipReader::new(Pieces::new(&blob, pieces)));
        prop_assert!(output == piecewise);
        prop_assert_eq!(error.map(|e| e.to_string()), its_error.map(|e| e.to_string()));
    }

    #[test]
    fn noise_is_judged_as_zlib_does(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        agrees_with_zlib(&[&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], &noise[..]].concat());
    }
}
