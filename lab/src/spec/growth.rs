//! How a run grows: when, which axes, and what happens to optimizer state and learning rate.

use std::collections::BTreeMap;

use burn_grow::describe::Axis;
use burn_grow::optim::RewarmupScope;
use burn_grow::plan::{Blocks, Method, Target};
use burn_grow::{Rewarmup, StatePolicy};
use serde::{Deserialize, Serialize};

use crate::json::is_default;
use crate::spec::{AgeSetting, Settings, WarmupStableCosine, WidthAxis};

/// How a run grows. What is left out is the paper's; without `rewarmup`, nothing is re-warmed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrowthSpec {
    /// What the new coordinates hold.
    #[serde(skip_serializing_if = "is_default")]
    pub method: Method,
    /// What the new blocks of stacks are, by the axis of the stack; copies where nothing is said.
    #[serde(skip_serializing_if = "is_default")]
    pub blocks: BTreeMap<Axis, Blocks>,
    /// What happens to the optimizer state.
    #[serde(skip_serializing_if = "is_default")]
    pub state: StatePolicy,
    /// What happens to the learning rate, if anything.
    #[serde(skip_serializing_if = "is_default")]
    pub rewarmup: Option<Rewarmed>,
    /// The expansions; if none is listed, the one of the settings.
    #[serde(skip_serializing_if = "is_default")]
    pub stages: Vec<Stage>,
}

/// One expansion. What is left out is as in the settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stage {
    /// When, as a fraction of the steps.
    #[serde(skip_serializing_if = "is_default")]
    pub at: Option<f64>,
    /// Which widths grow.
    #[serde(skip_serializing_if = "is_default")]
    pub axis: Option<WidthAxis>,
    /// By how much they grow.
    #[serde(skip_serializing_if = "is_default")]
    pub factor: Option<f64>,
    /// The axes that grow, each to a factor or a width of its own, instead of `axis` and `factor`.
    #[serde(skip_serializing_if = "is_default")]
    pub targets: BTreeMap<Axis, Target>,
}

/// What happens to the learning rate at an expansion. The settings say how high and how long it
/// climbs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rewarmed {
    /// Which coordinates are re-warmed.
    #[serde(skip_serializing_if = "is_default")]
    pub scope: RewarmupScope,
    /// What their rate follows.
    #[serde(skip_serializing_if = "is_default")]
    pub schedule: RateRule,
}

/// What the rate of re-warmed coordinates follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateRule {
    /// A climb, then a cosine to the end of the run.
    #[default]
    Cosine,
    /// A climb, then that multiple of the base rate.
    Proportional,
    /// No climb: every coordinate decays faster along the base cosine, by this fraction of the
    /// steps left.
    FasterDecay(f64),
    /// No climb: every coordinate continues as if this fraction of the base cosine lay behind.
    Remapped(f64),
}

impl RateRule {
    /// Tells whether coordinates climb, instead of following the base cosine elsewhere.
    pub fn climbs(self) -> bool {
        matches!(self, Self::Cosine | Self::Proportional)
    }
}

impl Rewarmed {
    /// Gives the re-warmup of a run whose base rate follows `schedule`, and whose optimizer state
    /// is treated as `state` says.
    pub fn resolve(
        &self,
        settings: &Settings,
        schedule: &WarmupStableCosine,
        state: StatePolicy,
    ) -> Rewarmup {
        let (peak, min) = (schedule.peak, schedule.min());
        let climb = |rewarmup: Rewarmup| {
            rewarmup
                .with_rho(settings.rho)
                .with_steps(settings.rewarmup_steps())
                .with_scope(self.scope)
        };
        let rewarmup = match self.schedule {
            RateRule::Cosine => climb(Rewarmup::cosine(min)),
            RateRule::Proportional => climb(Rewarmup::proportional()),
            RateRule::FasterDecay(faster) => Rewarmup::faster_decay(peak, min, faster),
            RateRule::Remapped(progress) => Rewarmup::remapped(peak, min, progress),
        };
        // Where the state is copied, or nothing climbs, new coordinates are as old as their
        // parameter.
        let fresh = self.schedule.climbs() && state == StatePolicy::KeepAndZero;
        let optimizer = &settings.optimizer;
        if fresh && optimizer.age == AgeSetting::Own {
            rewarmup
                .with_restarted_bias_correction(optimizer.beta_1.into(), optimizer.beta_2.into())
        } else {
            rewarmup
        }
    }
}
