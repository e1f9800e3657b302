//! The wrapped model, whose optimizer step counts and expands.

use core::any::Any;
use core::fmt;
use std::sync::Arc;

use burn_core::module::{Devices, Module, ModuleMapper, ModuleVisitor};
use burn_core::store::{ModuleRecord, RecordError};
use burn_core::tensor::Device;
use burn_grow_core::Growable;
use burn_optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn_optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn_train::{InferenceStep, TrainOutput, TrainStep};

use super::decisions::Rates;
use super::hooks::Moment;
use super::run::Run;
use crate::checkpoint::{
    CheckpointError, Pages, Recorded, State, check_steps, decode, encode, loadable,
};
use crate::rehearsal::rehearse;
use crate::{Position, TrainError};

/// Model that widens while a [`Learner`](burn_train::Learner) trains it, made by
/// [`WidthExpansionCallback::wrap`](crate::WidthExpansionCallback::wrap).
///
/// Everything is delegated to the model inside, under its own parameter paths; the optimizer step
/// also counts and expands. It steps in a training that the callback is attached to. Anywhere else,
/// as in a loop that steps the optimizer itself, the model stays as it is from its first
/// [`TrainStep::step`] on, and [`grown`](Self::grown) returns the reason. For such loops there is
/// [`GrowthLoop`](crate::GrowthLoop).
///
/// A record holds the model, the [`Position`] and what triggers decide on. It loads into the narrow
/// model that the run began with, replaying the expansions for their shapes. It loads into the bare
/// wide model, too, with [`allow_unused`](ModuleRecord::allow_unused) for the rest.
#[derive(Clone)]
pub struct Growing<M> {
    inner: M,
    state: State,
    run: Arc<Run>,
    rehearsal: Option<RehearsalDue<M>>,
}

/// The rehearsal that the first batch begins.
#[derive(Clone)]
struct RehearsalDue<M> {
    /// The gradients of a step of a model on a batch, which is a [`TrainStep::Input`] of it.
    step: fn(&M, &dyn Any) -> GradientsParams,
    /// The most parameters that a copy may have.
    limit: Option<usize>,
}

impl<M> Growing<M> {
    pub(crate) fn new(inner: M, run: Arc<Run>) -> Self {
        Self {
            inner,
            state: State::default(),
            run,
            rehearsal: None,
        }
    }

    /// Returns the model inside.
    pub fn inner(&self) -> &M {
        &self.inner
    }

    /// Returns the model inside, at its present width, however the run went.
    pub fn into_inner(self) -> M {
        self.inner
    }

    /// The model inside, and what its run remembers.
    pub(super) fn into_parts(self) -> (M, State) {
        (self.inner, self.state)
    }

    /// Returns the position of the run.
    pub fn position(&self) -> Position {
        self.state.position
    }

    /// Returns what did not go as planned so far: an expansion that has not come, or more optimizer
    /// steps than the callback was told ([`TrainError::NotExpanded`], [`TrainError::Overrun`]).
    pub fn shortfall(&self) -> Option<TrainError> {
        self.run.shortfall(self.state.position)
    }

    /// Returns the model of a run that went as planned.
    ///
    /// # Errors
    ///
    /// The reason why the callback stopped the run, if it did, else the
    /// [`shortfall`](Self::shortfall). [`into_inner`](Self::into_inner) returns the model all the
    /// same.
    pub fn grown(self) -> Result<M, TrainError> {
        if let Some(failure) = self.run.failure() {
            return Err(TrainError::Shared(failure));
        }
        match self.shortfall() {
            Some(shortfall) => Err(shortfall),
            None => Ok(self.inner),
        }
    }

    fn map_inner(self, map: impl FnOnce(M) -> M) -> Self {
        Self {
            inner: map(self.inner),
            ..self
        }
    }
}

impl<M: Growable> Growing<M> {
    /// Takes one optimizer step at base rate `base` with `update`, then every expansion that is
    /// due. The gradients of the step have the narrow shapes, and are used up when the model
    /// widens.
    fn advance(
        mut self,
        optim: &mut ModuleOptimizer,
        base: f64,
        update: impl FnOnce(M, &mut ModuleOptimizer) -> M,
    ) -> Self {
        if self.run.has_failed() {
            return self;
        }
        let rates = match self.prepare(optim, base) {
            Ok(rates) => rates,
            Err(error) => {
                self.run.fail(error);
                return self;
            }
        };
        self.inner = update(self.inner, optim);
        self.state.position.step += 1;
        if let Err(error) = self.expand_due(optim) {
            self.run.fail(error);
        }
        self.run.reach(&self.state, rates);
        self.run.optimized(&self.inner, self.state.position);
        self
    }

    /// Notes and checks what has to be known before a step at base rate `base`.
    fn prepare(&mut self, optim: &ModuleOptimizer, base: f64) -> Result<Rates, TrainError> {
        let Self {
            inner, state, run, ..
        } = self;
        run.record_epoch(state);
        run.check(state, optim, inner)?;
        run.remember_rms(inner, state)?;
        Ok(run.decisions.rates(state, base))
    }

    /// Takes every expansion that is due.
    fn expand_due(&mut self, optim: &mut ModuleOptimizer) -> Result<(), TrainError> {
        let decisions = &self.run.decisions;
        while let Some(plan) = decisions.due(&self.state) {
            let expanded = decisions.expand(&self.state, plan, &self.inner, optim)?;
            (self.inner, *optim) = expanded;
            self.state.expanded(!plan.is_identity());
        }
        Ok(())
    }

    /// Loads a record without telling a training that shares the callback.
    pub(crate) fn load(self, record: ModuleRecord) -> Result<Self, CheckpointError> {
        let text = Pages::text(record.clone())?;
        let state = decode(&text, &self.run.decisions.marks)?;
        let replayed = self.replay(state)?;
        // The record of the run is left in the record of the model.
        let record = record.allow_unused(true);
        let inner = loadable(replayed.inner).try_load_record(record)?;
        Ok(Self { inner, ..replayed })
    }

    /// Widens the model to the stage that `state` is in.
    pub(crate) fn replay(self, state: State) -> Result<Self, CheckpointError> {
        let position = state.position;
        check_steps(&self.run.decisions.schedule, position, &state.taken)?;
        let begun = self.state.position.stage;
        if position.stage < begun {
            return Err(CheckpointError::Behind {
                found: position.stage,
                taken: begun,
            });
        }
        let last = state.epochs.last();
        if last.is_some_and(|last| last.step != position.step)
            && self.run.decisions.schedule.watches(position.stage)
        {
            return Err(CheckpointError::NoMetrics);
        }
        let mut inner = self.inner;
        for plan in &self.run.decisions.plans[begun..position.stage] {
            inner = plan.apply(inner)?;
        }
        Ok(Self {
            inner,
            state,
            ..self
        })
    }
}

impl<M> Growing<M> {
    /// What a record holds besides the model.
    fn pages(&self) -> Pages {
        let mut state = self.state.clone();
        self.run.record_epoch(&mut state);
        Pages::of(&encode(&state, &self.run.decisions.marks))
    }
}

impl<M> Growing<M>
where
    M: TrainStep + Growable,
    M::Input: Clone,
{
    /// Rehearses the expansions on the first batch that the model is trained on, as
    /// [`train`](crate::WidthExpansionCallback::train) does by itself: see
    /// [`WidthExpansionCallback::rehearse`](crate::WidthExpansionCallback::rehearse). One that does
    /// not pass stops the run before its first optimizer step.
    pub fn rehearsing(self) -> Self {
        self.rehearsing_within(None)
    }

    /// Rehearses with copies of at most `limit` parameters.
    pub(crate) fn rehearsing_within(self, limit: Option<usize>) -> Self {
        let step = |model: &M, batch: &dyn Any| match batch.downcast_ref::<M::Input>() {
            Some(batch) => TrainStep::step(model, batch.clone()).grads,
            None => GradientsParams::new(),
        };
        Self {
            rehearsal: Some(RehearsalDue { step, limit }),
            ..self
        }
    }
}

impl<M: Growable> Growing<M> {
    /// Rehearses what is left of the run on `batch`, and stops the run if it does not pass.
    fn rehearse(&self, due: &RehearsalDue<M>, batch: &dyn Any) {
        let (run, Position { step, stage }) = (&self.run, self.state.position);
        let devices = self.inner.devices();
        let step = |model: &M| {
            run.decisions.seed(&devices, step);
            (due.step)(model, batch)
        };
        let left = run.decisions.stages().skip(stage);
        match rehearse(left, &self.inner, due.limit, step) {
            Ok(found) => run.rehearsed(found),
            Err(error) => run.fail(error),
        }
    }
}

impl<M: TrainStep + Growable> TrainStep for Growing<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: Self::Input) -> TrainOutput<Self::Output> {
        if let Some(rehearsal) = &self.rehearsal
            && self.run.is_attached()
            && self.run.begin_rehearsal()
        {
            self.rehearse(rehearsal, &item);
        }
        self.run.begin_step(&self.inner, self.state.position.step);
        let output = self.inner.step(item);
        self.run.stepped(&self.inner, self.state.position);
        output
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

    fn valid(&self) -> Self {
        self.run
            .notice(Moment::Validation, &self.inner, &self.state);
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
        // An optimizer that somebody else steps would train a model that never widens.
        if self.run.is_astray() {
            return self;
        }
        self.map_inner(|inner| inner.map(mapper))
    }

    fn into_record(self) -> ModuleRecord {
        self.run.notice(Moment::Saving, &self.inner, &self.state);
        let pages = self.pages();
        Recorded::new(self.inner, pages).into_record()
    }

    fn try_load_record(self, record: ModuleRecord) -> Result<Self, RecordError> {
        let loaded = self.load(record)?;
        loaded
            .run
            .notice(Moment::Loaded, &loaded.inner, &loaded.state);
        Ok(loaded)
    }
}

impl<M: fmt::Debug> fmt::Debug for Growing<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Growing")
            .field("inner", &self.inner)
            .field("position", &self.state.position)
            .finish()
    }
}

impl<M: fmt::Display> fmt::Display for Growing<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
