use core::fmt;

use serde::{Deserialize, Serialize};

use super::fault::TriggerFault;
use super::history::History;
use super::watched::{Direction, MetricSplit, WatchedMetric};

/// Fires when a metric improves by less than a threshold per epoch.
///
/// The improvement is the least-squares slope over the last `window` epochs, positive where the
/// metric gets better.
///
/// ```
/// use burn_grow_train::{At, Slope};
///
/// let slow: At = Slope::new("Loss", 4, 0.01).on_train().into();
/// assert_eq!(slow.to_string(), "slope of train Loss over 4 epochs below 0.01");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slope {
    /// The watched metric.
    #[serde(rename = "series")]
    pub metric: WatchedMetric,
    /// The number of epochs that the slope is taken over.
    pub window: usize,
    /// The improvement per epoch below which it fires.
    pub below: f64,
    /// The direction in which the metric improves.
    #[serde(default, rename = "better")]
    pub direction: Direction,
}

impl Slope {
    /// Creates a trigger on a validation metric whose lower values are better.
    pub fn new(metric: impl Into<String>, window: usize, below: f64) -> Self {
        Self {
            metric: WatchedMetric::valid(metric),
            window,
            below,
            direction: Direction::default(),
        }
    }

    /// Watches the training split.
    pub fn on_train(mut self) -> Self {
        self.metric.split = MetricSplit::Train;
        self
    }

    /// Takes higher values as better.
    pub fn higher_is_better(mut self) -> Self {
        self.direction = Direction::Highest;
        self
    }

    pub(crate) fn check(&self) -> Result<(), TriggerFault> {
        if self.window < 2 {
            return Err(TriggerFault::Window);
        }
        if self.below.is_finite() {
            Ok(())
        } else {
            Err(TriggerFault::Threshold)
        }
    }

    pub(crate) fn fires(&self, history: &History<'_>) -> bool {
        let values = history.values(&self.metric);
        let Some(start) = values.len().checked_sub(self.window) else {
            return false;
        };
        self.direction.gain(slope(&values[start..]), 0.0) < self.below
    }
}

/// The least-squares slope over equidistant points: `12 sum((i - (n - 1) / 2) y_i) / (n^3 - n)`.
pub(super) fn slope(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let moments = values
        .iter()
        .enumerate()
        .map(|(index, value)| (index as f64 - middle) * value);
    12.0 * moments.sum::<f64>() / (n.powi(3) - n)
}

impl fmt::Display for Slope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (metric, window, below) = (&self.metric, self.window, self.below);
        write!(f, "slope of {metric} over {window} epochs below {below}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::schedule::tests::history;
    use super::*;

    #[test]
    fn the_slope_is_the_least_squares_line() {
        assert_eq!(slope(&[1.0, 3.0]), 2.0);
        assert_eq!(slope(&[5.0, 4.0, 3.0, 2.0]), -1.0);
        assert_eq!(slope(&[0.0, 3.0, 0.0]), 0.0);
    }

    #[test]
    fn a_slope_fires_when_the_improvement_per_epoch_is_small() {
        let of = |window, below| Slope::new("Loss", window, below);
        let table: [(Slope, &[f64], bool); 8] = [
            (of(2, 0.1), &[3.0], false),
            (of(2, 0.1), &[3.0, 2.0], false),
            (of(2, 0.1), &[3.0, 2.95], true),
            (of(2, 0.1), &[9.0, 3.0, 2.95], true),
            (of(3, 0.1), &[9.0, 3.0, 2.95], false),
            (of(2, 0.1), &[3.0, 4.0], true),
            (of(2, 0.1).higher_is_better(), &[3.0, 4.0], false),
            (of(2, 0.1), &[3.0, f64::NAN], false),
        ];
        for (slope, values, fires) in table {
            history(&[(&slope.metric, values)], None, |history| {
                assert_eq!(slope.fires(history), fires, "{slope:?} {values:?}");
            });
        }
    }
}
