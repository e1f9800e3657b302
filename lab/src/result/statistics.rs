//! Means over seeds, how far they spread, and differences paired by seed.

use crate::result::RunResult;

/// A mean over seeds, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Standard deviation of the sample; `None` for a single value.
    pub sd: Option<f64>,
}

impl Spread {
    /// Computes the spread of these values, if there are any.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (!values.is_empty()).then(|| Self {
            mean,
            sd: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
        })
    }

    /// Prints as in `1.1232 +- 0.0098`.
    pub fn show(self, decimals: usize) -> String {
        self.with_sd(format!("{:.decimals$}", self.mean), decimals)
    }

    /// Prints as in `-0.1132 +- 0.0031`, always with the sign.
    pub fn show_signed(self, decimals: usize) -> String {
        self.with_sd(format!("{:+.decimals$}", self.mean), decimals)
    }

    fn with_sd(self, mean: String, decimals: usize) -> String {
        match self.sd {
            Some(sd) => format!("{mean} +- {sd:.decimals$}"),
            None => mean,
        }
    }
}

/// Applies `of` to the results of the same seed, seed by seed.
pub fn paired<T>(
    ours: &[RunResult],
    theirs: &[RunResult],
    of: impl Fn(&RunResult, &RunResult) -> T,
) -> Vec<T> {
    let pair = |our: &RunResult| {
        let their = theirs.iter().find(|their| their.seed == our.seed)?;
        Some(of(our, their))
    };
    ours.iter().filter_map(pair).collect()
}

/// Subtracts the losses of `theirs` from those of `ours`, seed by seed.
pub fn differences(ours: &[RunResult], theirs: &[RunResult]) -> Vec<f64> {
    paired(ours, theirs, |our, their| our.loss - their.loss)
}

/// Counts the values that have the sign of their mean.
pub fn of_one_sign(values: &[f64]) -> usize {
    let sum: f64 = values.iter().sum();
    values.iter().filter(|value| **value * sum > 0.0).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::tests::result;

    #[test]
    fn the_spread_is_that_of_a_sample() {
        let spread = Spread::of(&[1.0, 2.0, 6.0]).expect("values");
        assert_eq!(spread.mean, 3.0);
        assert_eq!(spread.sd, Some(7f64.sqrt()));
        assert_eq!(spread.show(2), "3.00 +- 2.65");
        let single = Spread::of(&[-0.25]).expect("a value");
        assert_eq!(single.sd, None);
        assert_eq!(single.show_signed(3), "-0.250");
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn only_results_of_the_same_seed_are_compared() {
        let row = |seed, loss| RunResult {
            seed,
            loss,
            ..result("a")
        };
        let ours = [row(0, 1.5), row(1, 1.0), row(3, 9.0)];
        let theirs = [row(1, 1.25), row(0, 1.0), row(2, 7.0)];
        assert_eq!(differences(&ours, &theirs), [0.5, -0.25]);
    }

    #[test]
    fn signs_are_counted_against_the_mean() {
        assert_eq!(of_one_sign(&[0.5, -0.25, 0.125]), 2);
        assert_eq!(of_one_sign(&[-0.5, 0.25, 0.0]), 1);
        assert_eq!(of_one_sign(&[]), 0);
    }
}
