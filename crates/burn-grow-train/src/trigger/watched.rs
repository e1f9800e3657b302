//! Metrics that triggers watch, as burn-train's event store keeps them.

use core::fmt;

use burn_train::metric::store::{Aggregate, EventStoreClient, Split};
use serde::{Deserialize, Serialize};

/// A metric of one split, as a trigger watches it: one value per epoch, the mean over the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WatchedMetric {
    /// The metric's name, `"Loss"` for burn-train's `LossMetric`.
    pub metric: String,
    /// The split it is measured on. The metric has to be registered for it.
    #[serde(default)]
    pub split: MetricSplit,
}

/// A split that metrics are measured on, as burn-train's
/// [`Split`](burn_train::metric::store::Split), but of a trigger that serializes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricSplit {
    /// The training split.
    Train,
    /// The validation split.
    #[default]
    Valid,
}

/// The direction in which a metric improves, as burn-train's
/// [`Direction`](burn_train::metric::store::Direction), but of a trigger that serializes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Lower values are better, as of a loss.
    #[default]
    #[serde(rename = "lower")]
    Lowest,
    /// Higher values are better, as of an accuracy.
    #[serde(rename = "higher")]
    Highest,
}

impl WatchedMetric {
    /// Watches a metric of the training split.
    pub fn train(metric: impl Into<String>) -> Self {
        Self {
            metric: metric.into(),
            split: MetricSplit::Train,
        }
    }

    /// Watches a metric of the validation split.
    pub fn valid(metric: impl Into<String>) -> Self {
        Self {
            metric: metric.into(),
            split: MetricSplit::Valid,
        }
    }

    /// Returns the mean over an epoch, if the metric has any value of it.
    pub(crate) fn read(&self, epoch: usize, store: &EventStoreClient) -> Option<f64> {
        let split = match self.split {
            MetricSplit::Train => Split::Train,
            MetricSplit::Valid => Split::Valid,
        };
        store.find_metric(&self.metric, epoch, Aggregate::Mean, &split)
    }
}

/// A metric of the validation split.
impl From<&str> for WatchedMetric {
    fn from(metric: &str) -> Self {
        Self::valid(metric)
    }
}

impl Direction {
    /// Returns how much better `value` is than `reference`.
    pub(crate) fn gain(self, value: f64, reference: f64) -> f64 {
        match self {
            Self::Lowest => reference - value,
            Self::Highest => value - reference,
        }
    }
}

impl fmt::Display for WatchedMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let split = match self.split {
            MetricSplit::Train => "train",
            MetricSplit::Valid => "valid",
        };
        write!(f, "{split} {}", self.metric)
    }
}
