//! Width expansion of Burn modules: what grows, and how.
//!
//! A module describes, once, which dimension of which parameter lies on which [`Axis`]
//! ([`Growable`]). That description ([`Blueprint`]) and an [`Expansion`] make a [`Plan`], and the plan
//! is applied to everything that has a shape: the parameters here, the optimizer state and the
//! learning-rate regions in `burn-grow-optim`.
//!
//! - [`Axis`], [`Role`], [`RoleKind`]: how a dimension lies on a width.
//! - [`Growable`], [`Layer`], [`Describer`]: how a module says so.
//! - [`Expansion`], [`Scaling`]: which axes grow, and how their consumers are rescaled.
//! - [`Plan`]: the dry run, and [`Plan::apply`].
//! - [`two_width_check`]: whether a description is right; [`verify`], [`symmetry`]: what an expansion
//!   did to the function, and what training then does to the copies.
//! - [`Cost`], [`Forecast`], [`training_flops`], [`saved_flops`]: what growing costs and saves.
//!
//! The method is SPARKLING, [arXiv 2602.02472](https://arxiv.org/abs/2602.02472); equation numbers
//! are the paper's.

mod active;
mod apply;
mod axis;
mod axis_plan;
mod baseline;
mod blueprint;
mod constants;
mod copy_map;
mod cost;
mod describe;
mod dimension;
mod draw;
mod error;
mod expansion;
mod fields;
mod forecast;
mod gather;
mod growable;
mod hash;
mod init;
mod layers;
mod noise;
mod plan;
mod role;
mod scaling;
mod table;
mod verify;
mod visit;
mod width;

pub use active::ActiveFraction;
pub use axis::Axis;
pub use axis_plan::{AxisPlan, Origin};
pub use baseline::{Baseline, SplitRatio};
pub use blueprint::{Blueprint, ParamBlueprint};
pub use constants::Constants;
pub use copy_map::CopyMap;
pub use cost::{Cost, CostChange, StateSize, saved_flops, training_flops};
pub use describe::{Constant, Describer};
pub use error::GrowError;
pub use expansion::{Expansion, Method, Target};
pub use forecast::{Budget, Forecast, ForecastPoint};
pub use gather::Fill;
pub use growable::Growable;
#[doc(hidden)]
pub use hash::fnv1a;
pub use init::{Init, InitPair};
pub use layers::{Layer, LayerRoles};
pub use plan::{ParamPlan, Plan};
pub use role::{Part, Role, RoleKind, Term};
pub use scaling::{Factor, Scaling};
#[doc(hidden)]
pub use table::table;
pub use verify::{
    Activations, CopySymmetry, GrownRms, ParamTensors, Probe, RoleMismatch, SiteRms, Symmetry,
    Verification, grown_rms, symmetry, symmetry_of, two_width_check, verify,
};
/// The names that `#[derive(Growable)]` writes.
#[doc(hidden)]
pub mod __derive {
    pub use crate::{Constants, Describer, Growable, Layer, LayerRoles, Role};
}

#[doc(hidden)]
pub use visit::{ParamMapper, ParamVisitor, for_each_param, map_params};
