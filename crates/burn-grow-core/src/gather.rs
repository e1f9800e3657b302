use crate::dimension::Coordinate;
use crate::{ParamPlan, Plan};

/// What the new coordinates of an expanded tensor hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The coordinate that each one copies; zeros where the plan draws.
    Copy,
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
    /// single coordinates where it is reduced, as factored second moments are. Pure byte moves, so
    /// any data type, on the host, so the same on every device.
    ///
    /// Returns the new shape and bytes, or nothing when the tensor does not follow the parameter.
    pub fn expand_bytes(
        &self,
        param: &ParamPlan,
        shape: &[usize],
        bytes: &[u8],
        fill: Fill,
    ) -> Option<(Vec<usize>, Vec<u8>)> {
        let new_shape = self.expand_shape(param, shape)?;
        let elements: usize = shape.iter().product();
        if !bytes.len().is_multiple_of(elements) {
            return None;
        }
        let sources: Vec<Sources> = (0..shape.len())
            .map(|dim| match self.dimension(param, dim) {
                Some(coordinates) if shape[dim] == param.old_shape[dim] => {
                    sources(&coordinates, fill)
                }
                _ => (0..shape[dim]).map(Some).collect(),
            })
            .collect();
        let item = bytes.len() / elements;
        let mut out = vec![0; new_shape.iter().product::<usize>() * item];
        copy(&sources, shape, bytes, &mut out);
        Some((new_shape, out))
    }
}

fn sources(coordinates: &[Coordinate], fill: Fill) -> Sources {
    let source = |(index, coordinate): (usize, &Coordinate)| {
        let kept = fill == Fill::Copy || coordinate.is_kept(index);
        coordinate.kept().filter(|_| kept)
    };
    coordinates.iter().enumerate().map(source).collect()
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
