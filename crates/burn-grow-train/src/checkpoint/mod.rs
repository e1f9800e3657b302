//! Checkpoints: the record of a run, the files around it, and what is checked before they are used.

mod canonical;
mod error;
mod expand;
mod files;
mod layout;
mod marks;
mod order;
mod pages;
mod record;
mod state;
mod steps;
mod structure;

pub use self::error::{CheckpointError, Difference, ParamFault};
pub(crate) use self::expand::{copy, expand_tensors};
pub(crate) use self::files::{Files, at, checkpoints};
pub use self::files::{discard_after, saved_epochs};
pub(crate) use self::layout::{Layout, Saved, check_scheduler, check_values, read_state};
pub(crate) use self::marks::Marks;
pub(crate) use self::order::loadable;
pub(crate) use self::pages::{Pages, Recorded};
pub(crate) use self::record::{decode, encode};
pub(crate) use self::state::State;
pub(crate) use self::steps::check_steps;
pub(crate) use self::structure::restructured;
