use serde::{Deserialize, Serialize};

/// How the fan-in side of a grown axis is rescaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// Keeps the RMS of every activation: the whole consumer times `1 / sqrt(mean(n_j^2))`, where
    /// old unit `j` stands `n_j` times on the new axis. Equal to the paper's `1 / sqrt(1 + 3c)` for
    /// `c = d'/d - 1 <= 1` (Eq. 16-17) and to its `1 / (1 + c)` for whole multiples.
    #[default]
    RmsPreserving,
    /// Keeps the function: every consumer column divided by how often its unit was copied. The same
    /// as RMS-preserving for whole multiples.
    FunctionPreserving,
    /// Leaves the consumers as they are.
    None,
}

/// What the fan-in side of an axis is multiplied with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Factor {
    /// One number for every unit.
    Uniform(f64),
    /// One number for each unit of the new axis.
    PerUnit(Vec<f64>),
}

impl Factor {
    /// The one number, unless units differ.
    pub fn uniform(&self) -> Option<f64> {
        match self {
            Self::Uniform(factor) => Some(*factor),
            Self::PerUnit(factors) => factors
                .iter()
                .all(|factor| *factor == factors[0])
                .then(|| factors[0]),
        }
    }
}

impl core::fmt::Display for Factor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Uniform(factor) => write!(f, "{factor:.4}"),
            Self::PerUnit(factors) => {
                let (low, high) = factors
                    .iter()
                    .fold((f64::MAX, f64::MIN), |(low, high), factor| {
                        (low.min(*factor), high.max(*factor))
                    });
                write!(f, "{low:.4}..{high:.4}")
            }
        }
    }
}

impl Scaling {
    /// The factor of an axis of `old_width` units whose new unit `i` copies `source[i]`.
    pub fn factor(self, source: &[usize], old_width: usize) -> Factor {
        let mut counts = vec![0usize; old_width];
        for old in source {
            counts[*old] += 1;
        }
        match self {
            Self::RmsPreserving => {
                let squares: usize = counts.iter().map(|count| count * count).sum();
                Factor::Uniform((old_width as f64 / squares as f64).sqrt())
            }
            Self::FunctionPreserving if counts.iter().all(|count| *count == counts[0]) => {
                Factor::Uniform(1.0 / counts[0] as f64)
            }
            Self::FunctionPreserving => {
                Factor::PerUnit(source.iter().map(|old| 1.0 / counts[*old] as f64).collect())
            }
            Self::None => Factor::Uniform(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::block_copy;

    fn rms(old: usize, new: usize) -> f64 {
        let factor = Scaling::RmsPreserving.factor(&block_copy(old, new), old);
        factor.uniform().expect("one factor")
    }

    #[test]
    fn rms_preserving_equals_the_paper_up_to_twice_the_width() {
        for (old, new) in [(4, 5), (4, 6), (4, 7), (4, 8), (512, 768)] {
            let c = new as f64 / old as f64 - 1.0;
            assert!((rms(old, new) - 1.0 / (1.0 + 3.0 * c).sqrt()).abs() < 1e-15);
        }
    }

    #[test]
    fn rms_preserving_equals_the_paper_at_whole_multiples() {
        for times in 1..6 {
            assert_eq!(rms(8, 8 * times), 1.0 / times as f64);
        }
    }

    #[test]
    fn function_preserving_divides_by_the_copies_of_each_unit() {
        let factor = Scaling::FunctionPreserving.factor(&block_copy(2, 3), 2);
        assert_eq!(factor, Factor::PerUnit(vec![0.5, 1.0, 0.5]));
        let factor = Scaling::FunctionPreserving.factor(&block_copy(2, 6), 2);
        assert_eq!(factor, Factor::Uniform(1.0 / 3.0));
    }
}
