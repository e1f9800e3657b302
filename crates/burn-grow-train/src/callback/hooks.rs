//! The moments of burn-train's loop at which something happens besides the optimizer step.
//!
//! ```text
//! last step of an epoch
//! Moment::Validation           borrowed: burn-train takes the model to validation
//! validation
//! CheckpointingStrategy        MetricCheckpointing
//! Moment::Saving               borrowed: burn-train takes the record of the model
//! EarlyStoppingStrategy        EpochHook
//! ```
//!
//! Two of them have no hook of their own. They are told by calls on the model that burn-train makes
//! then, and that anyone else may make at any time: so they note and check, and change nothing.

use std::sync::Arc;

use burn_core::module::Module;
use burn_train::EarlyStoppingStrategy;
use burn_train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn_train::metric::store::EventStoreClient;

use super::decisions::Rates;
use super::run::Run;
use crate::checkpoint::State;
use crate::monitor::{Copies, check_nan, read_epoch};
use crate::{Event, Position, TrainError};

/// A moment without a hook, by the call on the model that tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// The last step of an epoch was taken, and its validation follows: [`Module::valid`].
    Validation,
    /// A checkpoint of the model is saved: [`Module::into_record`].
    Saving,
    /// A checkpoint was loaded into the model: [`Module::try_load_record`].
    Loaded,
}

impl Run {
    /// Notes a borrowed moment of the run of `model`.
    pub(crate) fn notice<M: Module>(&self, moment: Moment, model: &M, state: &State) {
        let position = state.position;
        match moment {
            Moment::Validation => {
                self.session().epoch_end.validated(position.step);
                if let Err(error) = self.look_at(model, state) {
                    self.fail(error);
                }
            }
            Moment::Saving => self.session().epoch_end.saved(position.step),
            Moment::Loaded => {
                self.reach(state, Rates::default());
                self.session().first_epoch.begun = position.step;
            }
        }
    }

    /// Looks at the model at the end of an epoch: for NaN, so that no checkpoint is saved of it
    /// and, with that, no good one deleted; and at its copies, if there are metrics for them.
    ///
    /// One pass over the weights and one wait for the device, once an epoch. A model that no
    /// training holds, or that has not begun, is not checked.
    fn look_at<M: Module>(&self, model: &M, state: &State) -> Result<(), TrainError> {
        let position = state.position;
        let runs = self.is_attached() && position != Position::default();
        if runs && self.failure().is_none() {
            check_nan(model, position)?;
        }
        if self.decisions.copy_metrics {
            let copies = match self.decisions.last_grown(position.stage) {
                Some(plan) => Copies::of(model, plan, state.rms)?,
                None => Copies::default(),
            };
            self.session().copies = copies;
        }
        Ok(())
    }

    /// Reads what triggers watch, before the checkpoint of the epoch is saved.
    fn before_checkpoint(
        &self,
        epoch: usize,
        metrics: &EventStoreClient,
    ) -> Result<(), TrainError> {
        let position = {
            let mut session = self.session();
            let position = session.reached.position;
            session.epoch_end.checkpointing(position.step);
            position
        };
        self.read_watched(epoch, position, metrics)
    }

    /// Reads what triggers watch, at the end of the epoch.
    fn end_epoch(&self, epoch: usize, metrics: &EventStoreClient) -> Result<(), TrainError> {
        let (position, unseen) = {
            let session = self.session();
            let position = session.reached.position;
            (position, session.epoch_end.saved_unseen(position.step))
        };
        if unseen && self.decisions.schedule.watches(position.stage) {
            return Err(TrainError::Checkpointing { epoch });
        }
        self.read_watched(epoch, position, metrics)?;
        self.compare_plan(epoch)
    }

    /// Reads what triggers watch in an epoch that ended at `position`, once.
    fn read_watched(
        &self,
        epoch: usize,
        position: Position,
        metrics: &EventStoreClient,
    ) -> Result<(), TrainError> {
        let schedule = &self.decisions.schedule;
        let known = self.session().epoch_end.is_read(epoch, position.step);
        if known || !schedule.watches(position.stage) {
            return Ok(());
        }
        let record = read_epoch(epoch, position.step, &schedule.metrics, metrics)?;
        self.session().epoch_end.read(record);
        Ok(())
    }
}

/// burn-train's end-of-epoch hook, composed with the early stopping of the user.
#[derive(Clone)]
pub(crate) struct EpochHook<S> {
    pub(crate) run: Arc<Run>,
    pub(crate) early_stopping: S,
}

impl<S: EarlyStoppingStrategy> EarlyStoppingStrategy for EpochHook<S> {
    fn should_stop(&mut self, epoch: usize, store: &EventStoreClient) -> bool {
        self.run.decisions.emit(&Event::Epoch {
            epoch,
            metrics: store,
        });
        if let Err(error) = self.run.end_epoch(epoch, store) {
            self.run.fail(error);
            return true;
        }
        let stops = self.early_stopping.should_stop(epoch, store);
        if stops {
            self.run.session().stopped = Some(epoch);
        }
        stops
    }
}

/// No early stopping.
#[derive(Clone)]
pub(crate) struct Never;

impl EarlyStoppingStrategy for Never {
    fn should_stop(&mut self, _epoch: usize, _store: &EventStoreClient) -> bool {
        false
    }
}

/// Checkpointing strategy that lets a checkpoint hold the metrics of the epoch it ends, made by
/// [`WidthExpansionCallback::checkpointing`](crate::WidthExpansionCallback::checkpointing).
///
/// burn-train saves a checkpoint before it calls the end-of-epoch hook.
pub struct MetricCheckpointing<S> {
    pub(crate) run: Arc<Run>,
    pub(crate) strategy: S,
}

impl<S: CheckpointingStrategy> CheckpointingStrategy for MetricCheckpointing<S> {
    fn checkpointing(
        &mut self,
        epoch: usize,
        store: &EventStoreClient,
    ) -> Vec<CheckpointingAction> {
        if let Err(error) = self.run.before_checkpoint(epoch, store) {
            self.run.fail(error);
            return Vec::new();
        }
        self.strategy.checkpointing(epoch, store)
    }
}
