use core::fmt;

use serde::{Deserialize, Serialize};

use super::fault::TriggerFault;
use super::history::History;
use super::watched::{Direction, MetricSplit, WatchedMetric};

/// Fires when a metric has not improved for a number of epochs.
///
/// An epoch improves on the best one since the last expansion if it is better by more than
/// `min_change`. The plateau is reached after `patience` epochs in a row without an improvement.
///
/// ```
/// use burn_grow_train::{At, Plateau};
///
/// let stalled: At = Plateau::new("Accuracy", 3)
///     .higher_is_better()
///     .with_min_change(0.001)
///     .into();
/// assert_eq!(stalled.to_string(), "plateau of valid Accuracy, patience 3");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    /// The watched metric.
    #[serde(rename = "series")]
    pub metric: WatchedMetric,
    /// The number of epochs without an improvement after which it fires.
    pub patience: usize,
    /// The change that an improvement has to exceed.
    #[serde(default)]
    pub min_change: f64,
    /// The direction in which the metric improves.
    #[serde(default, rename = "better")]
    pub direction: Direction,
}

impl Plateau {
    /// Creates a trigger on a validation metric whose lower values are better.
    pub fn new(metric: impl Into<String>, patience: usize) -> Self {
        Self {
            metric: WatchedMetric::valid(metric),
            patience,
            min_change: 0.0,
            direction: Direction::default(),
        }
    }

    /// Watches the training split.
    pub fn on_train(mut self) -> Self {
        self.metric.split = MetricSplit::Train;
        self
    }

    /// Sets the change that an improvement has to exceed.
    pub fn with_min_change(mut self, min_change: f64) -> Self {
        self.min_change = min_change;
        self
    }

    /// Takes higher values as better.
    pub fn higher_is_better(mut self) -> Self {
        self.direction = Direction::Highest;
        self
    }

    pub(crate) fn check(&self) -> Result<(), TriggerFault> {
        if self.patience == 0 {
            return Err(TriggerFault::Patience);
        }
        if self.min_change.is_finite() && self.min_change >= 0.0 {
            Ok(())
        } else {
            Err(TriggerFault::MinChange)
        }
    }

    pub(crate) fn fires(&self, history: &History<'_>) -> bool {
        let mut best: Option<f64> = None;
        let mut stale = 0;
        for value in history.values(&self.metric) {
            let improves = match best {
                // NaN is never an improvement.
                None => !value.is_nan(),
                Some(best) => self.direction.gain(value, best) > self.min_change,
            };
            if improves {
                (best, stale) = (Some(value), 0);
            } else {
                stale += 1;
            }
        }
        best.is_some() && stale >= self.patience
    }
}

impl fmt::Display for Plateau {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (metric, patience) = (&self.metric, self.patience);
        write!(f, "plateau of {metric}, patience {patience}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::schedule::tests::history;
    use super::*;

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
            // Small steps add up: each is measured against the best epoch, not against the last
            // one.
            (of(2).with_min_change(0.5), &[3.0, 2.7, 2.4], false),
            (of(1).higher_is_better(), &[0.1, 0.2, 0.2], true),
            (of(1), &[nan, nan, 3.0], false),
            (of(2), &[3.0, nan, nan], true),
        ];
        for (plateau, values, fires) in table {
            history(&[(&plateau.metric, values)], None, |history| {
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
            history(&[(&plateau.metric, &values)], since, |history| {
                assert_eq!(plateau.fires(history), fires, "{since:?}");
            });
        }
    }
}
