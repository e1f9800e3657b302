//! Parameters and constants of a model, expanded.

use burn_core::module::Param;
use burn_core::tensor::{Tensor, TensorData};

use super::apart::check_apart;
use super::gather::gather;
use super::random::randomize;
use crate::describe::constants::Constants;
use crate::describe::growable::Growable;
use crate::error::GrowError;
use crate::plan::coordinates::{Content, Coordinate, fixed};
use crate::plan::factor::Factor;
use crate::plan::fill::Fill;
use crate::plan::model::Plan;
use crate::plan::param::ParamPlan;
use crate::random::normals;
use crate::visit::{ParamMapper, map_params};

impl Plan {
    /// Expands the parameters and constants of `model`.
    ///
    /// Parameters keep their identity, device, data type, gradient requirement and checkpointing
    /// strategy.
    ///
    /// # Errors
    ///
    /// Fails when `model` is not the one that the plan was made for, or when a module that is
    /// described by hand shares a running statistic with clones. The model is consumed all the
    /// same: to keep it, pass a clone, which copies no tensor.
    pub fn apply<G: Growable>(&self, mut model: G) -> Result<G, GrowError> {
        self.check(&model)?;
        if self.is_identity() {
            return Ok(model);
        }
        // First, because running statistics are shared with clones until their layer sets them
        // apart.
        let clone = model.clone();
        model.update_constants(&Constants::new(&self.constant_widths()));
        let model = check_apart(self, model, &clone)?;
        // A clone would keep every old tensor to the end.
        drop(clone);
        Ok(map_params(model, &mut Expand { plan: self }))
    }

    /// Expands the parameter at `path` alone, as [`apply`](Self::apply) expands all of them. For
    /// models that are too large to be in memory at once.
    ///
    /// # Errors
    ///
    /// Fails when the plan has no such parameter, or one of another shape.
    pub fn apply_to_param<const D: usize>(
        &self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> Result<Param<Tensor<D>>, GrowError> {
        let planned = self.planned(path)?;
        planned.check_shape(&planned.old_shape, &param.base().dims())?;
        Ok(expand_param(self, planned, param))
    }
}

struct Expand<'a> {
    plan: &'a Plan,
}

impl ParamMapper for Expand<'_> {
    fn float<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.plan.param(path) {
            Some(planned) => expand_param(self.plan, planned, param),
            None => param,
        }
    }
}

fn expand_param<const D: usize>(
    plan: &Plan,
    planned: &ParamPlan,
    param: Param<Tensor<D>>,
) -> Param<Tensor<D>> {
    if !planned.grows() {
        return param;
    }
    let (id, tensor, mapper) = param.consume();
    // A computed tensor is no leaf: leave the tape, expand, and enter it again as it was.
    let autodiff = tensor.is_autodiff();
    let require_grad = tensor.is_require_grad();
    // Asking a plain tensor panics.
    let distributed = autodiff && tensor.is_distributed();
    let checkpointing = tensor.gradient_checkpointing_strategy();
    let mut expanded = expand(plan, planned, tensor.without_autodiff());
    if autodiff {
        expanded = Tensor::from_inner(expanded);
    }
    if let Some(strategy) = checkpointing {
        expanded = expanded.with_gradient_checkpointing_strategy(strategy);
    }
    if require_grad {
        expanded = expanded.require_grad();
    }
    if distributed {
        expanded = expanded.set_distributed(id);
    }
    Param::from_mapped_value(id, expanded, mapper)
}

/// Copies and randomizes on the host, where the optimizer state is expanded too, then multiplies on
/// the device.
fn expand<const D: usize>(plan: &Plan, param: &ParamPlan, tensor: Tensor<D>) -> Tensor<D> {
    let device = tensor.device();
    let dtype = tensor.dtype();
    let old = tensor.into_data();
    let dims: [Option<Vec<Coordinate>>; D] =
        core::array::from_fn(|dim| plan.dimension(param, dim, &|_| Fill::Scale));
    let (shape, bytes) = gather(&dims, &param.old_shape, old.as_bytes());
    let new = TensorData::from_bytes_vec(bytes, shape, dtype);
    let new = with_random(plan, param, &dims, &old, new);
    let mut tensor = Tensor::<D>::from_data(new, (&device, dtype));
    if plan.is_noisy()
        && let Some(noise) = plan.noise(param, &floats(&old))
    {
        let noise = TensorData::new(noise, param.new_shape.clone());
        tensor = tensor + Tensor::from_data(noise, (&device, dtype));
    }
    for (dim, coordinates) in dims.iter().enumerate() {
        let factors = coordinates
            .iter()
            .flatten()
            .map(|coordinate| coordinate.factor);
        tensor = match Factor::per_unit(factors.collect()) {
            Factor::PerUnit(factors) if factors.is_empty() => tensor,
            Factor::Uniform(1.0) => tensor,
            Factor::Uniform(factor) => tensor.mul_scalar(factor),
            Factor::PerUnit(factors) => {
                let mut shape = [1; D];
                shape[dim] = factors.len();
                let factors = TensorData::new(factors, shape);
                tensor * Tensor::<D>::from_data(factors, (&device, dtype))
            }
        };
    }
    tensor
}

/// Replaces the coordinates that the plan makes random.
fn with_random(
    plan: &Plan,
    param: &ParamPlan,
    dims: &[Option<Vec<Coordinate>>],
    old: &TensorData,
    new: TensorData,
) -> TensorData {
    let is_random = |c: &Coordinate| matches!(c.content, Content::Random | Content::Symbol);
    if !dims.iter().flatten().flatten().any(is_random) {
        return new;
    }
    let dims = dims.iter().zip(&param.old_shape);
    let dims: Vec<_> = dims
        .map(|(dim, size)| dim.clone().unwrap_or_else(|| fixed(*size)))
        .collect();
    let mut values = floats(&new);
    randomize(
        &dims,
        (&floats(old), &param.old_shape),
        &mut values,
        normals(plan.seed(), &param.path),
    );
    // Every other value keeps its bits on the way back.
    TensorData::new(values, new.shape()).convert_dtype(new.dtype())
}

/// Converts the values to a type that holds every other float exactly.
fn floats(data: &TensorData) -> Vec<f64> {
    data.iter::<f64>().collect()
}
