use serde::{Deserialize, Serialize};

/// What becomes of the optimizer state at an expansion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatePolicy {
    /// Old coordinates keep their state, new ones start from zero: `S' = [S, 0]` (Eq. 24).
    #[default]
    KeepAndZero,
    /// New coordinates copy the state of the unit they copy. The copies stay locked together.
    CopyAll,
}
