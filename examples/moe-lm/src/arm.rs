//! What is compared: the arms, as data.

use burn_grow::optim::RewarmupScope;
use burn_grow::plan::Method;
use burn_grow::{Rewarmup, StatePolicy};
use serde::{Deserialize, Serialize};

use crate::config::{Growth, Overlay, Settings};
use crate::grid::Grid;
use crate::optimizer::AgeSetting;
use crate::schedule::WarmupStableCosine;

/// One of the runs that are compared, as an experiment file spells it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// What it is, in a few words.
    pub about: String,
    /// Whether it starts with the model that the settings grow to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wide: bool,
    /// How long it trains.
    #[serde(default, skip_serializing_if = "is_default")]
    pub budget: Budget,
    /// Its highest rate, as a multiple of the settings' one; absent, 1, and for a wide arm
    /// `from_scratch_ratio`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rate: Option<f64>,
    /// How it grows, if it does.
    #[serde(default, skip_serializing_if = "is_default")]
    pub growth: Option<Grown>,
    /// The settings that it has to itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub settings: Overlay,
    /// Values to try in turn, by their path in the arm: one arm each, or for each combination.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grid: Grid,
}

/// How long an arm trains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// All steps.
    #[default]
    Steps,
    /// As many steps as cost what that arm costs.
    FlopsOf(String),
}

/// How an arm grows. What is left out is the paper's; without `rewarmup`, nothing is re-warmed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grown {
    /// What the new coordinates hold.
    #[serde(skip_serializing_if = "is_default")]
    pub method: Method,
    /// What becomes of the optimizer state.
    #[serde(skip_serializing_if = "is_default")]
    pub state: StatePolicy,
    /// What becomes of the learning rate, if anything.
    #[serde(skip_serializing_if = "is_default")]
    pub rewarmup: Option<Rewarmed>,
    /// The expansions; none listed, the one that the settings say.
    #[serde(skip_serializing_if = "is_default")]
    pub stages: Vec<Stage>,
}

/// One expansion of an arm. What is left out is as in the settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stage {
    /// When, as a fraction of the steps.
    #[serde(skip_serializing_if = "is_default")]
    pub at: Option<f64>,
    /// Which widths grow.
    #[serde(skip_serializing_if = "is_default")]
    pub axis: Option<Growth>,
    /// By how much they grow.
    #[serde(skip_serializing_if = "is_default")]
    pub factor: Option<f64>,
}

/// What becomes of the learning rate at an expansion. How high and how long it climbs, the settings say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rewarmed {
    /// Which coordinates are re-warmed.
    #[serde(skip_serializing_if = "is_default")]
    pub scope: RewarmupScope,
    /// What the rate follows.
    #[serde(skip_serializing_if = "is_default")]
    pub schedule: RateRule,
}

/// What the rate of re-warmed coordinates follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateRule {
    /// The climb, then a cosine to the end of the run.
    #[default]
    Cosine,
    /// The climb, then that multiple of the base rate.
    Proportional,
    /// No climb: every coordinate goes down the base cosine faster, by this fraction of the steps left.
    FasterDecay(f64),
    /// No climb: every coordinate stands where this fraction of the base cosine lies behind.
    Remapped(f64),
}

impl RateRule {
    /// Whether coordinates climb, and do not follow the base cosine elsewhere.
    pub(crate) fn climbs(self) -> bool {
        matches!(self, Self::Cosine | Self::Proportional)
    }
}

impl Rewarmed {
    /// The re-warmup of an arm whose base rate follows `schedule`, and whose optimizer state becomes what
    /// `state` says.
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
        // Where the state is copied, or nothing climbs, the age is that of the parameter.
        let fresh = self.schedule.climbs() && state == StatePolicy::KeepAndZero;
        let optimizer = &settings.optimizer;
        match optimizer.age {
            AgeSetting::Own if fresh => rewarmup
                .with_restarted_bias_correction(optimizer.beta_1.into(), optimizer.beta_2.into()),
            _ => rewarmup,
        }
    }
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
