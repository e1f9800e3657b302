//! Whether a description is right, and what an expansion did.

mod compare;
mod mismatch;
mod probe;
mod rms;
mod symmetry;
mod two_widths;

pub use compare::{SiteRms, Verification, verify};
pub use mismatch::RoleMismatch;
pub use probe::{Activations, Probe};
pub use rms::{GrownRms, grown_rms};
pub use symmetry::{CopySymmetry, ParamTensors, Symmetry, symmetry, symmetry_of};
pub use two_widths::two_width_check;
