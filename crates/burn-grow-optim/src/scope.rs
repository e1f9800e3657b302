use serde::{Deserialize, Serialize};

/// Which coordinates a [`Rewarmup`](crate::Rewarmup) moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RewarmupScope {
    /// The coordinates that the expansion added.
    #[default]
    NewCoordinates,
    /// Every coordinate of every parameter, old and new. This is the control experiment that tells
    /// the effect of a higher learning rate from that of a broken symmetry.
    All,
}
