use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use burn_core::module::Module;
use burn_grow_core::{Axis, Growable, Plan};
use burn_grow_optim::{
    Ramp, Rewarmup, RewarmupScope, StatePolicy, check_asymmetric, expand_optimizer,
};
use burn_optim::ModuleOptimizer;
use burn_train::train::WorkerFailure;
use burn_train::{Interrupter, TrainingError};

use crate::finite::check_nan;
use crate::{Clock, Event, ExpansionReport, TrainError};

pub(crate) type OnExpand = Box<dyn Fn(&ExpansionReport) + Send + Sync>;
pub(crate) type OnEvent = Box<dyn Fn(&Event<'_>) + Send + Sync>;

/// One planned expansion.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    /// The optimizer steps taken before.
    pub(crate) step: usize,
    pub(crate) plan: Plan,
}

/// What the callback, the wrapped model, its replicas and the hooks share: the decisions, fixed at
/// build time, and the little that is reported back.
pub(crate) struct Run {
    pub(crate) total_steps: usize,
    pub(crate) stages: Vec<Stage>,
    pub(crate) widths: BTreeMap<Axis, usize>,
    pub(crate) active_params: f64,
    pub(crate) policy: StatePolicy,
    pub(crate) rewarmup: Option<Rewarmup>,
    pub(crate) on_expand: Vec<OnExpand>,
    pub(crate) on_event: Vec<OnEvent>,
    pub(crate) interrupter: Mutex<Option<Interrupter>>,
    pub(crate) clock: Mutex<Clock>,
    pub(crate) failure: OnceLock<Arc<TrainError>>,
    pub(crate) optimizer_checked: OnceLock<()>,
}

impl core::fmt::Debug for Run {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Run")
            .field("total_steps", &self.total_steps)
            .field("stages", &self.stages.len())
            .field("clock", &*self.clock())
            .finish()
    }
}

impl Run {
    /// How far the run is, for display.
    pub(crate) fn clock(&self) -> MutexGuard<'_, Clock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stage due after `clock`, if any.
    pub(crate) fn due(&self, clock: Clock) -> Option<&Stage> {
        let stage = self.stages.get(clock.stage)?;
        (stage.step == clock.step).then_some(stage)
    }

    /// How many expansions a run has taken after `step` optimizer steps.
    pub(crate) fn stages_by(&self, step: usize) -> usize {
        self.stages
            .iter()
            .take_while(|stage| stage.step <= step)
            .count()
    }

    /// Checks once, before the first update, that a re-warmup will find a place in the optimizer.
    pub(crate) fn check_optimizer<M: Module>(
        &self,
        optim: &ModuleOptimizer,
        model: &M,
    ) -> Result<(), TrainError> {
        let needed = self.rewarmup.is_some() && !self.stages.is_empty();
        if needed && self.optimizer_checked.get().is_none() {
            check_asymmetric(optim, model)?;
            let _ = self.optimizer_checked.set(());
        }
        Ok(())
    }

    /// The re-warmup of an expansion at `clock`, and what it moves.
    pub(crate) fn ramp(&self, clock: Clock) -> Option<(Ramp, RewarmupScope)> {
        self.rewarmup.as_ref().map(|rewarmup| {
            let ramp = rewarmup.ramp(clock.step, self.total_steps);
            (ramp, rewarmup.scope)
        })
    }

    /// Expands model and optimizer together, or neither.
    pub(crate) fn expand<M: Growable>(
        &self,
        clock: Clock,
        stage: &Stage,
        model: &M,
        optim: &ModuleOptimizer,
    ) -> Result<(M, ModuleOptimizer), TrainError> {
        let start = Instant::now();
        let expansion = |source| TrainError::Expansion {
            stage: clock.stage,
            source,
        };
        check_nan(model, clock)?;
        let expanded = stage.plan.apply(model.clone()).map_err(expansion)?;
        let rewarmup = self.ramp(clock);
        let optim = match stage.plan.is_identity() {
            true => optim.clone(),
            false => expand_optimizer(optim, model, &stage.plan, self.policy, rewarmup)?,
        };
        let report = ExpansionReport::new(clock.stage, clock.step, &stage.plan, start.elapsed());
        log::info!("{report}");
        for hook in &self.on_expand {
            hook(&report);
        }
        Ok((expanded, optim))
    }

    /// Stops the run. An optimizer step can return no error, so this is its only way out.
    ///
    /// # Panics
    ///
    /// When the callback is attached to no training: going on in silence would be worse.
    pub(crate) fn fail(&self, error: TrainError) {
        let interrupter = self
            .interrupter
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let message = error.to_string();
        let _ = self.failure.set(Arc::new(error));
        match &*interrupter {
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
