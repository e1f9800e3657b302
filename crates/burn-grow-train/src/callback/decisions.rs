//! What a callback decides, fixed when it is built: functions of the decisions and of the state of
//! a run, without memory of their own.

use std::collections::BTreeMap;
use std::time::Instant;

use burn_core::tensor::Device;
use burn_grow_core::cost::training_flops;
use burn_grow_core::describe::Axis;
use burn_grow_core::{Growable, Plan, fnv1a};
use burn_grow_optim::{Ramp, RewarmupScope, expand_telling};
use burn_optim::ModuleOptimizer;

use crate::checkpoint::{Marks, State};
use crate::deviation::{Deviation, FirstEpoch};
use crate::monitor::{GrowthLog, check_nan};
use crate::trigger::Schedule;
use crate::{Event, ExpansionReport, Growth, Position, Stage, TrainError};

pub(crate) type OnExpand = Box<dyn Fn(&ExpansionReport, &Plan) + Send + Sync>;
pub(crate) type OnEvent = Box<dyn Fn(&Event<'_>) + Send + Sync>;

/// The decisions of a callback.
pub(crate) struct Decisions {
    pub(crate) schedule: Schedule,
    pub(crate) marks: Marks,
    /// One for each stage of the schedule.
    pub(crate) plans: Vec<Plan>,
    /// One for each plan.
    pub(crate) growths: Vec<Growth>,
    /// The widths of the narrow model.
    pub(crate) widths: BTreeMap<Axis, usize>,
    /// The active parameters of the narrow model.
    pub(crate) active_params: f64,
    pub(crate) tokens_per_step: Option<usize>,
    pub(crate) steps_per_epoch: Option<usize>,
    /// True if a training may end before the run does.
    pub(crate) in_parts: bool,
    /// The seed of what every step draws at random.
    pub(crate) random_seed: Option<u64>,
    pub(crate) copy_metrics: bool,
    pub(crate) growth_log: Option<GrowthLog>,
    pub(crate) on_expand: Vec<OnExpand>,
    pub(crate) on_event: Vec<OnEvent>,
}

/// The learning rates of one optimizer step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    /// Learning rate of old coordinates. Under [`RewarmupScope::All`], the re-warmed one.
    pub(crate) old: f64,
    /// Learning rate of the coordinates that the last expansion added.
    pub(crate) new: f64,
}

impl Decisions {
    /// The plan that is due after `state`, if any.
    pub(crate) fn due(&self, state: &State) -> Option<&Plan> {
        let due = self
            .schedule
            .is_due(state.position, &state.taken, &state.epochs);
        due.then(|| &self.plans[state.position.stage])
    }

    /// The stages, in order.
    pub(crate) fn stages(&self) -> impl Iterator<Item = Stage<'_>> {
        let stages = self.schedule.stages.iter().zip(self.stages_from(0));
        stages
            .enumerate()
            .map(|(index, ((at, _), (plan, growth)))| Stage {
                index,
                at,
                step: self.schedule.known_step(index),
                plan,
                growth,
            })
    }

    /// The plans of the stages from `stage` on, with the growths they belong to.
    pub(crate) fn stages_from(&self, stage: usize) -> impl Iterator<Item = (&Plan, &Growth)> {
        self.plans.iter().zip(&self.growths).skip(stage)
    }

    /// Returns true if a stage re-warms anything.
    pub(crate) fn rewarms(&self) -> bool {
        self.growths.iter().any(|growth| growth.rewarmup.is_some())
    }

    /// The last of `stage` plans.
    pub(crate) fn last_plan(&self, stage: usize) -> Option<&Plan> {
        self.plans.get(stage.checked_sub(1)?)
    }

    /// The last of `stage` plans that added coordinates.
    pub(crate) fn last_grown(&self, stage: usize) -> Option<&Plan> {
        let taken = self.plans[..stage].iter();
        taken.rev().find(|plan| !plan.is_identity())
    }

    /// The learning rates of the step after `state`, at base rate `base`.
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
        let start = *state.base_rate.get_or_insert(base);
        let age = state.position.step - taken;
        let ramp = rewarmup.ramp(*taken, self.schedule.lengths.of(*taken));
        let new = ramp.step_rate(age, *taken, start, base);
        let old = match rewarmup.scope {
            RewarmupScope::NewCoordinates => base,
            RewarmupScope::All => new,
        };
        Rates { old, new }
    }

    /// The re-warmup of the stage that `position` stands before.
    pub(crate) fn ramp(&self, position: Position) -> Option<Ramp> {
        let growth = self.growths.get(position.stage)?;
        growth.ramp(position.step, self.schedule.lengths.of(position.step))
    }

    /// Expands model and optimizer together by the stage that `state` stands before, or neither.
    pub(crate) fn expand<M: Growable>(
        &self,
        state: &State,
        plan: &Plan,
        model: &M,
        optim: &ModuleOptimizer,
    ) -> Result<(M, ModuleOptimizer), TrainError> {
        let start = Instant::now();
        let position = state.position;
        let expansion = |source| TrainError::Expansion {
            stage: position.stage,
            source: Box::new(source),
        };
        check_nan(model, position)?;
        let expanded = plan.apply(model.clone()).map_err(expansion)?;
        let rewarmup = self.ramp(position);
        let rules = &self.growths[position.stage].state;
        let (optim, locked) = expand_telling(optim, model, plan, rules.clone(), rewarmup)?;
        let (trigger, _) = &self.schedule.stages[position.stage];
        let report = ExpansionReport::new(position, trigger, plan, rules, locked, start.elapsed());
        // A disk that takes no line takes no checkpoint of the wide model either.
        if let Some(log) = &self.growth_log {
            log.write(&report, &state.taken)?;
        }
        log::info!("{report}");
        for hook in &self.on_expand {
            hook(&report, plan);
        }
        Ok((expanded, optim))
    }

    /// Seeds `devices` for the step after `step` others, if steps are seeded.
    pub(crate) fn seed(&self, devices: &[Device], step: usize) {
        if let Some(seed) = self.random_seed {
            let bytes = [seed.to_le_bytes(), (step as u64).to_le_bytes()].concat();
            for device in devices {
                device.seed(fnv1a(&bytes));
            }
        }
    }

    /// Lists how the first epoch of a training differs from what the builder was told.
    pub(crate) fn deviations(&self, found: FirstEpoch) -> Vec<Deviation> {
        let FirstEpoch {
            steps,
            projected,
            items,
        } = found;
        if self.plans.is_empty() {
            return Vec::new();
        }
        let total = self.schedule.total_steps;
        let other = projected > total || (projected < total && !self.in_parts);
        let total = other.then_some(Deviation::TotalSteps {
            planned: total,
            found: projected,
        });
        let epoch = self.steps_per_epoch.filter(|planned| *planned != steps);
        let epoch = epoch.map(|planned| Deviation::StepsPerEpoch {
            planned,
            found: steps,
        });
        // An item has a token or more; the last step of an epoch may see fewer items.
        let items = items.and_then(|items| items.checked_div(steps));
        let tokens = self.tokens_per_step.zip(items);
        let tokens = tokens.filter(|(planned, items)| planned < items);
        let tokens = tokens.map(|(planned, items)| Deviation::TokensPerStep { planned, items });
        total.into_iter().chain(epoch).chain(tokens).collect()
    }

    /// The width of `axis` after `stage` expansions.
    pub(crate) fn width(&self, axis: &Axis, stage: usize) -> usize {
        let mut taken = self.plans[..stage].iter().rev();
        let grown = taken.find_map(|plan| plan.axis(axis));
        grown.map_or(self.widths[axis], |axis| axis.new_width())
    }

    /// The active parameters after `stage` expansions.
    pub(crate) fn active_params(&self, stage: usize) -> f64 {
        let last = self.last_plan(stage);
        last.map_or(self.active_params, |plan| plan.active_params().1)
    }

    /// The FLOPs of `step` steps with expansions after the steps `taken`, and those of the final
    /// width on as many tokens.
    pub(crate) fn flops(&self, step: usize, taken: &[usize]) -> (f64, f64) {
        let per_step = self.tokens_per_step.unwrap_or(0) as f64;
        let begins = core::iter::once(&0).chain(taken);
        let ends = taken.iter().chain([&step]);
        let grown = begins.zip(ends).enumerate().map(|(stage, (begin, end))| {
            let tokens = (end - begin) as f64 * per_step;
            training_flops(self.active_params(stage), tokens)
        });
        let final_params = self.active_params(self.plans.len());
        let tokens = step as f64 * per_step;
        (grown.sum(), training_flops(final_params, tokens))
    }

    /// Tells `event` to every observer.
    pub(crate) fn emit(&self, event: &Event<'_>) {
        for observer in &self.on_event {
            observer(event);
        }
    }
}
