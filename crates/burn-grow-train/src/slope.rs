use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{Better, History, MetricSplit, WatchedMetric};

/// Fires when a metric improves by less than a threshold per epoch: the least-squares slope over the
/// last `window` epochs, counted positive where the metric gets better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slope {
    /// The metric.
    pub series: WatchedMetric,
    /// The epochs that the slope is taken over.
    pub window: usize,
    /// The improvement per epoch below which it fires.
    pub below: f64,
    /// Which values are better.
    #[serde(default)]
    pub better: Better,
}

impl Slope {
    /// A slope of a validation metric of which lower is better.
    pub fn new(metric: impl Into<String>, window: usize, below: f64) -> Self {
        Self {
            series: WatchedMetric::valid(metric),
            window,
            below,
            better: Better::default(),
        }
    }

    /// Watches the training split.
    pub fn on_train(mut self) -> Self {
        self.series.split = MetricSplit::Train;
        self
    }

    /// Takes high values for the better ones.
    pub fn higher_is_better(mut self) -> Self {
        self.better = Better::Higher;
        self
    }

    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.window < 2 {
            return Err("the window has to be two epochs or more");
        }
        match self.below.is_finite() {
            true => Ok(()),
            false => Err("the threshold has to be a finite number"),
        }
    }

    pub(crate) fn fires(&self, history: &History<'_>) -> bool {
        let values = history.values(&self.series);
        let Some(start) = values.len().checked_sub(self.window) else {
            return false;
        };
        self.better.gain(slope(&values[start..]), 0.0) < self.below
    }
}

/// The least-squares slope over equidistant points: `12 sum((i - (n - 1) / 2) y_i) / (n^3 - n)`.
fn slope(values: &[f64]) -> f64 {
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
        let (series, window, below) = (&self.series, self.window, self.below);
        write!(f, "slope of {series} over {window} epochs below {below}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::history;

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
            history(&[(&slope.series, values)], None, |history| {
                assert_eq!(slope.fires(history), fires, "{slope:?} {values:?}");
            });
        }
    }
}
