//! Parameters and constants of a model, expanded.

use burn_core::module::{Module, Param};
use burn_core::tensor::{DType, Device, Tensor};

use super::apart::check_apart;
use super::device;
#[cfg(feature = "flex")]
use super::host;
use super::tape::Tape;
use crate::describe::constants::Constants;
use crate::describe::growable::Growable;
use crate::error::GrowError;
use crate::plan::coordinates::Coordinate;
use crate::plan::fill::Fill;
use crate::plan::model::Plan;
use crate::plan::param::{ParamContent, ParamPlan};
use crate::visit::{ParamMapper, ParamVisitor, for_each_param, map_params};

impl Plan {
    /// Expands the parameters and constants of `model`.
    ///
    /// Parameters keep their identity, device, data type, gradient requirement and checkpointing
    /// strategy. In a new block of a stack they have those of their sources, and identities of their
    /// own.
    ///
    /// # Errors
    ///
    /// Fails when `model` is not the one that the plan was made for, when a module that is described
    /// by hand shares a running statistic with clones or does not rebuild a stack, or when a fresh
    /// block is not what the plan expects. The model is consumed all the same: to keep it, pass a
    /// clone, which copies no tensor.
    pub fn apply<G: Growable>(&self, model: G) -> Result<G, GrowError> {
        self.check(&model)?;
        if self.is_identity() {
            return Ok(model);
        }
        let like = Like::of(&model);
        // Before anything is expanded, because running statistics are shared with clones until their
        // layer sets them apart.
        let clone = model.clone();
        let model = self.restructured(model);
        if self.has_new_params() {
            self.check_restructured(&model)?;
        }
        let model = check_apart(self, model, &clone)?;
        // A clone would keep every old tensor to the end.
        drop(clone);
        Ok(map_params(model, &mut Expand { plan: self, like }))
    }

    /// Updates the constants of `model` and rebuilds its stacks: what [`apply`](Self::apply) does
    /// before it expands parameters. Those of a new block are clones of their sources.
    pub fn restructured<G: Growable>(&self, mut model: G) -> G {
        let device = model.devices().into_iter().next().unwrap_or_default();
        model.update_constants(&Constants::new(&self.constant_widths(device)));
        model
    }

    /// Expands the parameter at `path` alone, as [`apply`](Self::apply) expands all of them. For
    /// models that are too large to be in memory at once. In a new block, `param` is its source.
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
        planned.check_shape(planned.given_shape(), &param.base().dims())?;
        Ok(expand_param(self, planned, param, None))
    }
}

struct Expand<'a> {
    plan: &'a Plan,
    like: Option<Like>,
}

impl ParamMapper for Expand<'_> {
    fn float<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.plan.param(path) {
            Some(planned) => expand_param(self.plan, planned, param, self.like.as_ref()),
            None => param,
        }
    }
}

/// What the parameters of a fresh block have in common with those of the model.
struct Like {
    device: Device,
    dtype: DType,
    autodiff: bool,
}

impl Like {
    /// As the first parameter of the model is.
    fn of<M: Module>(model: &M) -> Option<Self> {
        struct First(Option<Like>);
        impl ParamVisitor for First {
            fn float<const D: usize>(&mut self, _path: &str, param: &Param<Tensor<D>>) {
                self.0.get_or_insert_with(|| {
                    let value = param.base();
                    Like {
                        autodiff: value.is_autodiff(),
                        dtype: value.dtype(),
                        device: value.without_autodiff().device(),
                    }
                });
            }
        }
        let mut first = First(None);
        for_each_param(model, &mut first);
        first.0
    }
}

fn expand_param<const D: usize>(
    plan: &Plan,
    planned: &ParamPlan,
    param: Param<Tensor<D>>,
    like: Option<&Like>,
) -> Param<Tensor<D>> {
    if !planned.grows() && !planned.is_new() {
        return param;
    }
    let (id, tensor, mapper) = param.consume();
    let id = plan.id_after(planned, id);
    let mut tape = Tape::of(&tensor);
    let tensor = tensor.without_autodiff();
    let expanded = match (planned.content(), like) {
        (Some(ParamContent::Fresh), Some(like)) => {
            tape.autodiff = like.autodiff;
            tensor.to_device(&like.device).cast(like.dtype)
        }
        (Some(ParamContent::Fresh), None) => tensor,
        _ => expand(plan, planned, tensor),
    };
    Param::from_mapped_value(id, tape.enter(id, expanded), mapper)
}

/// Expands a tensor where it is: by moving bytes in host memory, by tensor operations elsewhere. The
/// bytes are the same.
fn expand<const D: usize>(plan: &Plan, param: &ParamPlan, tensor: Tensor<D>) -> Tensor<D> {
    let dims: [Option<Vec<Coordinate>>; D] =
        core::array::from_fn(|dim| plan.dimension(param, dim, &|_| Fill::Scale));
    if dims.iter().all(Option::is_none) {
        return tensor;
    }
    #[cfg(feature = "flex")]
    if let Some(old) = host::host_tensor(&tensor) {
        return host::expand(plan, param, &dims, &tensor, &old);
    }
    device::expand(plan, param, &dims, tensor)
}
