//! The symmetry between units and their copies.

use core::fmt;

use burn_core::module::{Module, Param};
use burn_core::tensor::{DType, Gradients, Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::describe::axis::Axis;
use crate::describe::role::{Role, RoleKind};
use crate::error::GrowError;
use crate::plan::axis_plan::{AxisPlan, Origin};
use crate::plan::model::Plan;
use crate::plan::param::ParamContent;
use crate::table::table;
use crate::visit::{ParamVisitor, for_each_param};

/// The similarity of units and their copies. Where it is 1 everywhere, the units are locked in
/// symmetry (Eq. 20-23). Prints as a table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Symmetry {
    /// One row per dimension along which units were copied.
    pub rows: Vec<CopySymmetry>,
}

/// The similarity of units and their copies along one dimension of one parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CopySymmetry {
    /// Path of the parameter.
    pub path: String,
    /// Index of the dimension.
    pub dim: usize,
    /// Axis whose units were copied.
    pub axis: Axis,
    /// Number of pairs of a unit and a copy of it.
    pub pairs: usize,
    /// Mean cosine between the two.
    pub mean: f64,
    /// Smallest cosine between the two.
    pub min: f64,
}

impl Symmetry {
    /// Computes the mean cosine over all pairs. Returns `None` if there are no copies.
    pub fn mean(&self) -> Option<f64> {
        self.mean_of(|_| true)
    }

    /// Computes the mean cosine over the pairs of the rows that `wanted` accepts. Returns `None` if
    /// it accepts no pairs.
    pub fn mean_of(&self, wanted: impl Fn(&CopySymmetry) -> bool) -> Option<f64> {
        let rows = self.rows.iter().filter(|row| wanted(row));
        let (sum, pairs) = rows.fold((0.0, 0.0), |(sum, pairs), row| {
            let count = row.pairs as f64;
            (sum + row.mean * count, pairs + count)
        });
        (pairs > 0.0).then(|| sum / pairs)
    }
}

/// A tensor for every parameter of a model, such as its gradient.
///
/// Implemented for [`Gradients`]. For burn-optim's `GradientsParams`, write a wrapper that returns
/// `self.0.get(param.id)`. Parameters for which it returns `None` are passed over.
pub trait ParamTensors {
    /// Returns the tensor of `param`, in its shape.
    fn tensor_of<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<D>>;
}

impl ParamTensors for Gradients {
    fn tensor_of<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<D>> {
        param.grad(self)
    }
}

struct Weights;

impl ParamTensors for Weights {
    fn tensor_of<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<D>> {
        Some(param.val())
    }
}

/// Compares the units of `model` with the copies that `plan` made of them: for every dimension
/// along which units were copied, the cosine between the slice of a unit and that of each of its
/// copies.
///
/// A slice is every weight at the unit's coordinates of that dimension. In stacked parameters, such
/// as the experts of a mixture, members are compared one by one: those are parameters whose
/// dimension 0 is the same stack wherever the axis occurs. Units that the plan made random or zero
/// are not copies. Slices of a single number have no direction and slices of zeros no cosine; both
/// are left out.
///
/// ```
/// # use burn_core as burn;
/// # use burn::{module::Module, tensor::Device};
/// use burn_grow_core::verify::symmetry;
/// # use burn_grow_core::{Expansion, GrowError};
/// # use burn_grow_derive::Growable;
/// # use burn_nn::{Linear, LinearConfig};
/// # #[derive(Module, Growable, Debug)]
/// # #[grow(crate = burn_grow_core)]
/// # struct Mlp {
/// #     #[grow(fan_out = "inner")]
/// #     up: Linear,
/// #     #[grow(fan_in = "inner")]
/// #     down: Linear,
/// # }
/// # fn main() -> Result<(), GrowError> {
/// # let device = Device::flex();
/// # let mlp = Mlp {
/// #     up: LinearConfig::new(3, 8).init(&device),
/// #     down: LinearConfig::new(8, 2).init(&device),
/// # };
/// let plan = Expansion::by("inner", 2.0).plan(&mlp)?;
/// let wide = plan.apply(mlp)?;
/// // Training makes it smaller: copies drift apart.
/// let mean = symmetry(&wide, &plan)?.mean().expect("copies");
/// assert!((mean - 1.0).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Fails when `model` is not what the plan expands to.
pub fn symmetry<M: Module>(model: &M, plan: &Plan) -> Result<Symmetry, GrowError> {
    symmetry_of(model, &Weights, plan)
}

/// Compares units and copies as [`symmetry`] does, in a tensor for every parameter such as its
/// gradient.
///
/// # Errors
///
/// Fails when `model` is not what the plan expands to.
pub fn symmetry_of<M: Module>(
    model: &M,
    tensors: &impl ParamTensors,
    plan: &Plan,
) -> Result<Symmetry, GrowError> {
    let grown = plan.axes().iter().filter(|(_, axis)| axis.grows());
    let mut visitor = Visitor {
        plan,
        axes: grown
            .map(|(axis, grown)| (axis, grown, stacked(plan, axis)))
            .collect(),
        tensors,
        found: Ok(Symmetry::default()),
    };
    for_each_param(model, &mut visitor);
    visitor.found
}

struct Visitor<'a, T> {
    plan: &'a Plan,
    /// Every grown axis, and `true` if its units belong to the members of a stack.
    axes: Vec<(&'a Axis, &'a AxisPlan, bool)>,
    tensors: &'a T,
    found: Result<Symmetry, GrowError>,
}

impl<T: ParamTensors> ParamVisitor for Visitor<'_, T> {
    fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let Ok(found) = &mut self.found else {
            return;
        };
        let planned = match self.plan.grown_param(path, &param.dims()) {
            Ok(planned) => planned,
            Err(error) => {
                self.found = Err(error);
                return;
            }
        };
        // In a new block there are copies only where it copies its source.
        if planned.content().is_some_and(|it| it != ParamContent::Copy) {
            return;
        }
        let Some(tensor) = self.tensors.tensor_of(param) else {
            return;
        };
        let tensor = tensor.without_autodiff().cast(DType::F32);
        for dim in 0..D {
            let Some(role) = self.plan.growing(planned, dim) else {
                continue;
            };
            for (axis, grown, stacked) in &self.axes {
                // Units of different kinds, as the heads of queries and of keys, are not equally
                // large.
                let kinds = kinds(role, axis).into_iter();
                let cosines = kinds.flat_map(|kind| {
                    let pairs = pairs(self.plan, role, axis, grown, kind);
                    cosines(&tensor, dim, *stacked, &pairs)
                });
                found
                    .rows
                    .extend(row(path, dim, axis, &cosines.collect::<Vec<_>>()));
            }
        }
    }
}

fn row(path: &str, dim: usize, axis: &Axis, cosines: &[f64]) -> Option<CopySymmetry> {
    (!cosines.is_empty()).then(|| CopySymmetry {
        path: path.to_owned(),
        dim,
        axis: axis.clone(),
        pairs: cosines.len(),
        mean: cosines.iter().sum::<f64>() / cosines.len() as f64,
        min: cosines.iter().copied().fold(f64::INFINITY, f64::min),
    })
}

/// Lists the kinds of the parts of `role` that lie on `axis`.
fn kinds(role: &Role, axis: &Axis) -> Vec<RoleKind> {
    let mut kinds: Vec<RoleKind> = Vec::new();
    for kind in role.kinds_on(axis) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

/// Lists the coordinates of a unit and of a copy of it, pair by pair.
fn pairs(
    plan: &Plan,
    role: &Role,
    axis: &Axis,
    grown: &AxisPlan,
    kind: RoleKind,
) -> Vec<[Vec<usize>; 2]> {
    let mut coordinates = vec![Vec::new(); grown.new_width()];
    let units = plan.units_along(role, axis, &[kind]);
    for (coordinate, unit) in units.into_iter().enumerate() {
        if let Some(unit) = unit {
            coordinates[unit].push(coordinate);
        }
    }
    let origins = grown.origins(kind);
    let copies = origins.iter().enumerate().filter_map(|(copy, origin)| {
        let Origin::Like(unit) = *origin else {
            return None;
        };
        let kept = matches!(origins[unit], Origin::Kept(_));
        kept.then(|| [coordinates[unit].clone(), coordinates[copy].clone()])
    });
    copies.collect()
}

/// Returns `true` if the units of `axis` belong to the members of a stack of matrices: dimension 0
/// of every parameter on the axis has the same size, and neither makes nor consumes an axis.
fn stacked(plan: &Plan, axis: &Axis) -> bool {
    let on_axis = |role: &Option<Role>| {
        let mut axes = role.iter().flat_map(Role::axes);
        axes.any(|other| other == axis)
    };
    let mut stack = None;
    let mut matrices = false;
    for param in plan.params() {
        if !param.roles.iter().any(on_axis) {
            continue;
        }
        let rides = |role: &Role| role.parts.iter().all(|part| part.kind == RoleKind::Gain);
        let first = &param.roles[0];
        let size = param.new_shape[0];
        let rides = first.as_ref().is_none_or(rides) && !on_axis(first);
        if !rides || *stack.get_or_insert(size) != size {
            return false;
        }
        matrices |= param.roles.len() > 2;
    }
    matrices
}

/// Computes the cosine of each pair of slices along `dim`, for every member of a stack.
fn cosines<const D: usize>(
    tensor: &Tensor<D>,
    dim: usize,
    stacked: bool,
    pairs: &[[Vec<usize>; 2]],
) -> Vec<f64> {
    let Some([unit, _]) = pairs.first() else {
        return Vec::new();
    };
    let shape = tensor.dims();
    let members = if stacked && dim > 0 { shape[0] } else { 1 };
    let before = shape[..dim].iter().product::<usize>() / members;
    let after: usize = shape[dim + 1..].iter().product();
    let (count, size) = (pairs.len(), unit.len());
    let length = before * size * after;
    if length < 2 {
        return Vec::new();
    }
    let tensor = tensor.clone().reshape([members, before, shape[dim], after]);
    // The slices of the units or of the copies, `[members x pairs, length]`.
    let slices = |side: usize| -> Tensor<2> {
        let coordinates = pairs.iter().flat_map(|pair| &pair[side]);
        let coordinates: Vec<i64> = coordinates.map(|index| *index as i64).collect();
        let coordinates = Tensor::<1, Int>::from_ints(coordinates.as_slice(), &tensor.device());
        tensor
            .clone()
            .select(2, coordinates)
            .reshape([members, before, count, size * after])
            .swap_dims(1, 2)
            .reshape([members * count, length])
    };
    let (units, copies) = (slices(0), slices(1));
    let norm = |slices: &Tensor<2>| read(slices.clone().square().sum_dim(1).sqrt());
    let norms = norm(&units).into_iter().zip(norm(&copies));
    let products = read((units * copies).sum_dim(1));
    products
        .into_iter()
        .zip(norms)
        .filter(|(_, (unit, copy))| *unit != 0.0 && *copy != 0.0)
        .map(|(product, (unit, copy))| f64::from(product / (unit * copy)))
        .collect()
}

fn read(column: Tensor<2>) -> Vec<f32> {
    column.into_data().iter::<f32>().collect()
}

impl fmt::Display for Symmetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["parameter", "dim", "axis", "pairs", "mean cosine", "min"];
        let mut rows = vec![header.map(String::from).to_vec()];
        rows.extend(self.rows.iter().map(|row| {
            vec![
                row.path.clone(),
                row.dim.to_string(),
                row.axis.to_string(),
                row.pairs.to_string(),
                format!("{:.4}", row.mean),
                format!("{:.4}", row.min),
            ]
        }));
        f.write_str(&table(&rows))?;
        match self.mean() {
            Some(mean) => write!(f, "all pairs: {mean:.4}"),
            None => f.write_str("no copies"),
        }
    }
}
