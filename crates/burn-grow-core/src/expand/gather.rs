//! Raw tensors, expanded by moving bytes.

use burn_core::tensor::Bytes;

use super::filled::filled;
use super::moves::{Moves, Sources};
use crate::describe::axis::Axis;
use crate::plan::coordinates::Coordinate;
use crate::plan::fill::Fill;
use crate::plan::model::Plan;
use crate::plan::param::ParamPlan;

impl Plan {
    /// Computes the shape that [`expand_bytes`](Self::expand_bytes) gives a tensor of `shape`.
    /// Returns `None` if the tensor does not have the shape of the parameter.
    pub fn expand_shape(&self, param: &ParamPlan, shape: &[usize]) -> Option<Vec<usize>> {
        let sizes = shape.iter().zip(&param.old_shape).zip(&param.new_shape);
        let follows = shape.len() == param.old_shape.len()
            && sizes
                .clone()
                .all(|((size, old), _)| size == old || *size == 1);
        let expanded = sizes.map(|((size, old), new)| if size == old { *new } else { *size });
        (follows && !shape.contains(&0)).then(|| expanded.collect())
    }

    /// Expands the raw bytes of a tensor of `shape` that belongs to `param`: shaped like it, or
    /// with a single coordinate where it is reduced, as factored second moments are. `fill` says of
    /// every axis what its new units hold.
    ///
    /// Works on any data type, on the host, and gives the same result on every device. Returns the
    /// new shape and bytes, or `None` if the tensor does not have the shape of the parameter.
    pub fn expand_bytes(
        &self,
        param: &ParamPlan,
        shape: &[usize],
        bytes: &[u8],
        fill: &dyn Fn(&Axis) -> Fill,
    ) -> Option<(Vec<usize>, Bytes)> {
        self.expand_shape(param, shape)?;
        let elements = shape.iter().product();
        // A shape that was read may promise any number of coordinates: check before listing them.
        if bytes.len() < elements || !bytes.len().is_multiple_of(elements) {
            return None;
        }
        let dims = shape.iter().enumerate().map(|(dim, size)| {
            let whole = *size == param.old_shape[dim];
            whole.then(|| self.dimension(param, dim, fill)).flatten()
        });
        Some(gather(&dims.collect::<Vec<_>>(), shape, bytes))
    }
}

/// Moves the elements of a tensor of `shape` to the coordinates of `dims`; a dimension with `None`
/// stays. Returns the new shape and bytes.
fn gather(dims: &[Option<Vec<Coordinate>>], shape: &[usize], from: &[u8]) -> (Vec<usize>, Bytes) {
    let moves = moves(dims, shape, from.len());
    let bytes = filled(moves.len(), |at, to| moves.write(from, at, to));
    (new_shape(dims, shape), bytes)
}

/// The moves of a tensor of `shape` and so many `bytes` to the coordinates of `dims`.
pub(super) fn moves(dims: &[Option<Vec<Coordinate>>], shape: &[usize], bytes: usize) -> Moves {
    let sources = |coordinates: &Vec<Coordinate>| -> Sources {
        coordinates.iter().map(Coordinate::kept).collect()
    };
    let sources = dims.iter().map(|dim| dim.as_ref().map(sources));
    let elements = shape.iter().product();
    let item = bytes.checked_div(elements).unwrap_or(0);
    Moves::new(sources.collect(), shape, item)
}

/// The shape of a tensor of `shape` with the coordinates of `dims`.
pub(super) fn new_shape(dims: &[Option<Vec<Coordinate>>], shape: &[usize]) -> Vec<usize> {
    let sizes = dims.iter().zip(shape);
    sizes
        .map(|(dim, size)| dim.as_ref().map_or(*size, Vec::len))
        .collect()
}
