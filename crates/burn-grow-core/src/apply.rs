use std::collections::HashMap;

use burn_core::module::Param;
use burn_core::tensor::{Tensor, TensorData};

use crate::blueprint::{quantized, reparameterized};
use crate::dimension::{Content, Coordinate, fixed};
use crate::draw::{draw, normals};
use crate::gather::gather;
use crate::visit::{ParamMapper, ParamVisitor, for_each_param, map_params};
use crate::{Constants, Factor, Fill, GrowError, Growable, ParamPlan, Plan};

impl Plan {
    /// Expands the parameters and constants of `model`.
    ///
    /// The parameters keep their identity, device, data type, gradient requirement and checkpointing
    /// strategy. Copies are moved, draws are made on the host, then the fan-in factors multiply.
    ///
    /// # Errors
    ///
    /// When `model` is not the one the plan was made for. It is then returned to nobody, so clone it
    /// (which copies no tensor) to keep it.
    pub fn apply<G: Growable>(&self, mut model: G) -> Result<G, GrowError> {
        self.check(&model)?;
        if self.is_identity() {
            return Ok(model);
        }
        let mut expand = Expand {
            plan: self,
            params: self.by_path(),
        };
        // First, because running statistics are shared with clones until their layer sets them apart.
        model.update_constants(&Constants::new(self));
        Ok(map_params(model, &mut expand))
    }

    /// Expands the parameter at `path` alone, as [`apply`](Self::apply) does all of them: for what is too
    /// large to be in memory at once.
    ///
    /// # Errors
    ///
    /// When the plan has no such parameter, or one of another shape.
    pub fn apply_to_param<const D: usize>(
        &self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> Result<Param<Tensor<D>>, GrowError> {
        let planned = self.params().iter().find(|planned| planned.path == path);
        let planned = planned.ok_or_else(|| GrowError::Missing {
            path: path.to_owned(),
            has: "model",
            lacks: "plan",
        })?;
        let found = param.base().dims();
        match planned.old_shape == found {
            true => Ok(expand_param(self, planned, param)),
            false => Err(GrowError::Shape {
                path: path.to_owned(),
                expected: planned.old_shape.clone(),
                found: found.to_vec(),
            }),
        }
    }

    /// Whether `model` has exactly the parameters and shapes the plan was made for.
    ///
    /// # Errors
    ///
    /// Names the first parameter that differs.
    pub fn check<G: Growable>(&self, model: &G) -> Result<(), GrowError> {
        let mut check = Check {
            params: self.by_path(),
            error: None,
        };
        for_each_param(model, &mut check);
        if let Some(error) = check.error {
            return Err(error);
        }
        match self
            .params()
            .iter()
            .find(|param| check.params.contains_key(param.path.as_str()))
        {
            Some(param) => Err(GrowError::Missing {
                path: param.path.clone(),
                has: "plan",
                lacks: "model",
            }),
            None => Ok(()),
        }
    }

    fn by_path(&self) -> HashMap<&str, &ParamPlan> {
        self.params()
            .iter()
            .map(|param| (param.path.as_str(), param))
            .collect()
    }
}

struct Check<'a> {
    params: HashMap<&'a str, &'a ParamPlan>,
    error: Option<GrowError>,
}

impl ParamVisitor for Check<'_> {
    fn module(&mut self, parent: &str, name: &str, container: &str) {
        if let Some(error) = reparameterized(parent, name, container) {
            self.error.get_or_insert(error);
        }
    }

    fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let value = param.base();
        let found = value.dims().to_vec();
        let error = match self.params.remove(path) {
            Some(planned) if planned.old_shape == found => match quantized(path, value.dtype()) {
                Some(error) => error,
                None => return,
            },
            Some(planned) => GrowError::Shape {
                path: path.to_owned(),
                expected: planned.old_shape.clone(),
                found,
            },
            None => GrowError::Missing {
                path: path.to_owned(),
                has: "model",
                lacks: "plan",
            },
        };
        self.error.get_or_insert(error);
    }
}

struct Expand<'a> {
    plan: &'a Plan,
    params: HashMap<&'a str, &'a ParamPlan>,
}

impl ParamMapper for Expand<'_> {
    fn float<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.params.get(path) {
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

/// Copies and draws on the host, as the optimizer state is moved there, then multiplies on the device.
fn expand<const D: usize>(plan: &Plan, param: &ParamPlan, tensor: Tensor<D>) -> Tensor<D> {
    let device = tensor.device();
    let dtype = tensor.dtype();
    let old = tensor.into_data();
    let dims: [Option<Vec<Coordinate>>; D] =
        core::array::from_fn(|dim| plan.dimension(param, dim, &|_| Fill::Scale));
    let (shape, bytes) = gather(&dims, &param.old_shape, old.as_bytes())
        .unwrap_or_else(|| unreachable!("`check` compared the shapes"));
    let new = TensorData::from_bytes_vec(bytes, shape, dtype);
    let new = drawn(plan, param, &dims, &old, new);
    let mut tensor = Tensor::<D>::from_data(new, (&device, dtype));
    if plan.is_noisy() {
        let noise = plan.noise(param, &floats(&old));
        if let Some(noise) = noise {
            let noise = TensorData::new(noise, param.new_shape.clone());
            tensor = tensor + Tensor::from_data(noise, (&device, dtype));
        }
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

/// Replaces the coordinates that the plan draws.
fn drawn(
    plan: &Plan,
    param: &ParamPlan,
    dims: &[Option<Vec<Coordinate>>],
    old: &TensorData,
    new: TensorData,
) -> TensorData {
    let is_drawn = |c: &Coordinate| matches!(c.content, Content::Drawn | Content::Symbol);
    if !dims.iter().flatten().flatten().any(is_drawn) {
        return new;
    }
    let dims: Vec<_> = dims
        .iter()
        .zip(&param.old_shape)
        .map(|(dim, size)| dim.clone().unwrap_or_else(|| fixed(*size)))
        .collect();
    let mut values = floats(&new);
    let normals = normals(plan.seed(), &param.path);
    draw(
        &dims,
        (&floats(old), &param.old_shape),
        &mut values,
        normals,
    );
    // What is not drawn keeps its bits on the way back.
    TensorData::new(values, new.shape()).convert_dtype(new.dtype())
}

/// The values in a type that holds every other float exactly.
fn floats(data: &TensorData) -> Vec<f64> {
    data.iter::<f64>().collect()
}
