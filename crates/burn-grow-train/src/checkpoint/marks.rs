//! Comparison of the run that saved a checkpoint with the one that loads it. Each expansion is
//! recorded in full where a person would want to read it, and as one hash where not.

use std::collections::BTreeMap;

use burn_grow_core::Plan;
use burn_grow_core::describe::Axis;
use burn_grow_core::plan::{BlockContent, Method};
use burn_grow_optim::{BiasCorrection, Rewarmup, RewarmupSchedule, RewarmupScope};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::canonical::{FINGERPRINT, fingerprint};
use super::error::{CheckpointError, Difference};
use crate::trigger::Lengths;
use crate::{Growth, WatchedMetric};

/// Marks by which a checkpoint knows the expansions of a callback.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    /// Every metric that a trigger watches.
    pub(crate) metrics: Vec<WatchedMetric>,
    /// One for each planned expansion.
    stages: Vec<StageMark>,
    lengths: Lengths,
}

#[derive(Clone, Debug)]
struct StageMark {
    plan: PlanMark,
    /// The re-warmup, if the expansion adds coordinates.
    rewarmup: Option<Rewarmup>,
}

/// An expansion that was taken, as a checkpoint holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TakenMark {
    /// The number of optimizer steps before it.
    #[serde(deserialize_with = "count")]
    pub(crate) step: usize,
    plan: PlanMark,
    rewarmup: Option<RewarmupMark>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanMark {
    axes: BTreeMap<Axis, AxisMark>,
    seed: u64,
    /// The hash of the whole plan, with the parameters and constants of the model: 16 hexadecimal
    /// digits.
    fingerprint: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AxisMark {
    from: usize,
    to: usize,
    method: Method,
    /// What new units hold, if they are the blocks of a stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blocks: Option<BlockContent>,
}

/// A re-warmup, placed in its run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RewarmupMark {
    schedule: RewarmupSchedule,
    rho: f64,
    steps: usize,
    /// The optimizer steps left after the expansion, where the learning rate depends on them.
    steps_left: Option<usize>,
    scope: RewarmupScope,
    bias_correction: BiasCorrection,
}

impl Marks {
    /// # Errors
    ///
    /// When a plan cannot be written as JSON.
    pub(crate) fn new<'a>(
        metrics: &[WatchedMetric],
        stages: impl IntoIterator<Item = (&'a Plan, &'a Growth)>,
        lengths: &Lengths,
    ) -> Result<Self, serde_json::Error> {
        let stages = stages.into_iter().map(|(plan, growth)| {
            let rewarmup = growth.rewarmup.as_ref();
            Ok(StageMark {
                plan: PlanMark::new(plan)?,
                rewarmup: rewarmup.filter(|_| !plan.is_identity()).cloned(),
            })
        });
        Ok(Self {
            metrics: metrics.to_vec(),
            stages: stages.collect::<Result<_, serde_json::Error>>()?,
            lengths: lengths.clone(),
        })
    }

    /// The marks of the first expansions, which were taken at these steps.
    pub(crate) fn taken(&self, steps: &[usize]) -> Vec<TakenMark> {
        let stages = self.stages.iter().zip(steps);
        let taken = stages.map(|(stage, step)| self.mark(stage, *step));
        taken.collect()
    }

    fn mark(&self, stage: &StageMark, step: usize) -> TakenMark {
        let rewarmup = stage.rewarmup.as_ref();
        TakenMark {
            step,
            plan: stage.plan.clone(),
            rewarmup: rewarmup
                .map(|rewarmup| RewarmupMark::new(rewarmup, step, self.lengths.of(step))),
        }
    }

    /// Checks that expansions that were taken are the ones planned here. How many there are and
    /// when they came is checked elsewhere.
    ///
    /// # Errors
    ///
    /// Names the first expansion that differs, and its first difference.
    pub(crate) fn check(&self, taken: &[TakenMark]) -> Result<(), CheckpointError> {
        for (stage, (planned, found)) in self.stages.iter().zip(taken).enumerate() {
            let planned = self.mark(planned, found.step);
            if let Some(difference) = Difference::between(&found.plan, &planned.plan) {
                return Err(CheckpointError::Plan { stage, difference });
            }
            if let Some(difference) = Difference::between(&found.rewarmup, &planned.rewarmup) {
                return Err(CheckpointError::Rewarmup { stage, difference });
            }
        }
        Ok(())
    }
}

impl PlanMark {
    fn new(plan: &Plan) -> Result<Self, serde_json::Error> {
        let axes = plan.axes().iter().map(|(axis, planned)| {
            let mark = AxisMark {
                from: planned.old_width(),
                to: planned.new_width(),
                method: planned.method(),
                blocks: planned.blocks(),
            };
            (axis.clone(), mark)
        });
        Ok(Self {
            axes: axes.collect(),
            seed: plan.seed(),
            // A run goes on where its model has only been marked as one whose stacks may grow.
            fingerprint: format!("{:016x}", fingerprint(&plan.without_idle_stacks())?),
        })
    }
}

impl RewarmupMark {
    fn new(rewarmup: &Rewarmup, step: usize, total_steps: usize) -> Self {
        let ramp = rewarmup.ramp(step, total_steps);
        // A multiple of the base rate lasts however long the run is.
        let endless = ramp.schedule == RewarmupSchedule::Proportional;
        Self {
            schedule: ramp.schedule,
            rho: ramp.rho,
            steps: ramp.steps,
            steps_left: (!endless).then_some(ramp.horizon),
            scope: ramp.scope,
            bias_correction: ramp.bias_correction,
        }
    }
}

impl Difference {
    /// The first one, if there is any.
    fn between<T: PartialEq + Serialize>(found: &T, planned: &T) -> Option<Self> {
        if found == planned {
            return None;
        }
        let [found, planned] = [found, planned].map(|it| leaves(it));
        let settings = found.keys().chain(planned.keys());
        let differs = |setting: &&String| found.get(*setting) != planned.get(*setting);
        // The fingerprint differs where anything does.
        let is_summary = |setting: &&String| *setting == FINGERPRINT;
        let setting = settings
            .filter(differs)
            .min_by_key(|setting| (is_summary(setting), *setting))?;
        let shown = |side: &BTreeMap<String, Value>| {
            let value = side.get(setting);
            value.map_or_else(|| "absent".to_owned(), Value::to_string)
        };
        Some(Self {
            found: shown(&found),
            planned: shown(&planned),
            setting: setting.clone(),
        })
    }
}

/// Every value of a document by its path.
fn leaves(document: &impl Serialize) -> BTreeMap<String, Value> {
    fn collect(path: String, value: Value, leaves: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(entries) => {
                for (key, value) in entries {
                    let dot = if path.is_empty() { "" } else { "." };
                    collect(format!("{path}{dot}{key}"), value, leaves);
                }
            }
            leaf => drop(leaves.insert(path, leaf)),
        }
    }
    let mut found = BTreeMap::new();
    collect(
        String::new(),
        serde_json::to_value(document).unwrap_or_default(),
        &mut found,
    );
    found
}
/// Reads a number of steps or epochs. More than 32 bits are damage, and no sum of them overflows.
pub(super) fn count<'de, D: Deserializer<'de>>(reader: D) -> Result<usize, D::Error> {
    u32::deserialize(reader).map(|count| count as usize)
}
