//! What an expansion asks for, and the plan that is made of it before anything is touched.
//!
//! An [`Expansion`](crate::Expansion) names axes, target widths and a [`Method`]. Together with a
//! [`Blueprint`](crate::Blueprint) it makes a [`Plan`](crate::Plan): an [`AxisPlan`] for every axis
//! and a [`ParamPlan`] for every parameter.

pub(crate) mod axis_plan;
pub(crate) mod blocks;
pub(crate) mod coordinates;
mod copies;
pub(crate) mod copy_map;
mod expanded;
pub(crate) mod expansion;
mod expansion_text;
pub(crate) mod factor;
pub(crate) mod fill;
mod identity;
mod ids;
pub(crate) mod init;
mod init_text;
mod make;
pub(crate) mod method;
pub(crate) mod model;
mod origins;
pub(crate) mod param;
pub(crate) mod places;
pub(crate) mod restack;
mod routing;
pub(crate) mod scaling;
mod table;

pub use crate::expand::streamed::{AddedNoise, NoiseSize, Streamed};
pub use axis_plan::{AxisPlan, Origin};
pub use blocks::{BlockContent, BlockOrder, Blocks};
pub use copy_map::CopyMap;
pub use expansion::Target;
pub use expansion_text::AxisSetting;
pub use factor::Factor;
pub use fill::Fill;
pub use init::Init;
pub use method::Method;
pub use param::{ParamContent, ParamOrigin, ParamPlan};
pub use places::BlockPlace;
pub use routing::RoutingChange;
