//! Axes that grow in one expansion or not at all.

use serde::{Deserialize, Serialize};

use super::axis::Axis;

/// Axes that an expansion grows all or none of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Together {
    /// Names of the axes.
    pub axes: Vec<Axis>,
    /// Reason that the model gives.
    pub reason: String,
}
