use core::fmt;
use std::sync::Arc;

use burn_core::module::{Devices, Module, ModuleMapper, ModuleVisitor, Param};
use burn_core::store::{ModuleRecord, RecordError};
use burn_core::tensor::{Device, Int, Tensor};
use burn_grow_core::Growable;
use burn_optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn_optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn_train::{InferenceStep, TrainOutput, TrainStep};

use crate::Clock;
use crate::clock::CLOCK;
use crate::run::Run;
use crate::saved_order::loadable;

/// A model that widens while a [`Learner`](burn_train::Learner) trains it.
///
/// Made by [`WidthExpansionCallback::progressive`](crate::WidthExpansionCallback::progressive).
/// Everything is delegated to the model inside, under its own parameter paths; the optimizer step
/// also counts and expands. Records hold the model and the [`Clock`], so a checkpoint loads into the
/// narrow model the run began with, replaying the expansions for their shapes. It loads into the bare
/// model, too, with [`allow_unused`](ModuleRecord::allow_unused) for the clock.
#[derive(Clone)]
pub struct Progressive<M> {
    inner: M,
    clock: Clock,
    run: Arc<Run>,
}

impl<M> Progressive<M> {
    pub(crate) fn new(inner: M, run: Arc<Run>) -> Self {
        Self {
            inner,
            clock: Clock::default(),
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

    /// How far the run is.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    fn map_inner<N>(self, map: impl FnOnce(M) -> N) -> Progressive<N> {
        Progressive {
            inner: map(self.inner),
            clock: self.clock,
            run: self.run,
        }
    }
}

impl<M: Growable> Progressive<M> {
    /// Takes one optimizer step with `update`, then every expansion that is due.
    ///
    /// The gradients of this step have the narrow shapes and are used up when the model widens.
    fn advance(
        mut self,
        optim: &mut ModuleOptimizer,
        update: impl FnOnce(M, &mut ModuleOptimizer) -> M,
    ) -> Self {
        if self.run.failure.get().is_some() {
            return self;
        }
        if let Err(error) = self.run.check_optimizer(optim, &self.inner) {
            self.run.fail(error);
            return self;
        }
        self.inner = update(self.inner, optim);
        self.clock.step += 1;
        while let Some(stage) = self.run.due(self.clock) {
            match self.run.expand(self.clock, stage, &self.inner, optim) {
                Ok((inner, expanded)) => {
                    self.inner = inner;
                    *optim = expanded;
                    self.clock.stage += 1;
                }
                Err(error) => {
                    self.run.fail(error);
                    break;
                }
            }
        }
        *self.run.clock() = self.clock;
        self
    }

    /// Widens the model to the stage that `clock` is in.
    pub(crate) fn replay(self, clock: Clock) -> Result<Self, RecordError> {
        let expected = self.run.stages_by(clock.step);
        if clock.stage != expected {
            return Err(RecordError::Validation(format!(
                "the record was saved after step {} and {} expansions, but this callback plans {} \
                 until there: an expansion added to a resumed run comes at step {} or later",
                clock.step,
                clock.stage,
                expected,
                clock.step + 1
            )));
        }
        if clock.stage < self.clock.stage {
            return Err(RecordError::Validation(format!(
                "the record was saved after {} expansions, but the model has already taken {}",
                clock.stage, self.clock.stage
            )));
        }
        let mut inner = self.inner;
        for stage in &self.run.stages[self.clock.stage..clock.stage] {
            inner = stage
                .plan
                .apply(inner)
                .map_err(|error| RecordError::Validation(error.to_string()))?;
        }
        Ok(Self {
            inner,
            clock,
            run: self.run,
        })
    }
}

impl<M: TrainStep + Growable> TrainStep for Progressive<M> {
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
        self.advance(optim, |inner, optim| inner.optimize(optim, lr, grads))
    }

    fn optimize_multi(
        self,
        optim: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        grads: MultiGradientsParams,
    ) -> Self {
        self.advance(optim, |inner, optim| inner.optimize_multi(optim, lr, grads))
    }
}

impl<M: InferenceStep> InferenceStep for Progressive<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: Self::Input) -> Self::Output {
        self.inner.step(item)
    }
}

impl<M: Growable> Module for Progressive<M> {
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
        self.run.stop_on_nan(&self.inner, self.clock);
        self.clone().map_inner(|inner| inner.valid())
    }

    fn materialize(self) -> Self {
        self.map_inner(Module::materialize)
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.inner.visit(visitor);
        visitor.enter_module(CLOCK, "Struct:Progressive");
        visitor.visit_int(&self.clock.param());
        visitor.exit_module(CLOCK, "Struct:Progressive");
    }

    // The clock is not mapped: reading it back would cost a tensor every optimizer step.
    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        self.map_inner(|inner| inner.map(mapper))
    }

    fn try_load_record(self, record: ModuleRecord) -> Result<Self, RecordError> {
        let clock = Clock::of_record(record.clone())?;
        let replayed = self.replay(clock)?;
        let run = replayed.run.clone();
        let loading = Loading {
            inner: loadable(replayed.inner),
            clock: clock.param(),
        };
        let loaded = loading.try_load_record(record)?;
        *run.clock() = clock;
        Ok(Self {
            inner: loaded.inner,
            clock,
            run,
        })
    }
}

impl<M: fmt::Debug> fmt::Debug for Progressive<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progressive")
            .field("inner", &self.inner)
            .field("clock", &self.clock)
            .finish()
    }
}

impl<M: fmt::Display> fmt::Display for Progressive<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// A model beside its clock, both mapped, so that loading a record leaves nothing of it unused.
#[derive(Clone, Debug)]
struct Loading<M> {
    inner: M,
    clock: Param<Tensor<1, Int>>,
}

impl<M: Module> Module for Loading<M> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.inner.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        let inner = self.inner.fork(device);
        Self { inner, ..self }
    }

    fn to_device(self, device: &Device) -> Self {
        let inner = self.inner.to_device(device);
        Self { inner, ..self }
    }

    fn train(self) -> Self {
        let inner = self.inner.train();
        Self { inner, ..self }
    }

    fn valid(&self) -> Self {
        Self {
            inner: self.inner.valid(),
            clock: self.clock.clone(),
        }
    }

    fn materialize(self) -> Self {
        let inner = self.inner.materialize();
        Self { inner, ..self }
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.inner.visit(visitor);
    }

    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        let inner = self.inner.map(mapper);
        mapper.enter_module(CLOCK, "Struct:Progressive");
        let clock = mapper.map_int(self.clock);
        mapper.exit_module(CLOCK, "Struct:Progressive");
        Self { inner, clock }
    }
}
