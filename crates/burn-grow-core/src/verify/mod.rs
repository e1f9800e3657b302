//! Checks of a description, and measurements of what an expansion did.
//!
//! [`two_width_check`] finds wrong roles, [`verify`] compares a model before and after an
//! expansion, and [`symmetry`] and [`grown_rms`] follow the grown parameters while they train.

mod compare;
pub(crate) mod mismatch;
mod numbers;
mod probe;
mod rms;
mod symmetry;
mod two_widths;

pub use compare::{SiteRms, Verification, verify};
pub use mismatch::{Quantity, RoleMismatch, RoleWarning};
pub use probe::{Activations, Probe};
pub use rms::{GrownRms, grown_rms};
pub use symmetry::{CopySymmetry, ParamTensors, Symmetry, symmetry, symmetry_of};
pub use two_widths::two_width_check;
