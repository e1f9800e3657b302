//! A parameter expanded where it is, by tensor operations: the same bytes as on the host.
//!
//! Nothing is read from the device unless the plan makes values from the old ones, and nothing is
//! sent but indices, factors and what is random.

use burn_core::tensor::{Int, Tensor, TensorData};

use super::factors::Factors;
use super::gather::new_shape;
use super::moves::{Moves, Sources};
use super::old_values::{floats, needs_old};
use super::random::{draw, is_random};
use crate::plan::coordinates::{Content, Coordinate};
use crate::plan::model::Plan;
use crate::plan::param::ParamPlan;

/// Expands `tensor`.
pub(super) fn expand<const D: usize>(
    plan: &Plan,
    param: &ParamPlan,
    dims: &[Option<Vec<Coordinate>>; D],
    mut tensor: Tensor<D>,
) -> Tensor<D> {
    let (device, dtype) = (tensor.device(), tensor.dtype());
    let old = needs_old(plan, dims).then(|| floats(&tensor.to_data()));
    let random = old.as_ref().filter(|_| is_random(dims)).map(|old| {
        let shape = new_shape(dims, &param.old_shape);
        let mut values = vec![0.0; shape.iter().product()];
        draw(plan, param, dims, old.as_slice(), &mut values);
        TensorData::new(values, shape).convert_dtype(dtype)
    });
    for (dim, coordinates) in dims.iter().enumerate() {
        let Some(coordinates) = coordinates else {
            continue;
        };
        let Places {
            indices,
            roots,
            zero,
        } = Places::of(coordinates, param.old_shape[dim]);
        let mut parts = vec![tensor];
        if let Some(random) = random.as_ref().filter(|_| !roots.is_empty()) {
            let new = new_coordinates(random, dims, dim, roots);
            parts.push(Tensor::from_data(new, (&device, dtype)));
        }
        if zero {
            let mut shape = parts[0].dims();
            shape[dim] = 1;
            parts.push(Tensor::zeros(shape, (&device, dtype)));
        }
        tensor = match parts.len() {
            1 => parts.remove(0),
            _ => Tensor::cat(parts, dim),
        };
        let count = indices.len();
        let indices = TensorData::new(indices, [count]);
        tensor = tensor.select(dim, Tensor::<1, Int>::from_data(indices, &device));
    }
    let tensor = plan.with_noise(param, tensor, old);
    Factors::of(dims).multiply(tensor)
}

/// Where the new coordinates of a dimension are once its random coordinates, and one of zeros,
/// stand behind the old ones.
struct Places {
    indices: Vec<i64>,
    /// The random coordinates that are no copies.
    roots: Vec<usize>,
    /// Tells if a coordinate of zeros is needed.
    zero: bool,
}

impl Places {
    fn of(coordinates: &[Coordinate], old: usize) -> Self {
        let is_root = |(index, coordinate): &(usize, &Coordinate)| {
            coordinate.is_random() && coordinate.root == *index
        };
        let roots = coordinates.iter().enumerate().filter(is_root);
        let roots: Vec<usize> = roots.map(|(index, _)| index).collect();
        let place = |coordinate: &Coordinate| match coordinate.content {
            Content::Kept(index) => index,
            Content::Symbol | Content::Random => {
                old + roots.partition_point(|root| *root < coordinate.root)
            }
            Content::Zero => old + roots.len(),
        };
        Self {
            indices: coordinates.iter().map(|it| place(it) as i64).collect(),
            zero: coordinates.iter().any(|it| it.content == Content::Zero),
            roots,
        }
    }
}

/// The random coordinates `roots` of dimension `dim`, out of all `values` of the expanded
/// parameter. The dimensions before it have grown, those after it have not yet: the random values of
/// their own new coordinates come with them.
fn new_coordinates(
    values: &TensorData,
    dims: &[Option<Vec<Coordinate>>],
    dim: usize,
    roots: Vec<usize>,
) -> TensorData {
    let mut sources: Vec<Option<Sources>> = vec![None; dims.len()];
    sources[dim] = Some(roots.into_iter().map(Some).collect());
    for (sources, coordinates) in sources.iter_mut().zip(dims).skip(dim + 1) {
        *sources = coordinates.as_deref().map(kept);
    }
    let sizes = sources.iter().zip(values.shape().as_slice());
    let shape: Vec<usize> = sizes
        .map(|(sources, size)| sources.as_ref().map_or(*size, Vec::len))
        .collect();
    let (dtype, bytes) = (values.dtype(), values.as_bytes());
    let moves = Moves::new(sources, values.shape().as_slice(), dtype.size());
    let mut new = vec![0; moves.len()];
    moves.write(bytes, 0, &mut new);
    TensorData::from_bytes_vec(new, shape, dtype)
}

/// The place of each old coordinate among the new ones.
fn kept(coordinates: &[Coordinate]) -> Sources {
    let kept = coordinates.iter().enumerate();
    let mut kept: Vec<_> = kept
        .filter(|(index, coordinate)| coordinate.is_kept(*index))
        .filter_map(|(index, coordinate)| Some((coordinate.kept()?, index)))
        .collect();
    kept.sort_unstable();
    kept.into_iter().map(|(_, index)| Some(index)).collect()
}
