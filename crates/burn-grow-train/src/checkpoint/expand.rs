//! Expansion of saved parameters, one at a time.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use burn_core::module::Param;
use burn_core::tensor::{self, Bool, Bytes, Int, TensorData};
use burn_grow_core::plan::{ParamContent, ParamPlan};
use burn_grow_core::{Growable, ParamVisitor, Plan, for_each_param};
use burn_pack::{Error, Tensor};

use super::layout::check_values;
use super::order::saved_shape;
use super::structure::restructured;
use crate::atomic;

/// Copies a file, which appears whole or not at all.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    atomic::write(to, |file| io::copy(&mut source, file).map(drop))
}

/// Describes the saved parameters of `model` after `plans`, one after the other. Whoever takes the
/// bytes of a parameter expands it.
pub(crate) fn expand_tensors<M: Growable>(
    model: &M,
    tensors: Vec<Tensor>,
    plans: Vec<Plan>,
) -> Vec<Tensor> {
    let grown = restructured(model, &plans);
    let tensors = tensors
        .into_iter()
        .map(|tensor| (tensor.name.clone(), tensor));
    let mut expand = Expand {
        plans: plans.into(),
        saved: tensors.collect(),
        used: HashSet::new(),
        expanded: Vec::new(),
    };
    for_each_param(&grown, &mut expand);
    let Expand {
        saved,
        used,
        mut expanded,
        ..
    } = expand;
    // What is no parameter: the record of the run.
    let mut rest: Vec<_> = saved
        .into_iter()
        .filter(|(name, _)| !used.contains(name))
        .collect();
    rest.sort_by(|(one, _), (other, _)| one.cmp(other));
    expanded.extend(rest.into_iter().map(|(_, tensor)| tensor));
    expanded
}

struct Expand {
    plans: Arc<[Plan]>,
    /// The tensors of the file, by name.
    saved: HashMap<String, Tensor>,
    /// The names of those that belong to parameters.
    used: HashSet<String>,
    expanded: Vec<Tensor>,
}

/// Where a parameter comes from.
struct Way {
    /// The first plan that it goes through: it is in the file, or made by the plan before.
    from: usize,
    /// Its path in the file.
    saved: String,
    /// Its path after each plan that it goes through.
    paths: Vec<String>,
}

impl Expand {
    /// Goes back from a path after all plans.
    fn way(&self, path: &str) -> Way {
        let mut way = Way {
            from: 0,
            saved: path.to_owned(),
            paths: Vec::new(),
        };
        for (index, plan) in self.plans.iter().enumerate().rev() {
            way.paths.insert(0, way.saved.clone());
            if plan.param(&way.saved).and_then(ParamPlan::content) == Some(ParamContent::Fresh) {
                way.from = index;
                return way;
            }
            (way.saved, _) = plan.source_of(&way.saved);
        }
        way
    }

    /// The identity after the plans of `way` of what has the identity `id` before.
    fn id(&self, way: &Way, id: u64) -> u64 {
        let plans = self.plans[way.from..].iter().zip(&way.paths);
        plans.fold(id, |id, (plan, path)| match plan.param(path) {
            Some(param) => plan.id_after(param, id.into()).val(),
            None => plan.descendant(id, &plan.source_of(path).1),
        })
    }

    /// What is neither made of floats nor grown.
    fn other(&mut self, path: &str) {
        let way = self.way(path);
        if let Some(saved) = self.saved.get(&way.saved) {
            self.used.insert(way.saved.clone());
            let mut tensor = saved.clone();
            tensor.param_id = tensor.param_id.map(|id| self.id(&way, id));
            tensor.name = path.to_owned();
            self.expanded.push(tensor);
        }
    }
}

impl ParamVisitor for Expand {
    fn float<const D: usize>(&mut self, path: &str, param: &Param<tensor::Tensor<D>>) {
        let way = self.way(path);
        let Some(last) = self.plans.last().and_then(|plan| plan.param(path)) else {
            return self.other(path);
        };
        let first = &self.plans[way.from].param(&way.paths[0]);
        let fresh = first.and_then(ParamPlan::content) == Some(ParamContent::Fresh);
        let saved = if fresh {
            let param = param.transform_for_save();
            let (id, data) = (param.id.val(), param.val().into_data());
            let (bytes, shape, dtype) = data.into_parts();
            Tensor::new(path.to_owned(), dtype, shape, Some(id), bytes)
        } else if let Some(saved) = self.saved.get(&way.saved) {
            self.used.insert(way.saved.clone());
            saved.clone()
        } else {
            return;
        };
        let id = saved.param_id.map(|id| self.id(&way, id));
        let shape = saved_shape(param, &last.new_shape);
        let length = last.new_shape.iter().product::<usize>() * saved.dtype.size();
        let dtype = saved.dtype;
        let (param, plans) = (param.clone(), self.plans.clone());
        let expanded = move || expand(&way, &param, &saved, &plans);
        let expanded = Tensor::deferred(path.to_owned(), dtype, shape, id, length, expanded);
        self.expanded.push(expanded);
    }

    fn int<const D: usize>(&mut self, path: &str, _param: &Param<tensor::Tensor<D, Int>>) {
        self.other(path);
    }

    fn bool<const D: usize>(&mut self, path: &str, _param: &Param<tensor::Tensor<D, Bool>>) {
        self.other(path);
    }
}

/// Loads one parameter, expands it and saves it, as Burn and the plans do to all of them.
fn expand<const D: usize>(
    way: &Way,
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
    for (plan, path) in plans[way.from..].iter().zip(&way.paths) {
        param = plan
            .apply_to_param(path, param)
            .map_err(|error| invalid(&error))?;
    }
    Ok(param.transform_for_save().val().into_data().into_parts().0)
}
