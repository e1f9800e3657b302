//! Random numbers that are the same on every replica and device: keyed by a seed and a name.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::hash::fnv1a;

/// Creates the generator for `key`, the path of a parameter or the name of an axis.
pub(crate) fn generator(seed: u64, key: &str) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(fnv1a(key.as_bytes()));
    generator
}

/// Iterates over standard normal numbers for `key`.
pub(crate) fn normals(seed: u64, key: &str) -> impl Iterator<Item = f64> {
    let mut generator = generator(seed, key);
    core::iter::repeat_with(move || StandardNormal.sample(&mut generator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_a_stream() {
        let first = |seed, key| normals(seed, key).take(4).collect::<Vec<_>>();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
        assert_ne!(first(1, "a"), first(2, "a"));
        let count = 100_000;
        let sample: Vec<f64> = normals(0, "").take(count).collect();
        let mean = sample.iter().sum::<f64>() / count as f64;
        let squares: f64 = sample.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (squares / count as f64).sqrt();
        assert!(
            mean.abs() < 0.01 && (deviation - 1.0).abs() < 0.01,
            "{mean} {deviation}"
        );
    }
}
