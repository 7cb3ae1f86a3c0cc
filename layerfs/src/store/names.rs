//! Names for containers that nobody named: a quality and somebody who worked with casks, ships
//! or numbers.

use std::fs::File;
use std::io::Read;

use crate::{Error, Result};

const QUALITIES: [&str; 64] = [
    "able", "agile", "amber", "ample", "apt", "awake", "blithe", "bold", "brave", "breezy",
    "bright", "brisk", "calm", "candid", "cheery", "civil", "clear", "clever", "copper", "cosy",
    "crisp", "dapper", "daring", "deft", "eager", "early", "fair", "fleet", "fond", "frank",
    "fresh", "gentle", "glad", "golden", "grand", "hale", "happy", "hardy", "honest", "jolly",
    "keen", "kind", "lively", "loyal", "lucid", "mellow", "merry", "mild", "modest", "neat",
    "nimble", "noble", "patient", "plucky", "polite", "prompt", "proud", "quick", "quiet", "ready",
    "serene", "steady", "sunny", "witty",
];

const SURNAMES: [&str; 64] = [
    "abel",
    "agnesi",
    "archimedes",
    "babbage",
    "barents",
    "bernoulli",
    "boole",
    "bowditch",
    "cauchy",
    "cayley",
    "chebyshev",
    "cook",
    "curie",
    "dedekind",
    "dijkstra",
    "euclid",
    "euler",
    "faraday",
    "fermat",
    "fibonacci",
    "franklin",
    "galois",
    "gauss",
    "germain",
    "goldbach",
    "hamilton",
    "harrison",
    "heaviside",
    "hilbert",
    "hooke",
    "hopper",
    "hypatia",
    "jacobi",
    "kepler",
    "kovalevskaya",
    "lagrange",
    "lamarr",
    "laplace",
    "leibniz",
    "lovelace",
    "magellan",
    "maxwell",
    "mclean",
    "mercator",
    "mirzakhani",
    "nansen",
    "napier",
    "nightingale",
    "noether",
    "pascal",
    "plimsoll",
    "poincare",
    "polya",
    "ramanujan",
    "ride",
    "riemann",
    "scoresby",
    "shannon",
    "somerville",
    "tasman",
    "turing",
    "vega",
    "wallis",
    "zheng",
];

/// `count` names at random; the same may come twice.
pub(super) fn draws(count: usize) -> Result<Vec<String>> {
    let mut bytes = vec![0; count * 2];
    let path = "/dev/urandom";
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|e| Error::io("read", path, e))?;
    let pick = |words: &[&'static str; 64], byte: u8| words[usize::from(byte) % words.len()];
    Ok(bytes
        .chunks_exact(2)
        .map(|pair| format!("{}_{}", pick(&QUALITIES, pair[0]), pick(&SURNAMES, pair[1])))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_word_stands_twice() {
        for words in [&QUALITIES, &SURNAMES] {
            assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len());
        }
    }
}
