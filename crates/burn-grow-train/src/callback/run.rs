//! One run under a callback: its decisions, and what is happening.

use std::sync::{Arc, Mutex, MutexGuard};

use burn_core::module::Module;
use burn_grow_core::verify::grown_rms;
use burn_optim::ModuleOptimizer;
use burn_train::train::WorkerFailure;
use burn_train::{Interrupter, TrainingError};

use super::decisions::{Decisions, Rates};
use super::threads::Threads;
use crate::checkpoint::State;
use crate::deviation::{Deviation, FirstEpoch};
use crate::growth::{check_rates, check_state};
use crate::monitor::{Copies, EpochEnd};
use crate::sync::lock;
use crate::{Position, Rehearsal, TrainError};

/// What the callback, the wrapped model, its replicas, the metrics and the hooks share.
pub(crate) struct Run {
    pub(crate) decisions: Decisions,
    session: Mutex<Session>,
}

/// What is happening in a training, from one attachment to the next.
#[derive(Default)]
pub(crate) struct Session {
    interrupter: Option<Interrupter>,
    failure: Option<Arc<TrainError>>,
    pub(crate) reached: Reached,
    pub(crate) epoch_end: EpochEnd,
    /// What the metrics of copies show.
    pub(crate) copies: Copies,
    optimizer_checked: bool,
    state_checked: bool,
    rehearsing: bool,
    rehearsal: Option<Rehearsal>,
    pub(crate) first_epoch: FirstEpochEnd,
    /// The epoch after which an early stopping ended the training.
    pub(crate) stopped: Option<usize>,
    /// The step that the devices were last seeded for.
    seeded: Option<usize>,
    pub(crate) threads: Threads,
}

/// What is known of a training before its first epoch ends, and what was found then.
#[derive(Default)]
pub(crate) struct FirstEpochEnd {
    /// The number of epochs.
    pub(crate) epochs: Option<usize>,
    /// The items of an epoch.
    pub(crate) items: Option<usize>,
    /// The optimizer steps taken before the training.
    pub(crate) begun: usize,
    /// `None` before the end.
    pub(crate) deviations: Option<Vec<Deviation>>,
}

/// How far the training is, for metrics and hooks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reached {
    pub(crate) position: Position,
    /// The steps before each expansion taken.
    pub(crate) taken: Vec<usize>,
    pub(crate) rates: Rates,
}

impl core::fmt::Debug for Run {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Run")
            .field("schedule", &self.decisions.schedule)
            .field("reached", &self.session().reached)
            .finish()
    }
}

impl Run {
    pub(crate) fn new(decisions: Decisions) -> Self {
        Self {
            decisions,
            session: Mutex::default(),
        }
    }

    /// Locks the session. Code of the user is never called with the lock.
    pub(crate) fn session(&self) -> MutexGuard<'_, Session> {
        lock(&self.session)
    }

    /// Begins a training, which stops through `interrupter`: nothing is left of one before.
    pub(crate) fn begin(&self, interrupter: Interrupter) {
        *self.session() = Session {
            interrupter: Some(interrupter),
            ..Session::default()
        };
    }

    /// Tells metrics and hooks how far the training is.
    pub(crate) fn reach(&self, state: &State, rates: Rates) {
        self.session().reached = Reached {
            position: state.position,
            taken: state.taken.clone(),
            rates,
        };
    }

    /// Returns true if the callback is attached to a training.
    pub(crate) fn is_attached(&self) -> bool {
        self.session().interrupter.is_some()
    }

    /// Stops the run, and keeps the first error as its [`failure`](Self::failure). An optimizer
    /// step can return no error, so this is its only way out.
    pub(crate) fn fail(&self, error: TrainError) {
        log::error!("{error}");
        let mut session = self.session();
        session.failure.get_or_insert_with(|| Arc::new(error));
        session.stop();
    }

    /// Returns true if the run has failed, and stops it once more: it goes on where its interrupter
    /// was replaced after `attach`, or where nobody has asked that one yet.
    pub(crate) fn has_failed(&self) -> bool {
        let session = self.session();
        session.stop();
        session.failure.is_some()
    }

    /// Returns why the run was stopped, if it was.
    pub(crate) fn failure(&self) -> Option<Arc<TrainError>> {
        self.session().failure.clone()
    }

    /// Why the run was stopped, for its caller to keep.
    pub(crate) fn take_failure(&self) -> Option<Arc<TrainError>> {
        self.session().failure.take()
    }

    /// Compares, at the end of the first epoch of a training, how long it will be with what the
    /// builder was told.
    ///
    /// # Errors
    ///
    /// When more epochs follow, and an expansion lies beyond them.
    pub(crate) fn compare_plan(&self, epoch: usize) -> Result<(), TrainError> {
        let (epochs, items, begun, position) = {
            let session = self.session();
            let first = &session.first_epoch;
            let (Some(epochs), None) = (first.epochs, &first.deviations) else {
                return Ok(());
            };
            (epochs, first.items, first.begun, session.reached.position)
        };
        let (steps, left) = (position.step - begun, epochs.saturating_sub(epoch));
        let projected = position.step + steps * left;
        let deviations = self.decisions.deviations(FirstEpoch {
            steps,
            projected,
            items,
        });
        for deviation in &deviations {
            log::warn!("{deviation}");
        }
        self.session().first_epoch.deviations = Some(deviations);
        let schedule = &self.decisions.schedule;
        let beyond = schedule.beyond(position.stage, projected);
        match beyond.filter(|_| left > 0 && !self.decisions.in_parts) {
            None => Ok(()),
            Some((stage, step)) => Err(TrainError::OutOfReach {
                stage,
                step,
                at: Box::new(schedule.stages[stage].0.clone()),
                steps,
                epochs,
                projected,
                total_steps: schedule.total_steps,
            }),
        }
    }

    /// Returns how the first epoch differed from what the builder was told.
    pub(crate) fn deviations(&self) -> Vec<Deviation> {
        let deviations = self.session().first_epoch.deviations.clone();
        deviations.unwrap_or_default()
    }

    /// Returns what a run at `position` did not do as planned, if anything.
    pub(crate) fn shortfall(&self, position: Position) -> Option<TrainError> {
        let untouched = position == Position::default() && !self.is_attached();
        if untouched && !self.decisions.plans.is_empty() {
            return Some(TrainError::Detached);
        }
        let stopped = self.session().stopped;
        self.decisions.schedule.shortfall(position, stopped)
    }

    /// Notes that a step of the model begins, on its batch: a training that nobody attached has
    /// failed, and the devices are seeded for the first batch of an optimizer step.
    pub(crate) fn begin_step<M: Module>(&self, model: &M, step: usize) {
        if !self.is_attached() {
            if self.failure().is_none() {
                self.fail(TrainError::Detached);
            }
        } else if self.decisions.random_seed.is_some()
            && self.session().seeded.replace(step) != Some(step)
        {
            self.decisions.seed(&model.devices(), step);
        }
    }

    /// Returns true if the model was trained outside of a training that the callback is attached
    /// to.
    pub(crate) fn is_astray(&self) -> bool {
        let failure = self.failure();
        failure.is_some_and(|failure| matches!(*failure, TrainError::Detached))
    }

    /// Returns true the first time that it is asked in a training.
    pub(crate) fn begin_rehearsal(&self) -> bool {
        !core::mem::replace(&mut self.session().rehearsing, true)
    }

    /// Keeps what a rehearsal found.
    pub(crate) fn rehearsed(&self, found: Rehearsal) {
        log::info!("{found}");
        self.session().rehearsal = Some(found);
    }

    /// Returns what the rehearsal found, if there was one.
    pub(crate) fn rehearsal(&self) -> Option<Rehearsal> {
        self.session().rehearsal.clone()
    }

    /// Adds to `state` the metrics of an epoch that ended just now.
    pub(crate) fn record_epoch(&self, state: &mut State) {
        if self.decisions.schedule.watches(state.position.stage)
            && let Some(record) = self.session().epoch_end.record()
        {
            state.record(record);
        }
    }

    /// Checks, before a step of an attached training, that nothing is missing that a later decision
    /// needs.
    ///
    /// # Errors
    ///
    /// When the callback is not attached, the end of an epoch went by unseen that a trigger
    /// watches, or the optimizer cannot follow.
    pub(crate) fn check<M: Module>(
        &self,
        state: &State,
        optim: &ModuleOptimizer,
        model: &M,
    ) -> Result<(), TrainError> {
        if !self.is_attached() {
            return Err(TrainError::Detached);
        }
        let Position { step, stage } = state.position;
        if self.decisions.schedule.watches(stage) && self.session().epoch_end.is_lost(step) {
            return Err(TrainError::LostHook { step });
        }
        self.check_optimizer(state, optim, model)
    }

    /// Checks that the optimizer can follow the stages left, as early as that can be told: its
    /// learning rates before the first step, its state once there is any.
    pub(crate) fn check_optimizer<M: Module>(
        &self,
        state: &State,
        optim: &ModuleOptimizer,
        model: &M,
    ) -> Result<(), TrainError> {
        let (rates_checked, state_checked) = {
            let session = self.session();
            (session.optimizer_checked, session.state_checked)
        };
        let Position { step, stage } = state.position;
        if !rates_checked {
            check_rates(optim, model, self.decisions.stages_from(0))?;
            self.session().optimizer_checked = true;
        }
        if !state_checked && step > 0 && stage < self.decisions.plans.len() {
            self.session().state_checked = true;
            check_state(optim, model, self.decisions.stages_from(stage))?;
        }
        Ok(())
    }

    /// Remembers, before the first step after an expansion, the RMS of what grew, if a metric shows
    /// it.
    pub(crate) fn remember_rms<M: Module>(
        &self,
        model: &M,
        state: &mut State,
    ) -> Result<(), TrainError> {
        if self.decisions.copy_metrics
            && state.rms.is_none()
            && let Some(plan) = self.decisions.last_grown(state.position.stage)
        {
            state.rms = grown_rms(model, plan)?.map(|rms| rms.all);
        }
        Ok(())
    }
}

impl Session {
    /// Lets burn-train stop, if there is a failure and a training.
    fn stop(&self) {
        if let (Some(failure), Some(interrupter)) = (&self.failure, &self.interrupter) {
            interrupter.fail(TrainingError::Workers(vec![WorkerFailure {
                device_id: 0,
                message: failure.to_string(),
            }]));
        }
    }
}
