//! Width expansion of Burn modules: what grows, and how.
//!
//! A module describes, once, which dimension of which parameter lies on which [`Axis`]
//! ([`Growable`]). That description ([`Blueprint`]) and an [`Expansion`] make a [`Plan`], and the plan
//! is applied to everything that has a shape: the parameters here, the optimizer state and the
//! learning-rate regions in `burn-grow-optim`.
//!
//! - [`Axis`], [`Role`], [`Layout`]: how a dimension lies on a width.
//! - [`Growable`], [`Layer`], [`Describe`]: how a module says so.
//! - [`Expansion`], [`Scaling`]: which axes grow, and how their consumers are rescaled.
//! - [`Plan`]: the dry run, and [`Plan::apply`].
//! - [`two_width_check`]: whether a description is right; [`training_flops`], [`saved_flops`]: what
//!   growing costs and saves.
//!
//! The method is SPARKLING, [arXiv 2602.02472](https://arxiv.org/abs/2602.02472); equation numbers
//! are the paper's.

mod apply;
mod axis;
mod blueprint;
mod constants;
mod cost;
mod describe;
mod error;
mod expansion;
mod gather;
mod growable;
mod init;
mod layers;
mod plan;
mod role;
mod scaling;
mod verify;

pub use axis::Axis;
pub use blueprint::{Blueprint, ParamBlueprint};
pub use constants::Constants;
pub use cost::{saved_flops, training_flops};
pub use describe::{Constant, Describe};
pub use error::GrowError;
pub use expansion::{Expansion, Target};
pub use gather::Fill;
pub use growable::Growable;
pub use init::block_copy;
pub use layers::{Layer, LayerRoles};
pub use plan::{AxisPlan, ParamPlan, Plan};
pub use role::{Layout, Role, RoleKind};
pub use scaling::{Factor, Scaling};
pub use verify::two_width_check;
