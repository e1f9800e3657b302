//! Rules for rescaling the consumers of a grown axis.

use serde::{Deserialize, Serialize};

use super::factor::Factor;
use super::init::{Init, InitPair};

/// The rule by which the consumers of a grown axis are rescaled.
///
/// With `d` old and `d'` new units:
///
/// | rule | copy-copy | a pair with a zero side | other pairs |
/// |---|---|---|---|
/// | RMS-preserving | `1 / sqrt(mean(n_j^2))` | `sqrt(d / d')` | `sqrt(d / d')` |
/// | function-preserving | `1 / n_j` per column | 1 | rejected |
/// | none | 1 | 1 | 1 |
///
/// `n_j` counts how often old unit `j` stands on the new axis.
///
/// ```
/// use burn_grow_core::{Expansion, InitPair, Scaling};
///
/// // Net2Net's rule at a width where units are copied unequally often.
/// let function = Expansion::by("inner", 1.5).with_scaling(Scaling::FunctionPreserving);
/// assert_ne!(function, Expansion::by("inner", 1.5));
///
/// // Two copies of two units: every consumer is halved.
/// let factor = Scaling::RmsPreserving.factor(InitPair::COPY_COPY, &[0, 1, 0, 1], 2);
/// assert_eq!(factor.and_then(|factor| factor.uniform()), Some(0.5));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// Preserves the RMS of every activation. For copies on both sides the factor equals the
    /// paper's `1 / sqrt(1 + 3c)` where `c = d'/d - 1 <= 1` (Eq. 16-17) and its `1 / (1 + c)` at
    /// whole multiples. For any other pair it is Eq. 14.
    #[default]
    RmsPreserving,
    /// Preserves the function. Equal to RMS-preserving at whole multiples with copies on both
    /// sides. With zero producers it holds as long as the layers in between map zero to zero.
    FunctionPreserving,
    /// Leaves the consumers as they are.
    None,
}

impl Scaling {
    /// Computes the factor of an axis of `old_width` units whose new unit `i` is or copies
    /// `source[i]`. Returns `None` where the rule rejects the init pair.
    pub fn factor(self, init: InitPair, source: &[usize], old_width: usize) -> Option<Factor> {
        let counts = counts(source, old_width);
        let copied = init == InitPair::COPY_COPY;
        let silent = init.producer == Init::Zero || init.consumer == Init::Zero;
        match self {
            Self::RmsPreserving => {
                let squares: usize = if copied {
                    counts.iter().map(|count| count * count).sum()
                } else {
                    source.len()
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

/// Counts how often each old unit stands on the new axis.
pub(crate) fn counts(source: &[usize], old_width: usize) -> Vec<usize> {
    let mut counts = vec![0; old_width];
    for old in source {
        counts[*old] += 1;
    }
    counts
}

/// Divides the column of every old unit equally among the units that are or copy it.
pub(crate) fn shares(source: &[usize], counts: &[usize]) -> Factor {
    Factor::per_unit(source.iter().map(|old| 1.0 / counts[*old] as f64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::copy_map::CopyMap;

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
