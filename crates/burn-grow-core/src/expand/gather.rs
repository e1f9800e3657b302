//! Raw tensors, expanded by moving bytes.

use crate::describe::axis::Axis;
use crate::plan::coordinates::Coordinate;
use crate::plan::fill::Fill;
use crate::plan::model::Plan;
use crate::plan::param::ParamPlan;

/// The old coordinate of each new coordinate along one dimension; `None` starts from zero.
type Sources = Vec<Option<usize>>;

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
    ) -> Option<(Vec<usize>, Vec<u8>)> {
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
/// stays. An element may be several consecutive items, such as the bytes of a float. Returns the
/// new shape and items.
pub(super) fn gather<T: Copy + Default>(
    dims: &[Option<Vec<Coordinate>>],
    shape: &[usize],
    from: &[T],
) -> (Vec<usize>, Vec<T>) {
    let sources = dims.iter().zip(shape).map(|(dim, size)| match dim {
        Some(coordinates) => coordinates.iter().map(Coordinate::kept).collect(),
        None => (0..*size).map(Some).collect(),
    });
    let sources: Vec<Sources> = sources.collect();
    let new_shape: Vec<usize> = sources.iter().map(Vec::len).collect();
    let elements = shape.iter().product();
    let items = from.len().checked_div(elements).unwrap_or(0);
    let mut to = vec![T::default(); new_shape.iter().product::<usize>() * items];
    if items > 0 {
        copy(&sources, shape, from, &mut to);
    }
    (new_shape, to)
}

/// Copies the outermost dimension first; contiguous runs of the innermost one move together.
fn copy<T: Copy>(sources: &[Sources], shape: &[usize], from: &[T], to: &mut [T]) {
    let Some((first, rest)) = sources.split_first() else {
        to.copy_from_slice(from);
        return;
    };
    let old_stride = from.len() / shape[0];
    let new_stride = to.len() / first.len();
    let mut new = 0;
    while new < first.len() {
        let Some(old) = first[new] else {
            new += 1;
            continue;
        };
        let mut run = 1;
        if rest.is_empty() {
            while first.get(new + run) == Some(&Some(old + run)) {
                run += 1;
            }
        }
        let from = &from[old * old_stride..(old + run) * old_stride];
        let to = &mut to[new * new_stride..(new + run) * new_stride];
        if rest.is_empty() {
            to.copy_from_slice(from);
        } else {
            copy(rest, &shape[1..], from, to);
        }
        new += run;
    }
}
