//! The description of one parameter.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::active::ActiveFraction;
use super::axis::Axis;
use super::role::Role;

/// One parameter of a [`Blueprint`](crate::Blueprint).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParamBlueprint {
    /// Path in the module tree, as Burn's records and optimizer groups spell it.
    pub path: String,
    /// Present shape.
    pub shape: Vec<usize>,
    /// Role of each dimension; a dimension with `None` never grows. Serialized as a role without
    /// parts.
    #[serde(with = "super::role::optional")]
    pub roles: Vec<Option<Role>>,
    /// Fraction of the elements that takes part in one token.
    pub active: ActiveFraction,
}

impl ParamBlueprint {
    /// Counts the elements.
    pub fn num_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Computes the shape at other widths.
    pub fn shape_at(&self, widths: &BTreeMap<Axis, usize>) -> Vec<usize> {
        let size = |(size, role): (&usize, &Option<Role>)| match role {
            Some(role) => role.size(|axis| widths.get(axis).copied().unwrap_or(1)),
            None => *size,
        };
        self.shape.iter().zip(&self.roles).map(size).collect()
    }
}
