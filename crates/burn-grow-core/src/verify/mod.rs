//! Checks of a description, and measurements of what an expansion did.
//!
//! [`two_width_check`] finds wrong roles, [`verify`] compares a model before and after an
//! expansion, and [`symmetry`] and [`grown_rms`] follow the grown parameters while they train.
//! [`coordinate_check`] tells whether activations keep their size at other widths.
//!
//! A rehearsal of a run is made of three more: a [`Doubling`] keeps the function of every rightly
//! described model, [`pullback`] tells by the gradients if it did, and [`check_description`] if the
//! wide model still describes itself.

mod common_blocks;
mod compare;
mod coordinates;
mod description;
mod doubling;
pub(crate) mod mismatch;
mod numbers;
mod probe;
mod pullback;
mod rms;
mod symmetry;
mod two_widths;

pub use compare::{SiteRms, Verification, verify};
pub use coordinates::{CoordinateCheck, SiteSizes, coordinate_check};
pub use description::check_description;
pub use doubling::Doubling;
pub use mismatch::{Quantity, RoleMismatch, RoleWarning};
pub use probe::{Activations, Probe};
pub use pullback::{Pullback, PulledBack, gradient_change, pullback};
pub use rms::{GrownRms, grown_rms};
pub use symmetry::{CopySymmetry, ParamTensors, Symmetry, symmetry, symmetry_of};
pub use two_widths::two_width_check;
