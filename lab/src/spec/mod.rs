//! What is compared, as data: an experiment file lists specifications ([`Spec`]) and the
//! [`Settings`] that they share.

mod experiment;
mod grid;
mod groups;
mod growth;
mod optimizer;
mod schedule;
mod settings;

use serde::{Deserialize, Serialize};

pub use device::Backend;
pub use experiment::{Experiment, Length, Published, files, reject};
pub use grid::Grid;
pub use groups::{Group, groups};
pub use growth::{GrowthSpec, RateRule, Rewarmed, Stage};
pub use optimizer::{AgeSetting, OptimizerKind, OptimizerSettings, ParametrizationSetting};
pub use schedule::WarmupStableCosine;
pub use settings::{Settings, WidthAxis, out_of_range};

use crate::json::{Overlay, is_default};

/// One of the runs that are compared, as an experiment file spells it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    pub name: String,
    /// What it is, in a few words.
    pub about: String,
    /// Starts with the model that the settings grow to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wide: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub budget: Budget,
    /// Highest learning rate, as a multiple of the settings' one; absent, 1, and for a wide model
    /// `from_scratch_ratio`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rate: Option<f64>,
    /// How it grows, if it does.
    #[serde(default, skip_serializing_if = "is_default")]
    pub growth: Option<GrowthSpec>,
    /// Settings of its own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub settings: Overlay,
    /// Values to try in turn, by their path in the specification: one run each, or one for each
    /// combination.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grid: Grid,
}

impl Spec {
    /// Tells whether `name` is its name, or its name without the points of grids.
    pub fn is_called(&self, name: &str) -> bool {
        let rest = self.name.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// How long a run trains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// All steps.
    #[default]
    Steps,
    /// As many steps as cost what that other run costs.
    FlopsOf(String),
}
