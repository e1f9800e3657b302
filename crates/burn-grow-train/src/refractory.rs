use serde::{Deserialize, Serialize};

/// The least time between two expansions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refractory {
    /// None.
    #[default]
    None,
    /// So many optimizer steps.
    Steps(usize),
    /// So many epochs. The builder has to know the
    /// [`steps_per_epoch`](crate::WidthExpansionBuilder::steps_per_epoch).
    Epochs(usize),
}
