//! What a module says about itself: which dimension of which parameter lies on which width axis.
//!
//! A module says it through [`Growable`](crate::Growable), usually derived. The answer is a
//! [`Blueprint`](crate::Blueprint): every parameter with its roles, the width of every axis and the
//! constants that depend on one.

pub(crate) mod active;
pub(crate) mod axis;
pub(crate) mod blueprint;
pub(crate) mod constants;
pub(crate) mod describer;
pub(crate) mod growable;
pub(crate) mod layer;
pub(crate) mod param;
pub(crate) mod role;
pub(crate) mod survey;
pub(crate) mod validate;
pub(crate) mod width;

pub use active::ActiveFraction;
pub use axis::Axis;
pub use constants::{Constant, Constants};
pub use describer::Describer;
pub use layer::{Layer, LayerRoles};
pub use param::ParamBlueprint;
pub use role::{Part, Role, RoleKind, Term};
