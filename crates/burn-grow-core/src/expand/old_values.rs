//! The old values of a parameter, where new ones are made from them.

use burn_core::tensor::TensorData;

use super::random::is_random;
use crate::plan::coordinates::Coordinate;
use crate::plan::model::Plan;

/// Tells if new values are made from the old ones.
pub(super) fn needs_old(plan: &Plan, dims: &[Option<Vec<Coordinate>>]) -> bool {
    is_random(dims) || plan.is_noisy()
}

/// Converts the values to a type that holds every other float exactly.
pub(super) fn floats(data: &TensorData) -> Vec<f64> {
    data.iter::<f64>().collect()
}
