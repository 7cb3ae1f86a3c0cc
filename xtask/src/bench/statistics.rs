//! What many runs say together.

/// The middle of some numbers.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// How many times longer `theirs` took than `ours`: the middle of the ratios of the pairs, which
/// were measured side by side.
pub(crate) fn ratio(theirs: &[f64], ours: &[f64]) -> Option<f64> {
    let pairs: Vec<f64> =
        theirs.iter().zip(ours).filter(|(_, o)| **o > 0.0).map(|(t, o)| t / o).collect();
    median(&pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_odd_even_and_none() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn the_ratio_is_of_pairs_and_not_of_medians() {
        // One slow moment of the machine hits both of a pair.
        assert_eq!(ratio(&[10.0, 30.0, 12.0], &[1.0, 3.0, 1.0]), Some(10.0));
        assert_eq!(ratio(&[], &[1.0]), None);
        assert_eq!(ratio(&[1.0], &[0.0]), None);
    }
}
