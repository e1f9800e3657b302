use core::fmt;

use burn_train::metric::store::{Aggregate, EventStoreClient, Split};
use serde::{Deserialize, Serialize};

/// A metric of a split, one value per epoch: what a trigger watches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WatchedMetric {
    /// The metric's name, `"Loss"` for burn-train's `LossMetric`.
    pub metric: String,
    /// The split it is measured on. The metric has to be registered for it.
    #[serde(default)]
    pub split: MetricSplit,
}

/// A split that metrics are measured on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricSplit {
    /// The training split.
    Train,
    /// The validation split.
    #[default]
    Valid,
}

/// Which values of a metric are the better ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// The low ones, as of a loss.
    #[default]
    Lower,
    /// The high ones, as of an accuracy.
    Higher,
}

impl WatchedMetric {
    /// A metric of the training split.
    pub fn train(metric: impl Into<String>) -> Self {
        Self {
            metric: metric.into(),
            split: MetricSplit::Train,
        }
    }

    /// A metric of the validation split.
    pub fn valid(metric: impl Into<String>) -> Self {
        Self {
            metric: metric.into(),
            split: MetricSplit::Valid,
        }
    }

    /// The mean over an epoch.
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

impl Better {
    /// By how much `value` is better than `reference`.
    pub(crate) fn gain(self, value: f64, reference: f64) -> f64 {
        match self {
            Self::Lower => reference - value,
            Self::Higher => value - reference,
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
