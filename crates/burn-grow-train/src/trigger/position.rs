//! How far a run is.

use serde::{Deserialize, Serialize};

/// Position of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The number of optimizer steps taken.
    pub step: usize,
    /// The number of expansions taken.
    pub stage: usize,
}
