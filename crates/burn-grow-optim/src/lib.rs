//! Asymmetric optimizer state and learning rates for parameters that grow while they train.
//!
//! Copied units receive identical gradients. With identical optimizer state they stay identical for
//! ever, the symmetry lock (Eq. 20-23); growing then buys nothing. Two asymmetries break it:
//!
//! - the state: old coordinates keep theirs, new ones start from zero ([`StatePolicy`], Eq. 24; by axis
//!   and by parameter, [`StateRules`]), mapped by [`expand_optimizer`] for any optimizer through its record;
//! - the rate: new coordinates climb to `rho` times the present rate and decay with the rest
//!   ([`Rewarmup`], Eq. 25-28), applied elementwise by [`Asymmetric`], an optimizer around any other.

mod asymmetric;
mod batched_muon;
mod bias_correction;
mod config;
mod error;
mod host;
mod mixed_precision;
mod per_expert;
mod policy;
mod record;
mod region;
mod rewarmup;
mod rules;
mod scope;

pub use asymmetric::{Asymmetric, AsymmetricExt, AsymmetricState};
pub use batched_muon::{BatchedMuon, BatchedMuonConfig};
pub use bias_correction::BiasCorrection;
pub use config::{AsymmetricConfig, AsymmetricGroups, IntoModuleOptimizer};
pub use error::OptimError;
pub use mixed_precision::{MixedPrecision, MixedPrecisionState};
pub use per_expert::{PerExpert, PerExpertState};
pub use policy::StatePolicy;
pub use record::{RawRecord, check_asymmetric, check_expandable, expand_optimizer};
pub use region::{Extent, Region};
pub use rewarmup::{Ramp, Rewarmup, RewarmupRule, RewarmupSchedule};
pub use rules::StateRules;
pub use scope::RewarmupScope;
