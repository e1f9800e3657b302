use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use burn_core::module::Module;
use burn_grow_core::{Axis, Growable, Plan, training_flops};
use burn_grow_optim::{Ramp, RewarmupScope, expand_optimizer};
use burn_optim::ModuleOptimizer;
use burn_train::train::WorkerFailure;
use burn_train::{Interrupter, TrainingError};

use crate::checkpoint::Marks;
use crate::copies::Copies;
use crate::epoch_end::EpochEnd;
use crate::finite::check_nan;
use crate::growth::{check_rates, check_state};
use crate::growth_log::GrowthLog;
use crate::schedule::Schedule;
use crate::state::State;
use crate::{Event, ExpansionReport, Growth, Position, TrainError};

pub(crate) type OnExpand = Box<dyn Fn(&ExpansionReport) + Send + Sync>;
pub(crate) type OnEvent = Box<dyn Fn(&Event<'_>) + Send + Sync>;

/// What the callback, the wrapped model, its replicas and the hooks share: the decisions, fixed at
/// build time, and the little that is reported back.
pub(crate) struct Run {
    pub(crate) schedule: Schedule,
    pub(crate) marks: Marks,
    /// One for each stage of the schedule.
    pub(crate) plans: Vec<Plan>,
    /// One for each plan.
    pub(crate) growths: Vec<Growth>,
    pub(crate) widths: BTreeMap<Axis, usize>,
    pub(crate) active_params: f64,
    pub(crate) tokens_per_step: Option<usize>,
    /// What the metrics of copies show, if there are any.
    pub(crate) copies: Option<Mutex<Copies>>,
    pub(crate) growth_log: Option<GrowthLog>,
    pub(crate) on_expand: Vec<OnExpand>,
    pub(crate) on_event: Vec<OnEvent>,
    pub(crate) interrupter: Mutex<Option<Interrupter>>,
    pub(crate) reached: Mutex<Reached>,
    pub(crate) epoch_end: EpochEnd,
    pub(crate) failure: Mutex<Option<Arc<TrainError>>>,
    pub(crate) optimizer_checked: AtomicBool,
    pub(crate) state_checked: AtomicBool,
}

/// How far a run is, for display and for the hooks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reached {
    pub(crate) clock: Position,
    pub(crate) taken: Vec<usize>,
    pub(crate) rates: Rates,
}

/// The learning rates of one optimizer step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    /// The base rate, or where everything is re-warmed that.
    pub(crate) old: f64,
    /// Of those it added.
    pub(crate) new: f64,
}

impl core::fmt::Debug for Run {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Run")
            .field("schedule", &self.schedule)
            .field("reached", &*self.reached())
            .finish()
    }
}

impl Run {
    pub(crate) fn reached(&self) -> MutexGuard<'_, Reached> {
        lock(&self.reached)
    }

    pub(crate) fn reach(&self, state: &State, rates: Rates) {
        *self.reached() = Reached {
            clock: state.clock,
            taken: state.taken.clone(),
            rates,
        };
    }

    /// The plan that is due after `state`, if any.
    pub(crate) fn due(&self, state: &State) -> Option<&Plan> {
        let due = self
            .schedule
            .is_due(state.clock, &state.taken, &state.epochs);
        due.then(|| &self.plans[state.clock.stage])
    }

    /// Checks, before a step, that nothing is missing that a later decision needs.
    pub(crate) fn check<M: Module>(
        &self,
        state: &State,
        optim: &ModuleOptimizer,
        model: &M,
    ) -> Result<(), TrainError> {
        if self.schedule.watches(state.clock.stage) {
            if lock(&self.interrupter).is_none() {
                return Err(TrainError::Detached);
            }
            let step = state.clock.step;
            if self.epoch_end.is_lost(step) {
                return Err(TrainError::LostHook { step });
            }
        }
        // Once, before the first update: that a re-warmup will find a place in the optimizer.
        if !self.optimizer_checked.load(Ordering::Relaxed) {
            check_rates(optim, model, self.stages_from(0))?;
            self.optimizer_checked.store(true, Ordering::Relaxed);
        }
        let left = state.clock.stage < self.plans.len();
        // Once there is a state: better now than when the expansion is due.
        if left && state.clock.step > 0 && !self.state_checked.swap(true, Ordering::Relaxed) {
            check_state(optim, model, self.stages_from(state.clock.stage))?;
        }
        Ok(())
    }

    /// The plans of the stages from `stage` on, with what else they do.
    pub(crate) fn stages_from(&self, stage: usize) -> impl Iterator<Item = (&Plan, &Growth)> {
        self.plans.iter().zip(&self.growths).skip(stage)
    }

    /// Whether a stage re-warms anything.
    pub(crate) fn rewarms(&self) -> bool {
        self.growths.iter().any(|growth| growth.rewarmup.is_some())
    }

    /// The rates of the step after `state`, at base rate `base`.
    pub(crate) fn rates(&self, state: &mut State, base: f64) -> Rates {
        let taken = state.taken.iter().zip(self.stages_from(0));
        let last = taken.filter(|(_, (plan, _))| !plan.is_identity()).last();
        let Some((taken, rewarmup)) =
            last.and_then(|(taken, (_, growth))| Some((taken, growth.rewarmup.as_ref()?)))
        else {
            return Rates {
                old: base,
                new: base,
            };
        };
        let start = *state.start.get_or_insert(base);
        let age = state.clock.step - taken;
        let ramp = rewarmup.ramp(*taken, self.schedule.total_steps);
        let new = ramp.step_rate(age, *taken, start, base);
        let old = match rewarmup.scope {
            RewarmupScope::NewCoordinates => base,
            RewarmupScope::All => new,
        };
        Rates { old, new }
    }

    /// The re-warmup of the stage that `clock` stands before.
    pub(crate) fn ramp(&self, clock: Position) -> Option<Ramp> {
        let growth = self.growths.get(clock.stage)?;
        growth.ramp(clock.step, self.schedule.total_steps)
    }

    /// Expands model and optimizer together, or neither.
    pub(crate) fn expand<M: Growable>(
        &self,
        state: &State,
        plan: &Plan,
        model: &M,
        optim: &ModuleOptimizer,
    ) -> Result<(M, ModuleOptimizer), TrainError> {
        let start = Instant::now();
        let clock = state.clock;
        let expansion = |source| TrainError::Expansion {
            stage: clock.stage,
            source,
        };
        check_nan(model, clock)?;
        let expanded = plan.apply(model.clone()).map_err(expansion)?;
        let rewarmup = self.ramp(clock);
        let rules = &self.growths[clock.stage].state;
        let optim = expand_optimizer(optim, model, plan, rules.clone(), rewarmup)?;
        let (trigger, _) = &self.schedule.stages[clock.stage];
        let report = ExpansionReport::new(clock, trigger, plan, rules, start.elapsed());
        // A disk that takes no line takes no checkpoint of the wide model either.
        if let Some(log) = &self.growth_log {
            log.write(&report, &state.taken)?;
        }
        log::info!("{report}");
        for hook in &self.on_expand {
            hook(&report);
        }
        Ok((expanded, optim))
    }

    /// The active parameters after so many expansions.
    pub(crate) fn active_params(&self, stage: usize) -> f64 {
        let last = stage.checked_sub(1).and_then(|last| self.plans.get(last));
        last.map_or(self.active_params, |plan| plan.active_params().1)
    }

    /// The FLOPs so far, and those of the final width on as many tokens.
    pub(crate) fn flops(&self, reached: &Reached) -> (f64, f64) {
        let per_step = self.tokens_per_step.unwrap_or(0) as f64;
        let begins = core::iter::once(&0).chain(&reached.taken);
        let ends = reached.taken.iter().chain([&reached.clock.step]);
        let grown = begins.zip(ends).enumerate().map(|(stage, (begin, end))| {
            let tokens = (end - begin) as f64 * per_step;
            training_flops(self.active_params(stage), tokens)
        });
        let final_params = self.active_params(self.plans.len());
        let tokens = reached.clock.step as f64 * per_step;
        (grown.sum(), training_flops(final_params, tokens))
    }

    /// Stops the run. An optimizer step can return no error, so this is its only way out.
    ///
    /// # Panics
    ///
    /// When the callback is attached to no training: going on in silence would be worse.
    pub(crate) fn fail(&self, error: TrainError) {
        let message = error.to_string();
        lock(&self.failure).get_or_insert_with(|| Arc::new(error));
        self.stop(message);
    }

    /// Why the run was stopped, if it was.
    pub(crate) fn failure(&self) -> Option<Arc<TrainError>> {
        lock(&self.failure).clone()
    }

    /// Why the run was stopped, for its caller to keep.
    pub(crate) fn take_failure(&self) -> Option<Arc<TrainError>> {
        lock(&self.failure).take()
    }

    /// Begins a training, which stops through `interrupter`: nothing is left of one before.
    pub(crate) fn begin(&self, interrupter: Interrupter) {
        self.epoch_end.reset();
        *lock(&self.interrupter) = Some(interrupter);
        *lock(&self.failure) = None;
        *self.reached() = Reached::default();
        for checked in [&self.optimizer_checked, &self.state_checked] {
            checked.store(false, Ordering::Relaxed);
        }
    }

    /// Stops the run.
    ///
    /// # Panics
    ///
    /// As [`fail`](Self::fail).
    pub(crate) fn stop(&self, message: String) {
        match &*lock(&self.interrupter) {
            Some(interrupter) => interrupter.fail(TrainingError::Workers(vec![WorkerFailure {
                device_id: 0,
                message,
            }])),
            None => panic!("{message}"),
        }
    }

    pub(crate) fn emit(&self, event: &Event<'_>) {
        for observer in &self.on_event {
            observer(event);
        }
    }
}

/// The value behind a mutex, whether or not another thread panicked while it held it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
