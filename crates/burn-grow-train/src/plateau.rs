use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{Better, History, MetricSplit, WatchedMetric};

/// Fires when a metric has not improved for so many epochs.
///
/// An epoch improves on the best one since the last expansion if it is better by more than
/// `min_change`; after `patience` epochs in a row that do not, the plateau is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    /// The metric.
    pub series: WatchedMetric,
    /// The epochs without an improvement.
    pub patience: usize,
    /// The change that is not yet one.
    #[serde(default)]
    pub min_change: f64,
    /// Which values are better.
    #[serde(default)]
    pub better: Better,
}

impl Plateau {
    /// A plateau of a validation metric of which lower is better.
    pub fn new(metric: impl Into<String>, patience: usize) -> Self {
        Self {
            series: WatchedMetric::valid(metric),
            patience,
            min_change: 0.0,
            better: Better::default(),
        }
    }

    /// Watches the training split.
    pub fn on_train(mut self) -> Self {
        self.series.split = MetricSplit::Train;
        self
    }

    /// Sets what an improvement has to exceed.
    pub fn with_min_change(mut self, min_change: f64) -> Self {
        self.min_change = min_change;
        self
    }

    /// Takes high values for the better ones.
    pub fn higher_is_better(mut self) -> Self {
        self.better = Better::Higher;
        self
    }

    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.patience == 0 {
            return Err("the patience has to be one epoch or more");
        }
        match self.min_change.is_finite() && self.min_change >= 0.0 {
            true => Ok(()),
            false => Err("the minimum change has to be a finite number, zero or more"),
        }
    }

    pub(crate) fn fires(&self, history: &History<'_>) -> bool {
        let mut best: Option<f64> = None;
        let mut stale = 0;
        for value in history.values(&self.series) {
            let improves = match best {
                // What is no number is nothing to improve on.
                None => !value.is_nan(),
                Some(best) => self.better.gain(value, best) > self.min_change,
            };
            match improves {
                true => (best, stale) = (Some(value), 0),
                false => stale += 1,
            }
        }
        best.is_some() && stale >= self.patience
    }
}

impl fmt::Display for Plateau {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (series, patience) = (&self.series, self.patience);
        write!(f, "plateau of {series}, patience {patience}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::history;

    #[test]
    fn a_plateau_is_so_many_epochs_without_an_improvement() {
        let of = |patience| Plateau::new("Loss", patience);
        let nan = f64::NAN;
        let table: [(Plateau, &[f64], bool); 12] = [
            (of(2), &[], false),
            (of(2), &[3.0], false),
            (of(2), &[3.0, 3.0], false),
            (of(2), &[3.0, 3.0, 3.0], true),
            (of(2), &[3.0, 4.0, 2.0, 2.0], false),
            (of(2), &[3.0, 4.0, 3.5], true),
            (of(1), &[3.0, 2.9], false),
            (of(1).with_min_change(0.5), &[3.0, 2.9], true),
            // Small steps add up: each is measured against the best epoch, not against the last one.
            (of(2).with_min_change(0.5), &[3.0, 2.7, 2.4], false),
            (of(1).higher_is_better(), &[0.1, 0.2, 0.2], true),
            (of(1), &[nan, nan, 3.0], false),
            (of(2), &[3.0, nan, nan], true),
        ];
        for (plateau, values, fires) in table {
            history(&[(&plateau.series, values)], None, |history| {
                assert_eq!(plateau.fires(history), fires, "{plateau:?} {values:?}");
            });
        }
    }

    #[test]
    fn a_plateau_before_the_last_expansion_is_no_reason_for_the_next() {
        let plateau = Plateau::new("Loss", 1);
        let values = [3.0, 3.0, 3.0, 3.0];
        // Epoch `n` ends after step `10 n`.
        for (since, fires) in [(None, true), (Some(19), true), (Some(30), false)] {
            history(&[(&plateau.series, &values)], since, |history| {
                assert_eq!(plateau.fires(history), fires, "{since:?}");
            });
        }
    }
}
