//! What is measured of a model and of a run's cost.

pub mod counted;
pub mod probe;
mod scores;

pub use scores::{Hits, Scores, scores};
