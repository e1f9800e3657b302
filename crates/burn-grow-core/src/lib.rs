//! Width expansion of Burn modules: what grows, and how.
//!
//! A module describes once which dimension of which parameter lies on which width
//! [axis](describe::Axis). That description, a [`Blueprint`], and an [`Expansion`] make a [`Plan`].
//! The plan is applied to everything that has a shape: to parameters here, to optimizer state and
//! learning-rate regions in `burn-grow-optim`.
//!
//! ```
//! # use burn_core as burn;
//! use burn::{module::Module, tensor::Device};
//! use burn_grow_core::{Expansion, GrowError};
//! use burn_grow_derive::Growable;
//! use burn_nn::{Linear, LinearConfig};
//!
//! #[derive(Module, Growable, Debug)]
//! # #[grow(crate = burn_grow_core)]
//! struct Mlp {
//!     #[grow(fan_out = "inner")]
//!     up: Linear,
//!     #[grow(fan_in = "inner")]
//!     down: Linear,
//! }
//!
//! # fn main() -> Result<(), GrowError> {
//! let device = Device::flex();
//! let mlp = Mlp {
//!     up: LinearConfig::new(8, 16).init(&device),
//!     down: LinearConfig::new(16, 4).init(&device),
//! };
//! let plan = Expansion::by("inner", 2.0).plan(&mlp)?;
//! let wide = plan.apply(mlp)?;
//! assert_eq!(wide.up.weight.dims(), [8, 32]);
//! # Ok(())
//! # }
//! ```
//!
//! | module | contents |
//! |---|---|
//! | [`describe`] | axes, roles, and how a module or a layer names them |
//! | [`plan`] | methods, copy maps and factors, and the plans of axes and parameters |
//! | [`parametrization`] | rates, initialization and multipliers that follow widths |
//! | [`verify`](mod@verify) | the check of a description, and what an expansion did to function and copies |
//! | [`cost`] | FLOPs and memory, and a forecast of what growing saves |
//! | [`baseline`] | growth methods of other papers, for comparison |
//!
//! The method is SPARKLING, [arXiv 2602.02472](https://arxiv.org/abs/2602.02472); equation numbers
//! are the paper's.

pub mod baseline;
pub mod cost;
pub mod describe;
pub mod parametrization;
pub mod plan;
pub mod verify;

mod error;
mod expand;
mod hash;
mod layers;
mod lineage;
mod random;
mod table;
mod visit;

pub use describe::blueprint::Blueprint;
pub use describe::growable::Growable;
pub use error::{GrowError, StackFault};
pub use plan::expansion::Expansion;
pub use plan::init::InitPair;
pub use plan::model::Plan;
pub use plan::scaling::Scaling;

// Shared with the sister crates.
#[doc(hidden)]
pub use hash::fnv1a;
#[doc(hidden)]
pub use table::table;
#[doc(hidden)]
pub use visit::{ParamMapper, ParamVisitor, for_each_param, map_params};
