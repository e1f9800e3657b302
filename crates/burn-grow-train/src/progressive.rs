use core::fmt;
use std::sync::Arc;

use burn_core::module::{Devices, Module, ModuleMapper, ModuleVisitor};
use burn_core::store::{ModuleRecord, RecordError};
use burn_core::tensor::Device;
use burn_grow_core::Growable;
use burn_optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn_optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn_train::{InferenceStep, TrainOutput, TrainStep};

use crate::checkpoint::{CheckpointError, Pages, Recorded, decode, encode};
use crate::run::{Rates, Run};
use crate::saved_order::loadable;
use crate::state::State;
use crate::{Position, TrainError};

/// A model that widens while a [`Learner`](burn_train::Learner) trains it.
///
/// Made by [`WidthExpansionCallback::wrap`](crate::WidthExpansionCallback::wrap).
/// Everything is delegated to the model inside, under its own parameter paths; the optimizer step
/// also counts and expands. Records hold the model, the [`Position`] and what triggers decide on, so a
/// checkpoint loads into the narrow model the run began with, replaying the expansions for their shapes.
/// It loads into the bare model, too, with [`allow_unused`](ModuleRecord::allow_unused) for the rest.
#[derive(Clone)]
pub struct Growing<M> {
    inner: M,
    state: State,
    run: Arc<Run>,
}

impl<M> Growing<M> {
    pub(crate) fn new(inner: M, run: Arc<Run>) -> Self {
        Self {
            inner,
            state: State::default(),
            run,
        }
    }

    /// The model inside.
    pub fn inner(&self) -> &M {
        &self.inner
    }

    /// The model inside, at its present width.
    pub fn into_inner(self) -> M {
        self.inner
    }

    /// The model inside, and what its run remembers.
    pub(crate) fn into_parts(self) -> (M, State) {
        (self.inner, self.state)
    }

    /// How far the run is.
    pub fn clock(&self) -> Position {
        self.state.clock
    }

    /// What did not go as planned, so far: an expansion that has not come, or more optimizer steps
    /// than the callback was told ([`TrainError::NotExpanded`], [`TrainError::Overrun`]).
    pub fn shortfall(&self) -> Option<TrainError> {
        self.run.schedule.shortfall(self.state.clock)
    }

    /// Returns the model of a run that went as planned.
    ///
    /// # Errors
    ///
    /// The [`shortfall`](Self::shortfall). [`into_inner`](Self::into_inner) returns the model all the
    /// same.
    pub fn grown(self) -> Result<M, TrainError> {
        match self.shortfall() {
            Some(shortfall) => Err(shortfall),
            None => Ok(self.inner),
        }
    }

    fn map_inner<N>(self, map: impl FnOnce(M) -> N) -> Growing<N> {
        Growing {
            inner: map(self.inner),
            state: self.state,
            run: self.run,
        }
    }
}

impl<M: Growable> Growing<M> {
    /// Takes one optimizer step at base rate `base` with `update`, then every expansion that is due.
    ///
    /// The gradients of this step have the narrow shapes and are used up when the model widens.
    fn advance(
        mut self,
        optim: &mut ModuleOptimizer,
        base: f64,
        update: impl FnOnce(M, &mut ModuleOptimizer) -> M,
    ) -> Self {
        // The loop goes on where its interrupter was replaced after `attach`, or heard nothing yet.
        if let Some(failure) = self.run.failure() {
            self.run.stop(failure.to_string());
            return self;
        }
        self.run.record_epoch(&mut self.state);
        let checked = self.run.check(&self.state, optim, &self.inner);
        let ready = checked.and_then(|()| self.run.remember_rms(&self.inner, &mut self.state));
        if let Err(error) = ready {
            self.run.fail(error);
            return self;
        }
        let rates = self.run.rates(&mut self.state, base);
        self.inner = update(self.inner, optim);
        self.state.clock.step += 1;
        while let Some(plan) = self.run.due(&self.state) {
            match self.run.expand(&self.state, plan, &self.inner, optim) {
                Ok((inner, expanded)) => {
                    self.inner = inner;
                    *optim = expanded;
                    self.state.expanded(!plan.is_identity());
                }
                Err(error) => {
                    self.run.fail(error);
                    break;
                }
            }
        }
        self.run.reach(&self.state, rates);
        self
    }

    /// Loads a record, whatever a training that shares the callback is doing.
    pub(crate) fn load(self, record: ModuleRecord) -> Result<Self, CheckpointError> {
        let text = Pages::text(record.clone())?;
        let state = decode(&text, &self.run.marks)?;
        let Self { inner, state, run } = self.replay(state)?;
        // The record of the run is left in the record of the model.
        let record = record.allow_unused(true);
        let inner = loadable(inner).try_load_record(record)?;
        Ok(Self { inner, state, run })
    }

    /// Widens the model to the stage that `state` is in.
    pub(crate) fn replay(self, state: State) -> Result<Self, CheckpointError> {
        let clock = state.clock;
        self.run.schedule.check_taken(clock, &state.taken)?;
        let begun = self.state.clock.stage;
        if clock.stage < begun {
            return Err(CheckpointError::Behind {
                found: clock.stage,
                taken: begun,
            });
        }
        let last = state.epochs.last();
        if last.is_some_and(|last| last.step != clock.step)
            && self.run.schedule.watches(clock.stage)
        {
            return Err(CheckpointError::NoMetrics);
        }
        let mut inner = self.inner;
        for plan in &self.run.plans[begun..clock.stage] {
            inner = plan.apply(inner)?;
        }
        Ok(Self {
            inner,
            state,
            run: self.run,
        })
    }
}

impl<M> Growing<M> {
    /// What a record holds besides the model.
    fn pages(&self) -> Pages {
        let mut state = self.state.clone();
        self.run.record_epoch(&mut state);
        Pages::of(&encode(&state, &self.run.marks))
    }
}

impl<M: TrainStep + Growable> TrainStep for Growing<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: Self::Input) -> TrainOutput<Self::Output> {
        self.inner.step(item)
    }

    fn optimize(
        self,
        optim: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        grads: GradientsParams,
    ) -> Self {
        let base = lr.base();
        self.advance(optim, base, |inner, optim| inner.optimize(optim, lr, grads))
    }

    fn optimize_multi(
        self,
        optim: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        grads: MultiGradientsParams,
    ) -> Self {
        let base = lr.base();
        self.advance(optim, base, |inner, optim| {
            inner.optimize_multi(optim, lr, grads)
        })
    }
}

impl<M: InferenceStep> InferenceStep for Growing<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: Self::Input) -> Self::Output {
        self.inner.step(item)
    }
}

impl<M: Growable> Module for Growing<M> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.inner.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        self.map_inner(|inner| inner.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.map_inner(|inner| inner.to_device(device))
    }

    fn train(self) -> Self {
        self.map_inner(Module::train)
    }

    // burn-train validates between the last step of an epoch and its checkpoint.
    fn valid(&self) -> Self {
        let clock = self.state.clock;
        self.run.epoch_end.validated(clock.step);
        self.run.stop_on_nan(&self.inner, clock);
        if let Err(error) = self.run.look_at_copies(&self.inner, &self.state) {
            self.run.fail(error);
        }
        self.clone().map_inner(|inner| inner.valid())
    }

    fn materialize(self) -> Self {
        self.map_inner(Module::materialize)
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.inner.visit(visitor);
        self.pages().visit(visitor);
    }

    // The state is not mapped: reading it back would cost a tensor every optimizer step.
    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        self.map_inner(|inner| inner.map(mapper))
    }

    fn into_record(self) -> ModuleRecord {
        self.run.epoch_end.saved(self.state.clock.step);
        let pages = self.pages();
        Recorded::new(self.inner, pages).into_record()
    }

    fn try_load_record(self, record: ModuleRecord) -> Result<Self, RecordError> {
        let loaded = self.load(record)?;
        loaded.run.reach(&loaded.state, Rates::default());
        Ok(loaded)
    }
}

impl<M: fmt::Debug> fmt::Debug for Growing<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Growing")
            .field("inner", &self.inner)
            .field("clock", &self.state.clock)
            .finish()
    }
}

impl<M: fmt::Display> fmt::Display for Growing<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
