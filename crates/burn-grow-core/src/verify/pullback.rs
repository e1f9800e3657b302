//! Gradients of a wide model, carried back to the narrow one.

use std::collections::HashMap;

use burn_core::module::{Module, Param};
use burn_core::tensor::{DType, IndexingUpdateOp, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::symmetry::ParamTensors;
use crate::error::GrowError;
use crate::plan::fill::Fill;
use crate::plan::model::Plan;
use crate::plan::param::ParamPlan;
use crate::visit::{ParamVisitor, for_each_param};

/// The part of the norm of all gradients below which the gradient of one parameter is taken as
/// zero: rounding is all there may be of it.
const FLOOR: f64 = 1e-2;

/// The gradients of a narrow model beside those of a wide one, carried back along the expansion.
///
/// Where both models compute the same function `f(w) = F(E(w))`, the chain rule makes the two equal:
/// `grad f = E^T grad F`, with the map `E` from narrow to wide parameters that a [`Plan`] is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pullback {
    /// One row for each parameter with a gradient, in the order of the module tree.
    pub rows: Vec<PulledBack>,
    /// The rounding unit of the coarsest parameter, relative to one.
    pub epsilon: f64,
}

/// The two gradients of one parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PulledBack {
    /// Path of the parameter.
    pub path: String,
    /// Norm of the narrow model's gradient.
    pub norm: f64,
    /// Norm of its difference to the gradient that was carried back.
    pub difference: f64,
}

impl Pullback {
    /// Computes the norm of all gradients of the narrow model.
    pub fn norm(&self) -> f64 {
        let squares = self.rows.iter().map(|row| row.norm.powi(2));
        squares.sum::<f64>().sqrt()
    }

    /// Lists by how much each gradient differs, as a fraction of its norm; or of a hundredth of the
    /// norm of all, where that is more. What is not a number is infinitely different.
    pub fn relative(&self) -> impl Iterator<Item = (&str, f64)> {
        let floor = FLOOR * self.norm();
        self.rows.iter().map(move |row| {
            let relative = match row.difference {
                0.0 if row.norm.is_finite() => 0.0,
                difference => difference / row.norm.max(floor),
            };
            let relative = if relative.is_nan() {
                f64::INFINITY
            } else {
                relative
            };
            (row.path.as_str(), relative)
        })
    }

    /// The largest of the [`relative`](Self::relative) differences; zero if there is no gradient.
    pub fn worst(&self) -> f64 {
        self.relative()
            .map(|(_, relative)| relative)
            .fold(0.0, f64::max)
    }
}

/// Carries the gradients `after` of `wide` back along `plan`, and compares them with the gradients
/// `before` of `narrow`, parameter by parameter, in single precision.
///
/// Every coordinate of a wide gradient counts towards the old coordinate that it is or copies, times
/// the factor of the plan. New coordinates that are random or zero depend on no old one and are left
/// out. So are the parameters in new blocks of a stack: where the function is kept, identity blocks,
/// the old parameters have the gradients that they had. A gradient that only one model has is compared with zero.
///
/// ```
/// # use burn_core as burn;
/// # use burn::module::Module;
/// # use burn::tensor::{Device, Distribution, Tensor};
/// use burn_grow_core::verify::pullback;
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
/// # let device = Device::flex().autodiff();
/// # let mlp = Mlp {
/// #     up: LinearConfig::new(3, 8).init(&device),
/// #     down: LinearConfig::new(8, 2).init(&device),
/// # };
/// let x = Tensor::<2>::random([16, 3], Distribution::Default, &device);
/// let loss = |mlp: &Mlp| mlp.down.forward(mlp.up.forward(x.clone()).tanh()).square().mean();
/// let plan = Expansion::by("inner", 2.0).plan(&mlp)?;
/// let wide = plan.apply(mlp.clone())?;
/// let (before, after) = (loss(&mlp).backward(), loss(&wide).backward());
/// let found = pullback(&plan, (&mlp, &before), (&wide, &after))?;
/// assert!(found.worst() < 1e-4);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Fails when `wide` is not what the plan expands `narrow` to.
pub fn pullback<M: Module>(
    plan: &Plan,
    (narrow, before): (&M, &impl ParamTensors),
    (wide, after): (&M, &impl ParamTensors),
) -> Result<Pullback, GrowError> {
    compare(Some(plan), (narrow, before), (wide, after))
}

/// Compares two gradients of one model, as those of two steps on one batch.
///
/// # Errors
///
/// None for gradients of `model`.
pub fn gradient_change<M: Module>(
    model: &M,
    first: &impl ParamTensors,
    second: &impl ParamTensors,
) -> Result<Pullback, GrowError> {
    compare(None, (model, first), (model, second))
}

fn compare<M: Module>(
    plan: Option<&Plan>,
    (narrow, before): (&M, &impl ParamTensors),
    (wide, after): (&M, &impl ParamTensors),
) -> Result<Pullback, GrowError> {
    let mut flat = Flatten {
        tensors: before,
        flat: HashMap::new(),
    };
    for_each_param(narrow, &mut flat);
    let mut pull = Pull {
        plan,
        tensors: after,
        before: flat.flat,
        rows: Vec::new(),
        epsilon: 0.0,
        error: None,
    };
    for_each_param(wide, &mut pull);
    let missing = pull.before.into_keys().min();
    let missing = missing.map(|path| GrowError::Missing {
        path,
        has: "narrow model",
        lacks: "wide model",
    });
    if let Some(error) = pull.error.or(missing) {
        return Err(error);
    }
    let Some((_, first)) = pull.rows.first() else {
        return Ok(Pullback::default());
    };
    let device = first.device();
    let (paths, sums): (Vec<_>, Vec<_>) = pull.rows.into_iter().unzip();
    let sums = sums.into_iter().map(|sums| sums.to_device(&device));
    let sums: Vec<f64> = Tensor::cat(sums.collect(), 0).into_data().iter().collect();
    let rows = paths.into_iter().zip(sums.chunks_exact(2));
    Ok(Pullback {
        rows: rows
            .map(|(path, sums)| PulledBack {
                path,
                norm: sums[0].sqrt(),
                difference: sums[1].sqrt(),
            })
            .collect(),
        epsilon: pull.epsilon,
    })
}

/// Collects the tensor of every parameter as one row of numbers; `None` for one without.
struct Flatten<'a, T> {
    tensors: &'a T,
    flat: HashMap<String, Option<Tensor<1>>>,
}

impl<T: ParamTensors> ParamVisitor for Flatten<'_, T> {
    fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let tensor = self.tensors.tensor_of(param).map(flattened);
        self.flat.insert(path.to_owned(), tensor);
    }
}

fn flattened<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let count = tensor.shape().num_elements();
    tensor.without_autodiff().cast(DType::F32).reshape([count])
}

struct Pull<'a, T> {
    /// `None` if both models are one.
    plan: Option<&'a Plan>,
    tensors: &'a T,
    before: HashMap<String, Option<Tensor<1>>>,
    /// The squared norm of each gradient, and that of its difference, left on its device.
    rows: Vec<(String, Tensor<1>)>,
    epsilon: f64,
    error: Option<GrowError>,
}

impl<T: ParamTensors> Pull<'_, T> {
    fn pull<const D: usize>(
        &self,
        path: &str,
        param: &Param<Tensor<D>>,
    ) -> Result<Option<Tensor<1>>, GrowError> {
        let tensor = self.tensors.tensor_of(param);
        let Some(plan) = self.plan else {
            return Ok(tensor.map(flattened));
        };
        let planned = plan.grown_param(path, &param.dims())?;
        Ok(tensor.map(|tensor| {
            let tensor = tensor.without_autodiff().cast(DType::F32);
            flattened(carried_back(plan, planned, tensor))
        }))
    }
}

impl<T: ParamTensors> ParamVisitor for Pull<'_, T> {
    fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let after = match self.pull(path, param) {
            Ok(after) => after,
            Err(error) => {
                self.error.get_or_insert(error);
                return;
            }
        };
        // What is in a new block depends on no old parameter that the gradient could come from.
        let planned = self.plan.and_then(|plan| plan.param(path));
        if planned.is_some_and(ParamPlan::is_new) {
            return;
        }
        let old = planned.and_then(ParamPlan::source_path).unwrap_or(path);
        let Some(before) = self.before.remove(old) else {
            self.error.get_or_insert(GrowError::Missing {
                path: path.to_owned(),
                has: "wide model",
                lacks: "narrow model",
            });
            return;
        };
        let (before, difference) = match (before, after) {
            (None, None) => return,
            (Some(before), Some(after)) => {
                let difference = after.to_device(&before.device()) - before.clone();
                (before, difference)
            }
            (Some(only), None) => (only.clone(), only),
            (None, Some(only)) => (only.zeros_like(), only),
        };
        let epsilon = param
            .base()
            .dtype()
            .finfo()
            .map_or(0.0, |info| info.epsilon);
        self.epsilon = self.epsilon.max(epsilon);
        let sums = [before, difference].map(|values| values.square().sum());
        self.rows
            .push((path.to_owned(), Tensor::cat(sums.to_vec(), 0)));
    }
}

/// The transpose of the plan, dimension by dimension: sums what copies one old coordinate.
fn carried_back<const D: usize>(
    plan: &Plan,
    planned: &ParamPlan,
    mut tensor: Tensor<D>,
) -> Tensor<D> {
    let device = tensor.device();
    let indices = |indices: Vec<i64>| Tensor::<1, Int>::from_ints(indices.as_slice(), &device);
    for dim in 0..D {
        let Some(coordinates) = plan.dimension(planned, dim, &|_| Fill::Scale) else {
            continue;
        };
        let (mut new, mut old, mut factors) = (Vec::new(), Vec::new(), Vec::new());
        for (index, coordinate) in coordinates.iter().enumerate() {
            if let Some(kept) = coordinate.kept() {
                new.push(index as i64);
                old.push(kept as i64);
                factors.push(coordinate.factor as f32);
            }
        }
        if new.len() < coordinates.len() {
            tensor = tensor.select(dim, indices(new));
        }
        if factors.iter().any(|factor| *factor != 1.0) {
            let mut shape = [1; D];
            shape[dim] = factors.len();
            let factors = TensorData::new(factors, shape);
            tensor = tensor * Tensor::<D>::from_data(factors, (&device, DType::F32));
        }
        let mut shape = tensor.dims();
        shape[dim] = planned.old_shape[dim];
        tensor = Tensor::<D>::zeros(shape, (&device, DType::F32)).select_assign(
            dim,
            indices(old),
            tensor,
            IndexingUpdateOp::Add,
        );
    }
    tensor
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(&str, f64, f64)]) -> Pullback {
        let rows = rows.iter().map(|(path, norm, difference)| PulledBack {
            path: (*path).to_owned(),
            norm: *norm,
            difference: *difference,
        });
        Pullback {
            rows: rows.collect(),
            epsilon: 0.0,
        }
    }

    #[test]
    fn a_difference_is_relative_to_its_gradient_or_to_a_hundredth_of_all() {
        let found = rows(&[("a", 4.0, 0.4), ("b", 0.0, 0.001), ("c", 3.0, 0.0)]);
        assert_eq!(found.norm(), 5.0);
        let relative: Vec<_> = found.relative().collect();
        assert_eq!(relative, [("a", 0.1), ("b", 0.02), ("c", 0.0)]);
        assert_eq!(found.worst(), 0.1);
    }

    #[test]
    fn what_is_not_a_number_differs_and_nothing_differs_from_nothing() {
        assert_eq!(rows(&[("a", f64::NAN, f64::NAN)]).worst(), f64::INFINITY);
        assert_eq!(rows(&[("a", 1.0, f64::NAN)]).worst(), f64::INFINITY);
        assert_eq!(rows(&[("a", 0.0, 0.0)]).worst(), 0.0);
        assert_eq!(rows(&[("a", 0.0, 1.0)]).worst(), f64::INFINITY);
        assert_eq!(rows(&[]).worst(), 0.0);
    }
}
