use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use burn_train::metric::store::EventStoreClient;

use crate::history::EpochRecord;
use crate::run::{Run, lock};
use crate::state::State;
use crate::{TrainError, WatchedMetric};

const NEVER: usize = usize::MAX;

/// What happened at the end of the last epoch, and after which step.
///
/// The order is: validation, checkpointing strategy, checkpoint, end-of-epoch hook. Under distributed
/// training every worker does so in its own thread, between two barriers.
#[derive(Debug)]
pub(crate) struct EpochEnd {
    record: Mutex<Option<EpochRecord>>,
    validated: AtomicUsize,
    checkpointing: AtomicUsize,
    saved: AtomicUsize,
}

impl Default for EpochEnd {
    fn default() -> Self {
        Self {
            record: Mutex::new(None),
            validated: AtomicUsize::new(NEVER),
            checkpointing: AtomicUsize::new(NEVER),
            saved: AtomicUsize::new(NEVER),
        }
    }
}

impl EpochEnd {
    /// The metrics of the last epoch that ended.
    pub(crate) fn record(&self) -> MutexGuard<'_, Option<EpochRecord>> {
        lock(&self.record)
    }

    /// A model was taken to validation after `step`: an epoch ends.
    pub(crate) fn validated(&self, step: usize) {
        self.validated.store(step, Ordering::SeqCst);
    }

    /// A model was saved after `step`.
    pub(crate) fn saved(&self, step: usize) {
        self.saved.store(step, Ordering::SeqCst);
    }

    /// Forgets what another run left.
    pub(crate) fn reset(&self) {
        *self.record() = None;
        for step in [&self.validated, &self.checkpointing, &self.saved] {
            step.store(NEVER, Ordering::SeqCst);
        }
    }

    /// Whether an epoch ended after `step`, and nobody read its metrics.
    pub(crate) fn is_lost(&self, step: usize) -> bool {
        let ended = self.validated.load(Ordering::SeqCst) == step;
        ended && self.record().as_ref().map(|record| record.step) != Some(step)
    }

    /// Reads the metrics of an epoch that ended after `step`, once.
    fn read(
        &self,
        epoch: usize,
        step: usize,
        series: &[WatchedMetric],
        store: &EventStoreClient,
    ) -> Result<(), TrainError> {
        let mut record = self.record();
        let known = record.as_ref().map(|record| (record.epoch, record.step));
        if known == Some((epoch, step)) {
            return Ok(());
        }
        let values = series.iter().map(|series| {
            let missing = || TrainError::MissingMetric {
                series: series.clone(),
                epoch,
            };
            series.read(epoch, store).ok_or_else(missing)
        });
        let values = values.collect::<Result<_, _>>()?;
        *record = Some(EpochRecord {
            epoch,
            step,
            values,
        });
        Ok(())
    }
}

impl Run {
    /// Adds to `state` the metrics of an epoch that ended just now.
    pub(crate) fn record_epoch(&self, state: &mut State) {
        if self.schedule.watches(state.clock.stage)
            && let Some(record) = &*self.epoch_end.record()
        {
            state.record(record);
        }
    }

    /// Reads what triggers watch, so that the checkpoint of the epoch holds it.
    pub(crate) fn before_checkpoint(
        &self,
        epoch: usize,
        store: &EventStoreClient,
    ) -> Result<(), TrainError> {
        let clock = self.reached().clock;
        let end = &self.epoch_end;
        end.checkpointing.store(clock.step, Ordering::SeqCst);
        match self.schedule.watches(clock.stage) {
            true => end.read(epoch, clock.step, &self.schedule.series, store),
            false => Ok(()),
        }
    }

    /// Reads what triggers watch at the end of an epoch.
    pub(crate) fn end_epoch(
        &self,
        epoch: usize,
        store: &EventStoreClient,
    ) -> Result<(), TrainError> {
        let clock = self.reached().clock;
        if !self.schedule.watches(clock.stage) {
            return Ok(());
        }
        let end = &self.epoch_end;
        let saved = end.saved.load(Ordering::SeqCst) == clock.step;
        if saved && end.checkpointing.load(Ordering::SeqCst) != clock.step {
            return Err(TrainError::Checkpointing { epoch });
        }
        end.read(epoch, clock.step, &self.schedule.series, store)
    }
}
