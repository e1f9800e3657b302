//! Grow neural networks while they train: width expansion for [Burn](burn).
//!
//! Start small, widen mid-run, and pay less for the wide model. A module describes how it grows
//! ([`Growable`], derived), and an [`Expansion`] of it can be looked at before anything is touched:
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
//! let plan = Expansion::by("inner", 2.0).plan(&mlp)?;
//! println!("{plan}");
//! let wide = plan.apply(mlp)?;
//! assert_eq!(wide.up.weight.dims(), [8, 32]);
//! # Ok(())
//! # }
//! ```
//!
//! A [`WidthExpansionCallback`] decides when to expand, and trains with Burn's own `Learner`
//! ([`train`](WidthExpansionCallback::train)) or in a loop of yours
//! ([`GrowthLoop`](train::GrowthLoop)).
//!
//! # Where things are
//!
//! The root holds what a program needs on its first day, and the [`prelude`] what it starts with.
//! The rest is by subject: how a model is marked in [`describe`], what an expansion comes to in
//! [`plan`], whether it did in [`verify`], what it costs in [`cost`], other methods to compare with
//! in [`baseline`], rates that follow widths in [`parametrization`], optimizers and their state in [`optim`], triggers, reports, trials and loops of
//! your own in [`train`].
//!
//! # Feature flags
//!
//! - `flex` (default), `cuda`, `wgpu`, `vulkan`, `tch`: Burn's backends, and `tui`, its terminal
//!   dashboard. Each only forwards to Burn.
//! - `moe`: a growable mixture-of-experts transformer, in `moe`.
//! - `hf`: checkpoints of Hugging Face's transformers, for the models of `moe`.

pub use burn_grow_core::{
    Blueprint, Expansion, GrowError, Growable, InitPair, Plan, Scaling, StackFault,
};
pub use burn_grow_derive::Growable;
pub use burn_grow_optim::{Rewarmup, StatePolicy};
pub use burn_grow_train::{At, Growth, TrainError, Trained, WidthExpansionCallback};

pub use burn_grow_core::{baseline, cost, describe, parametrization, plan, verify};

/// Optimizers whose state and learning rate can follow an expansion.
pub mod optim {
    pub use burn_grow_optim::{
        Asymmetric, AsymmetricConfig, AsymmetricExt, AsymmetricGroups, BatchedMuon,
        BatchedMuonConfig, BiasCorrection, IntoModuleOptimizer, LockedCopies, MixedPrecision,
        OptimError, ParametrizedOptimizer, PerExpert, Ramp, RewarmupRule, RewarmupSchedule,
        RewarmupScope, StateRules, check_asymmetric, expand_optimizer, locked_copies,
    };
}

/// Triggers, events, reports, trials and checkpoints of a training that grows.
pub mod train {
    pub use burn_grow_train::{
        AxisReport, CandidateReport, CheckpointError, CustomTrigger, Deviation, Difference,
        Direction, Event, ExpansionReport, Growing, GrowthLoop, History, MetricCheckpointing,
        MetricSplit, ParamFault, Pays, Plateau, Position, Refractory, Rehearsal, RehearsalFault,
        Rehearsed, RehearsedStage, Rehearses, Resumed, Slope, Stage, TrainOptions, Trial,
        TrialReport, TriggerFault, Unrehearsed, WatchedMetric, WidthExpansionBuilder,
        discard_after, saved_epochs,
    };
}

/// A growable mixture-of-experts transformer.
#[cfg(feature = "moe")]
pub mod moe {
    pub use burn_grow_moe::*;
}

/// What a first program that grows a model imports.
pub mod prelude {
    pub use crate::{At, Blueprint, Expansion, GrowError, Growable, Plan, WidthExpansionCallback};
}
