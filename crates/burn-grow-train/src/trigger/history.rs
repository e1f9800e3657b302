//! Watched metrics by epoch, which triggers decide on.

use super::watched::WatchedMetric;

/// The watched metrics at the end of one epoch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EpochRecord {
    pub(crate) epoch: usize,
    /// The optimizer steps taken by then.
    pub(crate) step: usize,
    /// One value for each watched metric, in their order.
    pub(crate) values: Vec<f64>,
}

/// Watched metrics of every epoch that ended since the last expansion: all that a trigger decides
/// on.
///
/// Epochs before it are left out, because a plateau that led to one expansion is no reason for the
/// next.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    pub(crate) metrics: &'a [WatchedMetric],
    pub(crate) epochs: &'a [EpochRecord],
    /// The optimizer steps taken before the last expansion.
    pub(crate) since: Option<usize>,
}

impl History<'_> {
    fn records(&self) -> impl Iterator<Item = &EpochRecord> {
        let since = self.since;
        self.epochs
            .iter()
            .filter(move |record| since.is_none_or(|since| record.step > since))
    }

    /// Returns the values of a metric, oldest first. Empty if no trigger watches it.
    pub fn values(&self, metric: &WatchedMetric) -> Vec<f64> {
        let index = self.metrics.iter().position(|other| other == metric);
        index.map_or_else(Vec::new, |index| {
            self.records().map(|record| record.values[index]).collect()
        })
    }

    /// Returns the epochs, numbered from 1.
    pub fn epochs(&self) -> Vec<usize> {
        self.records().map(|record| record.epoch).collect()
    }

    /// Returns the number of optimizer steps taken by the end of each epoch.
    pub fn steps(&self) -> Vec<usize> {
        self.records().map(|record| record.step).collect()
    }

    /// Returns the number of optimizer steps taken by the end of the last epoch.
    pub fn step(&self) -> usize {
        self.records().last().map_or(0, |record| record.step)
    }

    /// Returns the number of optimizer steps taken before the last expansion, if there was one.
    pub fn last_expansion(&self) -> Option<usize> {
        self.since
    }
}
