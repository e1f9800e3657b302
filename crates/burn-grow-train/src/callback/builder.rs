//! Settings of a callback, and the planning of its expansions.

use std::path::PathBuf;
use std::sync::Arc;

use burn_grow_core::{Blueprint, Growable, Plan};

use super::attach::WidthExpansionCallback;
use super::decisions::{Decisions, OnEvent, OnExpand};
use super::run::Run;
use crate::checkpoint::Marks;
use crate::monitor::GrowthLog;
use crate::trigger::{Schedule, Units};
use crate::{At, Event, ExpansionReport, Growth, Refractory, TrainError};

/// Collects what a [`WidthExpansionCallback`] does.
pub struct WidthExpansionBuilder {
    units: Units,
    growths: Vec<(At, Growth)>,
    refractory: Refractory,
    growth_log: Option<PathBuf>,
    copy_metrics: bool,
    in_parts: bool,
    random_seed: Option<u64>,
    on_expand: Vec<OnExpand>,
    on_event: Vec<OnEvent>,
}

impl WidthExpansionCallback {
    /// Begins a callback for a run of `total_steps` optimizer steps.
    pub fn builder(total_steps: usize) -> WidthExpansionBuilder {
        WidthExpansionBuilder::new(total_steps)
    }
}

impl WidthExpansionBuilder {
    fn new(total_steps: usize) -> Self {
        Self {
            units: Units {
                total_steps,
                ..Units::default()
            },
            growths: Vec::new(),
            refractory: Refractory::default(),
            growth_log: None,
            copy_metrics: false,
            in_parts: false,
            random_seed: None,
            on_expand: Vec::new(),
            on_event: Vec::new(),
        }
    }

    /// Expands the model once more: by an [`Expansion`](burn_grow_core::Expansion), which is the
    /// paper's method, or by a [`Growth`] that says what becomes of the optimizer state and of the
    /// learning rate. With a re-warmup, which an expansion alone has, the optimizer has to be
    /// [`Asymmetric`](burn_grow_optim::Asymmetric).
    ///
    /// Where all expansions are at known steps, they may be added in any order. Where a metric
    /// decides one of them, they are taken in the order they were added, each after the one before
    /// it. What the `n`th of them draws, from 0, is seeded with the seed of its expansion plus `n`.
    pub fn expand(mut self, at: impl Into<At>, growth: impl Into<Growth>) -> Self {
        self.growths.push((at.into(), growth.into()));
        self
    }

    /// Says how many tokens one optimizer step sees, over all devices and accumulated batches. That
    /// is what [`At::tokens`] and the FLOPs metrics count with.
    pub fn tokens_per_step(mut self, tokens: usize) -> Self {
        self.units.tokens_per_step = Some(tokens);
        self
    }

    /// Says how many optimizer steps an epoch takes. That is what [`At::epoch`] and
    /// [`Refractory::Epochs`] count with.
    pub fn steps_per_epoch(mut self, steps: usize) -> Self {
        self.units.steps_per_epoch = Some(steps);
        self
    }

    /// Says that the run was first planned for `steps` optimizer steps and is now longer. What lies
    /// within those is placed in them as it was: expansions at a fraction, and re-warmups, which end
    /// where they would have. So checkpoints of the shorter run load. A run that is extended again
    /// names each of its earlier lengths.
    ///
    /// Without it, a checkpoint whose expansion would be elsewhere in the longer run is rejected.
    pub fn extending(mut self, steps: usize) -> Self {
        self.units.before.push(steps);
        self
    }

    /// Says that a training may end before the run does, to be resumed by another one: that an
    /// expansion lies beyond its last epoch is then no error.
    pub fn in_parts(mut self) -> Self {
        self.in_parts = true;
        self
    }

    /// Seeds the random numbers of the model's devices before every optimizer step, by `seed` and
    /// the number of the step. So a resumed run draws what it would have drawn, as dropout does,
    /// and ends bit-identical. On several devices of one backend, steps draw from one stream in no
    /// fixed order, and are not repeated.
    ///
    /// What else draws from the devices, as an augmentation on a thread of the data loader, then
    /// draws other numbers than it would.
    pub fn random_seed(mut self, seed: u64) -> Self {
        self.random_seed = Some(seed);
        self
    }

    /// Sets the least time between two expansions.
    pub fn refractory(mut self, refractory: Refractory) -> Self {
        self.refractory = refractory;
        self
    }

    /// Writes a line of JSON for every expansion of a training to `growth.jsonl` in `directory`,
    /// best the one that the training has. A resumed run writes no line twice.
    ///
    /// An expansion whose line cannot be written stops the run, as burn-train does where it cannot
    /// save a checkpoint: the same disk would not take the wide model either.
    pub fn growth_log(mut self, directory: impl Into<PathBuf>) -> Self {
        self.growth_log = Some(directory.into());
        self
    }

    /// Registers validation metrics of what became of the coordinates that the last expansion
    /// added: how alike copies still are, how the RMS of what grew drifted since, and that of new
    /// coordinates to old ones. A few passes over what grew before every validation; steps cost
    /// nothing.
    ///
    /// The drift counts from the first step with these metrics, which are to be there from the
    /// start.
    pub fn copy_metrics(mut self) -> Self {
        self.copy_metrics = true;
        self
    }

    /// Calls `hook` after every expansion, on the training thread, with the plan that was applied:
    /// whatever else has the shapes of the model, as a moving average of it, follows by
    /// [`Plan::apply`].
    pub fn on_expand(
        mut self,
        hook: impl Fn(&ExpansionReport, &Plan) + Send + Sync + 'static,
    ) -> Self {
        self.on_expand.push(Box::new(hook));
        self
    }

    /// Calls `observer` on every [`Event`] of an attached training.
    pub fn on_event(mut self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.on_event.push(Box::new(observer));
        self
    }

    /// Plans every expansion on `model`, the narrow model that the run begins with.
    ///
    /// # Errors
    ///
    /// When the model cannot be described, a trigger is not within the run or cannot be counted, an
    /// expansion cannot be planned, expansions at known steps are out of order or closer than the
    /// refractory time, a re-warmup has a number that gives no rate or a restarted bias correction
    /// that the state policy does not allow, a state rule is for an axis that no expansion names or
    /// for no parameter, or the log of expansions cannot be written. Every mistake that can be
    /// known before the run is found here.
    pub fn build<M: Growable>(mut self, model: &M) -> Result<WidthExpansionCallback, TrainError> {
        self.units.before.sort_unstable();
        let (schedule, asked) = Schedule::new(&self.units, self.refractory, self.growths)?;
        let narrow = Blueprint::of(model)?;
        let (widths, active_params) = (narrow.widths().clone(), narrow.active_params());
        let mut blueprint = narrow;
        let (mut plans, mut growths) = (Vec::new(), Vec::new());
        for (stage, mut growth) in asked.into_iter().enumerate() {
            // With one seed a later expansion would draw what an earlier one drew.
            growth.expansion.seed = growth.expansion.seed.wrapping_add(stage as u64);
            let plan = Plan::new(&blueprint, &growth.expansion).map_err(|source| {
                TrainError::Expansion {
                    stage,
                    source: Box::new(source),
                }
            })?;
            let at = schedule.known_step(stage);
            let at = at.map(|step| (step, schedule.lengths.of(step)));
            growths.push(growth.validate(&plan, model, at)?);
            blueprint = blueprint.expanded(&plan);
            plans.push(plan);
        }
        let growth_log = self.growth_log.as_deref().map(GrowthLog::new).transpose()?;
        let stages = plans.iter().zip(&growths);
        let marks = Marks::new(&schedule.metrics, stages, &schedule.lengths);
        let run = Run::new(Decisions {
            marks: marks.map_err(TrainError::Plan)?,
            schedule,
            plans,
            growths,
            widths,
            active_params,
            tokens_per_step: self.units.tokens_per_step,
            steps_per_epoch: self.units.steps_per_epoch,
            in_parts: self.in_parts,
            random_seed: self.random_seed,
            copy_metrics: self.copy_metrics,
            growth_log,
            on_expand: self.on_expand,
            on_event: self.on_event,
        });
        Ok(WidthExpansionCallback { run: Arc::new(run) })
    }
}
