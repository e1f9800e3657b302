//! The end of the last epoch: what happened, after which step, and what its metrics were.

use burn_train::metric::store::EventStoreClient;

use crate::trigger::EpochRecord;
use crate::{TrainError, WatchedMetric};

/// The steps after which the acts that end an epoch last happened.
///
/// Their order is: validation, checkpointing strategy, checkpoint, end-of-epoch hook. Under
/// distributed training every worker does so in its own thread, between two barriers.
#[derive(Debug, Default)]
pub(crate) struct EpochEnd {
    record: Option<EpochRecord>,
    validated: Option<usize>,
    checkpointing: Option<usize>,
    saved: Option<usize>,
}

impl EpochEnd {
    /// The metrics of the last epoch that ended.
    pub(crate) fn record(&self) -> Option<&EpochRecord> {
        self.record.as_ref()
    }

    /// Notes that a model was taken to validation after `step`: an epoch ends.
    pub(crate) fn validated(&mut self, step: usize) {
        self.validated = Some(step);
    }

    /// Notes that the checkpointing strategy was asked after `step`.
    pub(crate) fn checkpointing(&mut self, step: usize) {
        self.checkpointing = Some(step);
    }

    /// Notes that a model was saved after `step`.
    pub(crate) fn saved(&mut self, step: usize) {
        self.saved = Some(step);
    }

    /// Notes the metrics of an epoch.
    pub(crate) fn read(&mut self, record: EpochRecord) {
        self.record = Some(record);
    }

    /// Returns true if the metrics of this epoch, which ended after `step`, are known.
    pub(crate) fn is_read(&self, epoch: usize, step: usize) -> bool {
        let record = self.record.as_ref();
        record.is_some_and(|record| (record.epoch, record.step) == (epoch, step))
    }

    /// Returns true if an epoch ended after `step` and nobody read its metrics.
    pub(crate) fn is_lost(&self, step: usize) -> bool {
        let read = self.record.as_ref().map(|record| record.step);
        self.validated == Some(step) && read != Some(step)
    }

    /// Returns true if a checkpoint was saved after `step`, whose strategy was not asked here.
    pub(crate) fn saved_unseen(&self, step: usize) -> bool {
        self.saved == Some(step) && self.checkpointing != Some(step)
    }
}

/// Reads the watched metrics of an epoch that ended after `step`.
///
/// # Errors
///
/// Names the first metric that has no value.
pub(crate) fn read_epoch(
    epoch: usize,
    step: usize,
    watched: &[WatchedMetric],
    store: &EventStoreClient,
) -> Result<EpochRecord, TrainError> {
    let values = watched.iter().map(|metric| {
        let missing = || TrainError::MissingMetric {
            metric: metric.clone(),
            epoch,
        };
        metric.read(epoch, store).ok_or_else(missing)
    });
    Ok(EpochRecord {
        epoch,
        step,
        values: values.collect::<Result<_, _>>()?,
    })
}
