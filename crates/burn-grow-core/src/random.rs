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

/// The numbers of [`normals`] in rows of one length, any of which may be drawn again.
pub(crate) struct NormalRows {
    generator: ChaCha8Rng,
    /// Where the generator stands before every row up to the first one that was not drawn.
    starts: Vec<u128>,
    /// The numbers of a row.
    row: Vec<f64>,
}

impl NormalRows {
    /// Begins with the numbers for `key`, so many in a row.
    pub(crate) fn new(seed: u64, key: &str, length: usize) -> Self {
        let generator = generator(seed, key);
        Self {
            starts: vec![generator.get_word_pos()],
            generator,
            row: vec![0.0; length],
        }
    }

    /// Draws row number `row`.
    pub(crate) fn draw(&mut self, row: usize) -> &[f64] {
        let mut at = row.min(self.starts.len() - 1);
        if self.generator.get_word_pos() != self.starts[at] {
            self.generator.set_word_pos(self.starts[at]);
        }
        // How many words a number takes is seen when it is drawn.
        while at <= row {
            for number in &mut self.row {
                *number = StandardNormal.sample(&mut self.generator);
            }
            at += 1;
            if at == self.starts.len() {
                self.starts.push(self.generator.get_word_pos());
            }
        }
        &self.row
    }
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

    #[test]
    fn rows_are_the_same_in_any_order() {
        let numbers: Vec<f64> = normals(3, "a").take(7 * 5).collect();
        let mut rows = NormalRows::new(3, "a", 5);
        for row in [0, 0, 2, 1, 6, 6, 3, 5, 0, 4] {
            assert_eq!(rows.draw(row), &numbers[row * 5..][..5], "{row}");
        }
    }
}
