//! Grow neural networks while they train: width expansion for [Burn](burn).
//!
//! Start small, widen mid-run, and pay less for the wide model. A module describes how it grows
//! ([`Growable`], derived), a [`WidthExpansionCallback`] decides when, and an optimizer wrapped with
//! [`asymmetric`](AsymmetricExt::asymmetric) lets the new units drift away from the ones they copy.
//!
//! ```
//! use burn::{nn::{Linear, LinearConfig}, module::Module, tensor::Device};
//! use burn_grow::prelude::*;
//!
//! #[derive(Module, Growable, Debug)]
//! struct Mlp {
//!     #[grow(fan_out = "inner")]
//!     up: Linear,
//!     #[grow(fan_in = "inner")]
//!     down: Linear,
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::flex();
//! let mlp = Mlp {
//!     up: LinearConfig::new(8, 16).init(&device),
//!     down: LinearConfig::new(16, 4).init(&device),
//! };
//! let plan = Plan::new(&Blueprint::of(&mlp)?, &Expansion::by("inner", 2.0))?;
//! println!("{plan}");
//! let wide = plan.apply(mlp)?;
//! assert_eq!(wide.up.weight.dims(), [8, 32]);
//! # Ok(())
//! # }
//! ```
//!
//! The parts are [`burn_grow_core`] (what grows, and how), [`burn_grow_derive`],
//! [`burn_grow_optim`] (optimizer state and rates) and [`burn_grow_train`] (the callback).
//!
//! # Feature flags
//!
//! - `flex` (default), `cuda`, `wgpu`, `vulkan`, `tch`: backends, and `tui`: the terminal dashboard.
//!   They only forward to Burn.
//! - `moe`: the module `moe`, a growable mixture-of-experts transformer.
//! - `hf`: `moe` with checkpoints of Hugging Face's `transformers`.

pub use burn_grow_core::{
    Activations, ActiveFraction, Axis, AxisPlan, Baseline, Blueprint, Budget, Constant, Constants,
    CopyMap, CopySymmetry, Cost, CostChange, Describer, Expansion, Factor, Fill, Forecast,
    ForecastPoint, GrowError, Growable, GrownRms, Init, InitPair, Layer, LayerRoles, Method,
    Origin, ParamBlueprint, ParamPlan, ParamTensors, Part, Plan, Probe, Role, RoleKind,
    RoleMismatch, Scaling, SiteRms, SplitRatio, StateSize, Symmetry, Target, Term, Verification,
    grown_rms, saved_flops, symmetry, symmetry_of, training_flops, two_width_check, verify,
};
pub use burn_grow_derive::Growable;
pub use burn_grow_optim::{
    Asymmetric, AsymmetricConfig, AsymmetricExt, AsymmetricGroups, AsymmetricState, BatchedMuon,
    BatchedMuonConfig, BiasCorrection, Extent, MixedPrecision, MixedPrecisionState, OptimError,
    PerExpert, PerExpertState, Ramp, Region, Rewarmup, RewarmupRule, RewarmupSchedule,
    RewarmupScope, StatePolicy, StateRules, check_asymmetric, expand_optimizer,
};
pub use burn_grow_train::{
    ActiveParamsMetric, At, AxisReport, Better, CandidateReport, CopySymmetryMetric, Event,
    ExpansionReport, FlopsMetric, Growing, Growth, History, MetricCheckpointing, MetricSplit,
    NewRateMetric, OldRateMetric, Plateau, Position, Refractory, RmsDriftMetric, RmsRatioMetric,
    SavedFlopsMetric, Slope, Stage, TrainError, Trial, TrialReport, WatchedMetric, When,
    WidthExpansionBuilder, WidthExpansionCallback, WidthMetric, discard_after, saved_epochs,
    try_launch,
};

/// A growable mixture-of-experts transformer.
#[cfg(feature = "moe")]
pub mod moe {
    pub use burn_grow_moe::*;
}

/// What a program that grows a model usually needs.
pub mod prelude {
    pub use crate::{
        Asymmetric, AsymmetricExt, At, Blueprint, Expansion, GrowError, Growable, Growing, Growth,
        PerExpert, Plan, Rewarmup, RewarmupScope, Scaling, StatePolicy, StateRules, TrainError,
        WidthExpansionCallback,
    };
}
