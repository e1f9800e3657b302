//! What a module says about itself: which dimension of which parameter lies on which width axis.
//!
//! A module says it through [`Growable`](crate::Growable), usually derived. The answer is a
//! [`Blueprint`](crate::Blueprint): every parameter with its roles, the width of every axis and the
//! constants that depend on one.

pub(crate) mod active;
pub(crate) mod axes;
pub(crate) mod axis;
pub(crate) mod blueprint;
pub(crate) mod constants;
pub(crate) mod describer;
mod description;
mod fresh;
pub(crate) mod growable;
pub(crate) mod layer;
pub(crate) mod layer_roles;
pub(crate) mod layout;
pub(crate) mod observations;
pub(crate) mod observe;
pub(crate) mod param;
pub(crate) mod role;
mod role_text;
pub(crate) mod stack;
pub(crate) mod survey;
pub(crate) mod together;
pub(crate) mod validate;
pub(crate) mod width;

pub use active::ActiveFraction;
pub use axes::AxisMap;
pub use axis::Axis;
pub use constants::{Constant, Constants, Number};
pub use describer::Describer;
pub use description::Description;
pub use layer::Layer;
pub use layer_roles::LayerRoles;
pub use layout::{Layout, Term};
pub use param::ParamBlueprint;
pub use role::{Part, Role, RoleKind};
pub use stack::Stack;
pub use together::Together;

// For generated code.
#[doc(hidden)]
pub use observe::{Observe, ObserveDebug, ObserveNothing, ObserveTensor};
