use crate::row::Row;

/// A mean over seeds, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    /// The mean.
    pub(super) mean: f64,
    /// The standard deviation, of a sample; none of a single value.
    pub(super) sd: Option<f64>,
}

impl Spread {
    /// Of these values, if there are any.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (!values.is_empty()).then(|| Self {
            mean,
            sd: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
        })
    }

    /// `1.1232 +- 0.0098`.
    pub(super) fn show(self, decimals: usize) -> String {
        self.with_sd(format!("{:.decimals$}", self.mean), decimals)
    }

    /// `-0.1132 +- 0.0031`, the sign always there.
    pub(super) fn show_signed(self, decimals: usize) -> String {
        self.with_sd(format!("{:+.decimals$}", self.mean), decimals)
    }

    fn with_sd(self, mean: String, decimals: usize) -> String {
        match self.sd {
            Some(sd) => format!("{mean} +- {sd:.decimals$}"),
            None => mean,
        }
    }
}

/// What `of` makes of the rows of the same seed, seed by seed.
pub(super) fn paired<T>(ours: &[Row], theirs: &[Row], of: impl Fn(&Row, &Row) -> T) -> Vec<T> {
    let pair = |our: &Row| {
        let their = theirs.iter().find(|their| their.seed == our.seed)?;
        Some(of(our, their))
    };
    ours.iter().filter_map(pair).collect()
}

/// The losses of the one minus those of the other, seed by seed.
pub(super) fn differences(ours: &[Row], theirs: &[Row]) -> Vec<f64> {
    paired(ours, theirs, |our, their| our.loss - their.loss)
}

/// How many values have the sign of their mean.
pub(super) fn of_one_sign(values: &[f64]) -> usize {
    let sum: f64 = values.iter().sum();
    values.iter().filter(|value| **value * sum > 0.0).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

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
    fn only_rows_of_the_same_seed_are_compared() {
        let row = |seed, loss| Row {
            seed,
            loss,
            ..row("a")
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
