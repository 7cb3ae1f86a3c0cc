//! The rules of the format, one by one.

use oci::inflate::Corrupt;

use crate::bits::{Bits, is_read, is_refused, lengths};
use crate::samples::{STRATEGIES, by_zlib, sample};
use crate::verdict::agrees_with_zlib;

#[test]
fn codes_are_judged_as_zlib_does() {
    // `A` and the end have one bit each.
    let two = lengths(257, &[(65, 1), (256, 1)]);
    is_read(Bits::default().dynamic(&two, &[0]).code(0b001, 3), b"AA");
    // The end alone has a code.
    let end = lengths(257, &[(256, 1)]);
    is_read(Bits::default().dynamic(&end, &[0]).code(0, 1), b"");
    is_refused(Bits::default().dynamic(&end, &[0]).code(1, 1), Corrupt::LiteralCode);
    // It must have one bit then.
    let end = lengths(257, &[(256, 2)]);
    is_refused(Bits::default().dynamic(&end, &[0]), Corrupt::Literals);
    // Too few codes, too many, and none for the end.
    let few = lengths(257, &[(65, 2), (256, 1)]);
    is_refused(Bits::default().dynamic(&few, &[0]), Corrupt::Literals);
    let many = lengths(257, &[(65, 1), (66, 1), (256, 1)]);
    is_refused(Bits::default().dynamic(&many, &[0]), Corrupt::Literals);
    let endless = lengths(257, &[(65, 1), (66, 1)]);
    is_refused(Bits::default().dynamic(&endless, &[0]), Corrupt::NoEndOfBlock);
}

#[test]
fn distances_may_have_one_code_or_none() {
    // `A`, the end, and a match of three.
    let codes = lengths(258, &[(65, 1), (256, 2), (257, 2)]);
    let one = Bits::default().dynamic(&codes, &[1]).code(0, 1);
    is_read(one.clone().code(0b11, 2).code(0, 1).code(0b10, 2), b"AAAA");
    is_refused(one.code(0b11, 2).code(1, 1), Corrupt::DistanceCode);
    let none = Bits::default().dynamic(&codes, &[0]).code(0, 1);
    is_refused(none.code(0b11, 2).put(0, 1), Corrupt::DistanceCode);
    is_refused(Bits::default().dynamic(&codes, &[2]), Corrupt::Distances);
    is_refused(Bits::default().dynamic(&codes, &[1, 2]), Corrupt::Distances);
    is_refused(Bits::default().dynamic(&codes, &[1, 1, 1]), Corrupt::Distances);
}

#[test]
fn the_code_of_lengths_must_be_complete() {
    let begin = |literals: u32, distances: u32| {
        Bits::default().put(0b101, 3).put(literals, 5).put(distances, 5)
    };
    // 16, 17, 18 and 0 have these lengths.
    for lengths in [[0, 0, 0, 1], [0, 0, 0, 2], [1, 1, 0, 1], [0, 1, 2, 0]] {
        let mut bits = begin(0, 0).put(0, 4);
        for length in lengths {
            bits = bits.put(length, 3);
        }
        is_refused(bits, Corrupt::CodeLengths);
    }
    // Nothing to repeat, and more than there is: 16 is `0`, 18 is `1`.
    let bits = || begin(0, 0).put(0, 4).put(1, 3).put(0, 3).put(1, 3).put(0, 3);
    is_refused(bits().put(0, 1).put(0, 2), Corrupt::Repetition);
    is_refused(bits().put(1, 1).put(127, 7).put(1, 1).put(127, 7), Corrupt::Repetition);
    for (literals, distances) in [(30, 0), (31, 29), (0, 30), (0, 31)] {
        is_refused(begin(literals, distances), Corrupt::TooManySymbols);
    }
}

#[test]
fn fixed_codes_have_symbols_that_mean_nothing() {
    let fixed = || Bits::default().put(0b011, 3);
    is_read(fixed().code(0x30 + 65, 8).code(0, 7), b"A");
    is_read(fixed().code(0x30 + 65, 8).code(0b0000001, 7).code(0, 5).code(0, 7), b"AAAA");
    for code in [0b11000110, 0b11000111] {
        is_refused(fixed().code(code, 8), Corrupt::LiteralCode);
    }
    for code in [30, 31] {
        is_refused(fixed().code(0x30, 8).code(1, 7).code(code, 5), Corrupt::DistanceCode);
    }
    is_refused(Bits::default().put(0b111, 3), Corrupt::BlockType);
}

#[test]
fn matches_reach_back_to_the_beginning_of_their_member() {
    let fixed = || Bits::default().put(0b011, 3);
    is_refused(fixed().code(1, 7).code(0, 5), Corrupt::TooFarBack);
    let too_far = fixed().code(0x30 + 65, 8).code(1, 7).code(1, 5).code(0, 7);
    is_refused(too_far.clone(), Corrupt::TooFarBack);
    let mut second = by_zlib(&sample(100_000, 1), 6, STRATEGIES[0], 15, 8);
    second.extend(too_far.member(b"AAAA"));
    second.extend([0; 100]);
    assert!(agrees_with_zlib(&second).1.is_some());
}

#[test]
fn the_farthest_match_is_read() {
    // A stored block, and a match of three from the distance 32768.
    let from_afar = |data: &[u8]| {
        let len = data.len() as u32;
        let mut bits = Bits::default().put(0, 3).align().put(len, 16).put(!len & 0xffff, 16);
        bits.bytes.extend(data);
        bits.align().put(0b011, 3).code(1, 7).code(29, 5).put(0x1fff, 13).code(0, 7)
    };
    let data = sample(32768, 5);
    is_read(from_afar(&data), &[&data[..], &data[..3]].concat());
    is_refused(from_afar(&data[1..]), Corrupt::TooFarBack);
}

#[test]
fn stored_blocks_are_read_and_checked() {
    let stored = |length: u32, complement: u32| {
        Bits::default().put(0b001, 3).align().put(length, 16).put(complement, 16)
    };
    is_read(stored(0, 0xffff), b"");
    is_read(stored(3, 0xfffc).put(0x636261, 24), b"abc");
    is_refused(stored(3, 3).put(0x636261, 24), Corrupt::StoredLength);
    for len in [65_535, 65_536, 500_000] {
        let data = sample(len, 3);
        assert!(agrees_with_zlib(&by_zlib(&data, 0, STRATEGIES[0], 15, 8)).0 == data);
    }
}

#[test]
fn codes_of_fifteen_bits_are_read() {
    // A code as skew as can be, all literals and distances of all lengths in it.
    let mut literals = vec![0; 286];
    for (symbol, length) in (1..=13).enumerate() {
        literals[symbol] = length;
    }
    literals[100] = 14;
    literals[256] = 15;
    literals[285] = 15;
    let mut distances: Vec<u8> = (1..=15).collect();
    distances.push(15);
    let mut bits = Bits::default().dynamic(&literals, &distances);
    let mut expected = Vec::new();
    for round in 0..50 {
        for length in 1..=13 {
            bits = bits.code((1 << length) - 2, length);
            expected.push(length as u8 - 1);
        }
        bits = bits.code((1 << 14) - 2, 14);
        expected.push(100);
        if round < 14 {
            continue;
        }
        // The longest match, from the distance 193, which has the longest code.
        bits = bits.code((1 << 15) - 1, 15).code((1 << 15) - 1, 15).put(0, 6);
        for _ in 0..258 {
            expected.push(expected[expected.len() - 193]);
        }
    }
    is_read(bits.code((1 << 15) - 2, 15), &expected);
}
