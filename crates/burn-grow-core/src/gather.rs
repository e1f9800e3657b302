use crate::dimension::Coordinate;
use crate::{Axis, ParamPlan, Plan};

/// What the new units of an axis hold in an expanded tensor. Where axes meet in one coordinate, any
/// zero makes it zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The unit that each one copies; zeros where the plan draws.
    Copy,
    /// As [`Copy`](Self::Copy), to be multiplied with the factors of the axis, as weights are
    /// ([`Plan::factor`]).
    Scale,
    /// Zeros.
    Zero,
}

/// Where the coordinates of one dimension of an expanded tensor come from; none start from zero.
type Sources = Vec<Option<usize>>;

impl Plan {
    /// The shape that [`expand_bytes`](Self::expand_bytes) gives a tensor of `shape`.
    pub fn expand_shape(&self, param: &ParamPlan, shape: &[usize]) -> Option<Vec<usize>> {
        let sizes = shape.iter().zip(&param.old_shape).zip(&param.new_shape);
        let follows = shape.len() == param.old_shape.len()
            && sizes
                .clone()
                .all(|((size, old), _)| size == old || *size == 1);
        let expanded = sizes.map(|((size, old), new)| if size == old { *new } else { *size });
        (follows && !shape.contains(&0)).then(|| expanded.collect())
    }

    /// Expands the raw bytes of a tensor of `shape` that follows `param`: shaped like it, or with
    /// single coordinates where it is reduced, as factored second moments are. `fill` says of every axis
    /// what its new units hold. Pure byte moves, so any data type, on the host, so the same on every
    /// device.
    ///
    /// Returns the new shape and bytes, or nothing when the tensor does not follow the parameter.
    pub fn expand_bytes(
        &self,
        param: &ParamPlan,
        shape: &[usize],
        bytes: &[u8],
        fill: &dyn Fn(&Axis) -> Fill,
    ) -> Option<(Vec<usize>, Vec<u8>)> {
        self.expand_shape(param, shape)?;
        // Before the coordinates are listed, of which there may be any number.
        if bytes.len() < shape.iter().product() {
            return None;
        }
        let dims = shape.iter().enumerate().map(|(dim, size)| {
            let whole = *size == param.old_shape[dim];
            whole.then(|| self.dimension(param, dim, fill)).flatten()
        });
        gather(&dims.collect::<Vec<_>>(), shape, bytes)
    }
}

/// Moves the bytes of a tensor of `shape` to the coordinates of `dims`; a dimension without any stays.
/// Returns the new shape and bytes, or nothing when `bytes` hold no whole number of elements.
pub(crate) fn gather(
    dims: &[Option<Vec<Coordinate>>],
    shape: &[usize],
    bytes: &[u8],
) -> Option<(Vec<usize>, Vec<u8>)> {
    let elements: usize = shape.iter().product();
    if !bytes.len().is_multiple_of(elements) {
        return None;
    }
    let sources = dims.iter().zip(shape).map(|(dim, size)| match dim {
        Some(coordinates) => coordinates.iter().map(Coordinate::kept).collect(),
        None => (0..*size).map(Some).collect(),
    });
    let sources: Vec<Sources> = sources.collect();
    let new_shape: Vec<usize> = sources.iter().map(Vec::len).collect();
    if elements == 0 {
        return Some((new_shape, Vec::new()));
    }
    let item = bytes.len() / elements;
    let mut out = vec![0; new_shape.iter().product::<usize>() * item];
    copy(&sources, shape, bytes, &mut out);
    Some((new_shape, out))
}

/// Copies outermost dimension first; contiguous runs of the innermost one move together.
fn copy(sources: &[Sources], shape: &[usize], from: &[u8], to: &mut [u8]) {
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
        match rest.is_empty() {
            true => to.copy_from_slice(from),
            false => copy(rest, &shape[1..], from, to),
        }
        new += run;
    }
}
