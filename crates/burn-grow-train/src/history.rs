use crate::WatchedMetric;

/// The watched metrics at the end of one epoch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EpochRecord {
    pub(crate) epoch: usize,
    /// The optimizer steps taken by then.
    pub(crate) step: usize,
    /// One value for each watched series, in their order.
    pub(crate) values: Vec<f64>,
}

/// What a trigger decides on: the watched metrics of every epoch that ended since the last expansion.
///
/// Epochs before it are left out, as a plateau that led to one expansion is no reason for the next.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    pub(crate) series: &'a [WatchedMetric],
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

    /// The values of a series, oldest first; none if no trigger watches it.
    pub fn values(&self, series: &WatchedMetric) -> Vec<f64> {
        let index = self.series.iter().position(|other| other == series);
        index.map_or_else(Vec::new, |index| {
            self.records().map(|record| record.values[index]).collect()
        })
    }

    /// The epochs, numbered from 1.
    pub fn epochs(&self) -> Vec<usize> {
        self.records().map(|record| record.epoch).collect()
    }

    /// The optimizer steps taken by the end of the last epoch.
    pub fn step(&self) -> usize {
        self.records().last().map_or(0, |record| record.step)
    }

    /// The optimizer steps taken before the last expansion, if there was one.
    pub fn last_expansion(&self) -> Option<usize> {
        self.since
    }
}
