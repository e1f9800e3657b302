//! Parameters and constants of a model, expanded.

use burn_core::module::Param;
use burn_core::tensor::Tensor;

use super::apart::check_apart;
use super::device;
#[cfg(feature = "flex")]
use super::host;
use crate::describe::constants::Constants;
use crate::describe::growable::Growable;
use crate::error::GrowError;
use crate::plan::coordinates::Coordinate;
use crate::plan::fill::Fill;
use crate::plan::model::Plan;
use crate::plan::param::ParamPlan;
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

/// Expands a tensor where it is: by moving bytes in host memory, by tensor operations elsewhere. The
/// bytes are the same.
fn expand<const D: usize>(plan: &Plan, param: &ParamPlan, tensor: Tensor<D>) -> Tensor<D> {
    let dims: [Option<Vec<Coordinate>>; D] =
        core::array::from_fn(|dim| plan.dimension(param, dim, &|_| Fill::Scale));
    #[cfg(feature = "flex")]
    if let Some(old) = host::host_tensor(&tensor) {
        return host::expand(plan, param, &dims, &tensor, &old);
    }
    device::expand(plan, param, &dims, tensor)
}
