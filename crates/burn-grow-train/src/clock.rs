use serde::{Deserialize, Serialize};

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The optimizer steps taken.
    pub step: usize,
    /// The expansions taken.
    pub stage: usize,
}
