//! Asymmetric optimizer state and learning rates for parameters that grow while they train.
//!
//! Copied units receive identical gradients. With identical optimizer state they stay identical:
//! the symmetry lock (Eq. 20-23), under which growing buys nothing. Two asymmetries break it:
//!
//! - the state: old coordinates keep theirs, new ones start from zero ([`StatePolicy`], Eq. 24).
//!   Axes and groups of parameters can follow policies of their own ([`StateRules`]).
//!   [`expand_optimizer`] maps the state of any optimizer, through its record, and
//!   [`locked_copies`] tells where no asymmetry is left;
//! - the learning rate: new coordinates climb to `rho` times the base rate and decay with the rest
//!   ([`Rewarmup`], Eq. 25-28). [`Asymmetric`], an optimizer around any other, applies it
//!   coordinate by coordinate.
//!
//! [`AsymmetricConfig`] is the way to make such an optimizer from Burn's configurations, also one
//! whose rates follow the widths of a model ([`AsymmetricConfig::init_parametrized`]).
//! [`BatchedMuon`], [`PerExpert`] and [`MixedPrecision`] are optimizers that experts and half
//! precision need.

mod asymmetric;
mod batched_muon;
mod bias_correction;
mod config;
mod error;
mod expand;
mod keys;
mod locked;
mod mixed_precision;
mod param_ids;
mod parametrized;
mod per_expert;
mod policy;
mod probe;
mod record;
mod region;
mod rescale;
mod rewarmup;
mod rules;
mod scope;
mod settings;
mod width_groups;

pub use asymmetric::{Asymmetric, AsymmetricExt};
pub use batched_muon::{BatchedMuon, BatchedMuonConfig};
pub use bias_correction::BiasCorrection;
pub use config::{AsymmetricConfig, AsymmetricGroups, IntoModuleOptimizer};
pub use error::OptimError;
#[doc(hidden)]
pub use expand::expand_telling;
pub use expand::{check_expandable, expand_optimizer};
pub use locked::{LockedCopies, locked_copies};
pub use mixed_precision::MixedPrecision;
pub use parametrized::ParametrizedOptimizer;
pub use per_expert::PerExpert;
pub use policy::StatePolicy;
pub use probe::check_asymmetric;
#[doc(hidden)]
pub use record::{RawRecord, UnownedState};
pub use rewarmup::{Ramp, Rewarmup, RewarmupRule, RewarmupSchedule};
pub use rules::StateRules;
pub use scope::RewarmupScope;
