//! Expansion of saved parameters, one at a time.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use burn_core::module::{Module, Param};
use burn_core::tensor::{self, Bytes, TensorData};
use burn_grow_core::{ParamVisitor, Plan, for_each_param};
use burn_pack::{Error, Tensor};

use super::layout::check_values;
use super::order::saved_shape;
use crate::atomic;

/// Copies a file, which appears whole or not at all.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    atomic::write(to, |file| io::copy(&mut source, file).map(drop))
}

/// Describes the saved parameters of `model` after `plans`, one after the other. Whoever takes the
/// bytes of a parameter expands it.
pub(crate) fn expand_tensors<M: Module>(
    model: &M,
    tensors: Vec<Tensor>,
    plans: Vec<Plan>,
) -> Vec<Tensor> {
    let index = |(index, tensor): (usize, &Tensor)| (tensor.name.clone(), index);
    let mut expand = Expand {
        plans: plans.into(),
        indices: tensors.iter().enumerate().map(index).collect(),
        tensors,
    };
    for_each_param(model, &mut expand);
    expand.tensors
}

struct Expand {
    plans: Arc<[Plan]>,
    /// Where the tensor of each parameter is.
    indices: HashMap<String, usize>,
    tensors: Vec<Tensor>,
}

impl ParamVisitor for Expand {
    fn float<const D: usize>(&mut self, path: &str, param: &Param<tensor::Tensor<D>>) {
        let planned = |plan: &Plan| plan.param(path).cloned();
        let (Some(first), Some(last)) = (
            self.plans.first().and_then(planned),
            self.plans.last().and_then(planned),
        ) else {
            return;
        };
        if first.old_shape == last.new_shape {
            return;
        }
        let Some(index) = self.indices.get(path).copied() else {
            return;
        };
        let saved = self.tensors[index].clone();
        let length = last.new_shape.iter().product::<usize>() * saved.dtype.size();
        let (name, dtype, id) = (saved.name.clone(), saved.dtype, saved.param_id);
        let shape = saved_shape(param, &last.new_shape);
        let (path, param, plans) = (path.to_owned(), param.clone(), self.plans.clone());
        let expanded = move || expand(&path, &param, &saved, &plans);
        self.tensors[index] = Tensor::deferred(name, dtype, shape, id, length, expanded);
    }
}

/// Loads one parameter, expands it and saves it, as Burn and the plans do to all of them.
fn expand<const D: usize>(
    path: &str,
    param: &Param<tensor::Tensor<D>>,
    saved: &Tensor,
    plans: &[Plan],
) -> Result<Bytes, Error> {
    let invalid = |error: &dyn core::fmt::Display| Error::ValidationError(error.to_string());
    check_values(core::slice::from_ref(saved)).map_err(|error| invalid(&error))?;
    let data = TensorData::try_from_bytes(saved.to_bytes()?, saved.shape.clone(), saved.dtype)
        .map_err(|error| invalid(&error))?;
    let (device, dtype, id) = (param.lazy_device(), saved.dtype, param.id);
    let value = tensor::Tensor::from_data(data, (&device, dtype));
    let mut param = param.clone().transform_for_load(value, id);
    for plan in plans {
        param = plan
            .apply_to_param(path, param)
            .map_err(|error| invalid(&error))?;
    }
    Ok(param.transform_for_save().val().into_data().into_parts().0)
}
