use serde::{Deserialize, Serialize};

use crate::{Init, InitPair};

/// How the fan-in side of a grown axis is rescaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// Keeps the RMS of every activation. Copies on both sides: the whole consumer times
    /// `1 / sqrt(mean(n_j^2))`, where old unit `j` stands `n_j` times on the new axis, equal to the
    /// paper's `1 / sqrt(1 + 3c)` for `c = d'/d - 1 <= 1` (Eq. 16-17) and to its `1 / (1 + c)` for
    /// whole multiples. Any other pair: `sqrt(d / d')` (Eq. 14).
    #[default]
    RmsPreserving,
    /// Keeps the function. Copies on both sides: every consumer column divided by how often its unit
    /// was copied, the same as RMS-preserving for whole multiples. Zeros on either side: nothing to
    /// rescale, for zero producers as long as what lies between maps zero to zero. Any other pair cannot.
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
            Self::PerUnit(_) => None,
        }
    }

    /// The number of unit `unit`.
    pub fn of(&self, unit: usize) -> f64 {
        match self {
            Self::Uniform(factor) => *factor,
            Self::PerUnit(factors) => factors[unit],
        }
    }

    /// One number where all are the same.
    pub(crate) fn per_unit(factors: Vec<f64>) -> Self {
        match factors.first() {
            Some(first) if factors.iter().all(|factor| factor == first) => Self::Uniform(*first),
            _ => Self::PerUnit(factors),
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
    /// The factor of an axis of `old_width` units whose new unit `i` is or copies `source[i]`, with new
    /// coordinates as `init` says; none where `init` cannot be scaled so.
    pub fn factor(self, init: InitPair, source: &[usize], old_width: usize) -> Option<Factor> {
        let counts = counts(source, old_width);
        let copied = init == InitPair::COPY_COPY;
        let silent = init.producer == Init::Zero || init.consumer == Init::Zero;
        match self {
            Self::RmsPreserving => {
                let squares: usize = match copied {
                    true => counts.iter().map(|count| count * count).sum(),
                    false => source.len(),
                };
                Some(Factor::Uniform((old_width as f64 / squares as f64).sqrt()))
            }
            Self::FunctionPreserving if copied => Some(shares(source, &counts)),
            Self::FunctionPreserving if silent => Some(Factor::Uniform(1.0)),
            Self::FunctionPreserving => None,
            Self::None => Some(Factor::Uniform(1.0)),
        }
    }
}

/// How often each old unit stands on the new axis.
pub(crate) fn counts(source: &[usize], old_width: usize) -> Vec<usize> {
    let mut counts = vec![0; old_width];
    for old in source {
        counts[*old] += 1;
    }
    counts
}

/// Every unit's part of the unit it copies.
pub(crate) fn shares(source: &[usize], counts: &[usize]) -> Factor {
    Factor::per_unit(source.iter().map(|old| 1.0 / counts[*old] as f64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CopyMap;

    fn factor(scaling: Scaling, init: InitPair, old: usize, new: usize) -> Option<Factor> {
        let source = CopyMap::Block.source(old, new, 0, "");
        scaling.factor(init, &source, old)
    }

    fn rms(init: InitPair, old: usize, new: usize) -> f64 {
        let factor = factor(Scaling::RmsPreserving, init, old, new);
        factor
            .and_then(|factor| factor.uniform())
            .expect("one factor")
    }

    #[test]
    fn rms_preserving_equals_the_paper_up_to_twice_the_width() {
        for (old, new) in [(4, 5), (4, 6), (4, 7), (4, 8), (512, 768)] {
            let c = new as f64 / old as f64 - 1.0;
            let expected = 1.0 / (1.0 + 3.0 * c).sqrt();
            assert!((rms(InitPair::COPY_COPY, old, new) - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn rms_preserving_equals_the_paper_at_whole_multiples() {
        for times in 1..6 {
            assert_eq!(rms(InitPair::COPY_COPY, 8, 8 * times), 1.0 / times as f64);
        }
    }

    #[test]
    fn between_whole_multiples_the_paper_is_off_by_the_variance_of_the_counts() {
        // At 2.4 times the width it is off the most.
        for (old, new) in [(5, 12), (4, 10), (8, 20), (4, 11), (16, 100)] {
            let times = new as f64 / old as f64;
            let f = times.fract();
            let off = times.recip() / rms(InitPair::COPY_COPY, old, new);
            assert!((off - (1.0 + f * (1.0 - f) / times.powi(2)).sqrt()).abs() < 1e-12);
            assert!(off > 1.0 && off < 1.0207, "{off}");
        }
    }

    #[test]
    fn rms_preserving_takes_the_other_pairs_as_independent() {
        for init in &InitPair::ALL[1..] {
            assert_eq!(rms(*init, 4, 16), 0.5, "{init}");
        }
    }

    #[test]
    fn function_preserving_divides_by_the_copies_of_each_unit() {
        let found = |old, new| factor(Scaling::FunctionPreserving, InitPair::COPY_COPY, old, new);
        assert_eq!(found(2, 3), Some(Factor::PerUnit(vec![0.5, 1.0, 0.5])));
        assert_eq!(found(2, 6), Some(Factor::Uniform(1.0 / 3.0)));
    }

    #[test]
    fn function_preserving_needs_copies_on_both_sides_or_a_silent_side() {
        let possible = InitPair::ALL
            .map(|init| factor(Scaling::FunctionPreserving, init, 4, 8).map(|f| f.uniform()));
        let one = Some(Some(1.0));
        assert_eq!(possible, [Some(Some(0.5)), None, one, None, one, one]);
    }
}
